# SPDX-License-Identifier: MIT
#
# The mutations; see mutations.sh. `weaken` replaces a memory order by a weaker one, and `mutation` replaces any text.
# Each line names the harness that notices the mutation. `unnoticed` marks a mutation that no harness notices.

# shellcheck shell=bash

# ---- the permits of a semaphore ----
word=detail/semaphore/permit_word.hpp
mutation queue $word 'std::memory_order_acq_rel : std::memory_order_acquire;' \
    'std::memory_order_acq_rel : std::memory_order_relaxed;'
weaken queue $word relaxed 'w - (permits * unit + reference), std::memory_order_release'
weaken queue $word relaxed 'w - permits * unit, std::memory_order_release'
weaken queue $word relaxed 'fetch_sub(permits * unit - reference, std::memory_order_release'
weaken queue $word relaxed 'fetch_or(contended_bit, std::memory_order_acquire'
weaken queue $word relaxed 'void release(std::size_t permits) noexcept { word_.fetch_sub(permits * unit, std::memory_order_release'
weaken queue $word acquire 'fetch_sub(references, std::memory_order_acq_rel'
weaken queue $word release 'fetch_sub(references, std::memory_order_acq_rel'

# As with contended_bit, the owner reads the limit next. A harness could only notice the mutation if, at that moment, a
# thread that finds no other waiter raised the limit. In 1.5 million executions, none did so.
unnoticed queue $word relaxed 'word_.fetch_or(aside_bit, std::memory_order_acquire'

# The counts of callers that hold several permits.
surplus=detail/control/surplus_permits.hpp
weaken queue $word acquire 'compare_exchange_weak(w, next, std::memory_order_acq_rel'
weaken queue $word relaxed 'now = word_.load(std::memory_order_acquire'
weaken queue $surplus relaxed 'discounted_.fetch_add(permits - 1, std::memory_order_release'
weaken queue $surplus relaxed 'discounted_.load(std::memory_order_acquire'
mutation queue detail/semaphore/semaphore_state.hpp \
    'state_.will_hold_several(permits);
            if (state_.word_.take_or_contend(permits, last_in_line, state_.lets_run_alone_))
                permits_ = permits;' \
    'if (state_.word_.take_or_contend(permits, last_in_line, state_.lets_run_alone_))
                state_.will_hold_several(permits_ = permits);'
mutation queue $word 'std::memory_order_acq_rel : std::memory_order_acquire;' \
    'std::memory_order_acquire : std::memory_order_acquire;'

# With this release, a thread that has changed the limit publishes the new limit. Next, the thread drops its reference,
# which is a release on the same word. Mostly the owner reads the value of that second step.
unnoticed queue $word relaxed 'word_.fetch_add(reference, std::memory_order_release'

# ---- the queue and its owner ----
state=detail/semaphore/semaphore_state.hpp
weaken queue $state acquire 'compare_exchange_weak(inbox, desired, std::memory_order_acq_rel'
weaken queue $state release 'compare_exchange_weak(inbox, desired, std::memory_order_acq_rel'
weaken queue $state relaxed 'compare_exchange_strong(idle, idle & ~owned, std::memory_order_release'
weaken queue $state release 'fetch_and(gate | owned, std::memory_order_acq_rel'
weaken queue $state relaxed 'message.applied.load(std::memory_order_acquire'
weaken queue detail/queue/wait_queue.hpp relaxed 'applied.store(true, std::memory_order_release'
weaken queue detail/queue/shared_claim.hpp acquire 'references_.fetch_sub(1, std::memory_order_acq_rel'
weaken queue detail/queue/shared_claim.hpp release 'references_.fetch_sub(1, std::memory_order_acq_rel'

# ---- deadlines ----
deadline=detail/asio/deadline.hpp
weaken deadlines $deadline acquire 'through_.fetch_or(completed, std::memory_order_acq_rel'
weaken deadlines $deadline release 'through_.fetch_or(completed, std::memory_order_acq_rel'
mutation deadlines $deadline 'std::memory_order_acq_rel, std::memory_order_acquire));' \
    'std::memory_order_acquire, std::memory_order_acquire));'
mutation deadlines $deadline 'std::memory_order_acq_rel, std::memory_order_acquire));' \
    'std::memory_order_release, std::memory_order_relaxed));'
weaken deadlines $word relaxed 'std::uint64_t w = word_.load(std::memory_order_acquire'

# The values that the time-out reads next were written before the timer was started.
unnoticed deadlines $deadline relaxed 'through = through_.load(std::memory_order_acquire'

# try_take() reads the inbox, and then takes permits from the permit word. The owner sets `contended` in the permit
# word, and then takes the messages from the inbox. Without these orders, C++20 allows either pair to become visible in
# the other order. The checker never shows that: it carries out the exchanges of a thread one after the other, and all
# operations on the permit word are exchanges, which read the latest value.
unnoticed queue $state relaxed 'if ((inbox_.load(std::memory_order_acquire) & ~(owned'
unnoticed queue $state acquire 'fetch_and(gate | owned, std::memory_order_acq_rel'

# ---- windows ----
window=detail/control/sample_window.hpp
weaken windows $window relaxed 'static_cast<std::int64_t>(o.size)), std::memory_order_release'
weaken windows $window relaxed 'slots_.fetch_sub(1, std::memory_order_acquire'
weaken windows $window acquire 'compare_exchange_weak(state, state - 1, std::memory_order_acq_rel'
weaken windows $window release 'compare_exchange_weak(state, state - 1, std::memory_order_acq_rel'
weaken windows $window relaxed 'state_.exchange(generation * generation_unit | o.size, std::memory_order_release'
weaken windows $window relaxed 'ends_at_.store(unsettled, std::memory_order_release'
weaken windows $window relaxed 'compare_exchange_strong(due, never, std::memory_order_acquire'
weaken windows $window relaxed 'std::uint64_t state = state_.load(std::memory_order_acquire'

mutation windows detail/control/window_surplus.hpp 'if (word >> 32 != generation)' 'if (false)'

# What a thread does before it fills a window is to end a probe. It does so under the lock of limit_override, which the
# thread that closes the window locks, too.
unnoticed windows $window relaxed 'last_at_.store(now.count(), std::memory_order_release'
unnoticed windows $window relaxed 'last = last_at_.load(std::memory_order_acquire'

# A thread comes to this load by way of the pointer to the current window, which it acquires. Only if it stalls in
# between, while the window is closed and opened again, could it read the bound of an earlier opening.
unnoticed windows $window relaxed 'std::uint64_t found = slots_.load(std::memory_order_acquire'

# With this exchange, the thread that closes a window early sees the records of members that left after its first look.
# All of these records are atomic, and such a window may miss a sample.
unnoticed windows $window relaxed 'state | closed_bit, std::memory_order_acquire'

# ---- windows that are discarded ----
loop=detail/control/limit_loop.hpp
# The step that discards the window acquires as well. Without this order, what is read in between could belong to an
# earlier opening only if the step then failed.
unnoticed windows $window relaxed 'std::uint64_t found = state_.load(std::memory_order_acquire'
# With this exchange, the thread that discards a window sees the RTTs of the members that are done, and counts them. All of
# them are atomic counters, and those of the histograms are not modelled: see quiet_buckets.hpp.
unnoticed windows $window relaxed '(found - taken) | closed_bit | discarded_bit,
                                             std::memory_order_acquire'
mutation windows $window '(found - taken) | closed_bit | discarded_bit' 'found | closed_bit | discarded_bit'
mutation windows $window '(found - taken) | closed_bit | discarded_bit' '(found - taken) | closed_bit'
mutation windows $window 'free, slots(generation_of_slots(free), 0), std::memory_order_relaxed' \
    'free, free, std::memory_order_relaxed'

# ---- the first admission, which makes the windows ----
mutation windows $loop \
    '!use_.compare_exchange_strong(idle, use::starting, std::memory_order_acquire, std::memory_order_relaxed)' \
    'idle != use::none'

# ---- changes by hand ----
no_lock='struct { void lock() const {} void unlock() const {} } '
mutation windows detail/control/limit_override.hpp 'mutable std::mutex mutex_;' "${no_lock}mutex_;"
mutation windows $loop 'std::mutex mutex; // of the next three, for writers' "${no_lock}mutex;"
mutation windows $loop 'if (found.pinned != 0 || found.epoch != closed.epoch())' 'if (found.epoch != closed.epoch())'

# ---- turns ----
turns=detail/control/turns.hpp
weaken windows $state relaxed 'wants_watch_.exchange(true, std::memory_order_release'
weaken windows $state relaxed 'wants_watch_.exchange(false, std::memory_order_acquire'
mutation windows $loop 'if (turns_.begin(at))' 'if (turns_.begin(at) && false)'
mutation windows $turns 'semaphore_.unbar();' 'true;'

# These orders keep the steps on the limit's bar apart. The checker carries out the exchanges of a thread one after the
# other, and all of these steps are exchanges.
unnoticed windows $turns relaxed 'turn_at_.exchange(turn.count(), std::memory_order_release'
unnoticed windows $turns relaxed 'turn_at_.compare_exchange_strong(turn, none, std::memory_order_acquire'

# ---- drains ----
mutation queue $state 'word_.set_contended(); // the grant to an only waiter has cleared it' ''
mutation queue $state 'queue_.size() == 0 && word_.is_idle()' 'queue_.size() == 0'
weaken queue $word relaxed 'held(word_.load(std::memory_order_acquire'

# ---- looks at an idle semaphore ----
weaken queue $state relaxed 'if ((inbox_.load(std::memory_order_acquire) & ~gate'
weaken queue $state relaxed 'waiting_.store(queue_.size(), std::memory_order_release'
weaken queue $state relaxed 'return waiting_.load(std::memory_order_acquire'
mutation queue $state 'return waiting_.load(std::memory_order_acquire) == 0 && in_flight() == 0;' \
    'return in_flight() == 0 && waiting_.load(std::memory_order_acquire) == 0;'

# ---- an owner that is kept busy ----
weaken queue_small_rounds $state relaxed 'inbox_.fetch_and(~owned, std::memory_order_release'
mutation queue_small_rounds $state 'return !try_own_leftovers();' 'return true;'
mutation queue_small_rounds $state 'if (o.references == 0) { // for the look afterwards' 'if (false) {'

# ---- objects that are destroyed before their holder ----
retirable=detail/base/retirable.hpp
weaken retirement $retirable acquire 'state_.fetch_sub(one_inside, std::memory_order_acq_rel'
weaken retirement $retirable release 'state_.fetch_sub(one_inside, std::memory_order_acq_rel'
weaken retirement $retirable release '(state_.fetch_or(retired, std::memory_order_acq_rel'
weaken retirement $retirable acquire '(state_.fetch_or(retired, std::memory_order_acq_rel'
mutation retirement $retirable '(one_inside | retired))' '(one_inside | retired) && false)'
mutation retirement $retirable 'if (state_.compare_exchange_strong(nobody_inside, retired | destroyed, std::memory_order_relaxed))' ''

# ---- the places of long-lived calls ----
long_lived=detail/control/long_lived_calls.hpp
weaken long_lived $long_lived relaxed 'compare_exchange_weak(n, n + 1, std::memory_order_acquire'
weaken long_lived $long_lived relaxed 'running_.fetch_sub(1, std::memory_order_release'
weaken long_lived $long_lived relaxed 'running_.fetch_or(sealed, std::memory_order_acquire'
mutation long_lived $long_lived 'while (n < most_)' 'while (n <= most_)'
mutation long_lived $long_lived '== (sealed | 1)' '== sealed'

# ---- the trace of decisions ----
trace=detail/control/decision_trace.hpp
weaken trace $trace relaxed 'published_.store(added_, std::memory_order_release'
weaken trace $trace relaxed 'published_.load(std::memory_order_acquire'
weaken trace $trace relaxed 'words_[i].store(w[i], std::memory_order_release'
weaken trace $trace relaxed 'words_[i].load(std::memory_order_acquire'
mutation trace $trace 'version_.store(2 * number + 1, std::memory_order_relaxed);' ''
mutation trace $trace 'return version_.load(std::memory_order_relaxed) == 2 * number + 2;' 'return true;'
