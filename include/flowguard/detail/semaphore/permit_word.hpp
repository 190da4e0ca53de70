// permit_word.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_PERMIT_WORD_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_PERMIT_WORD_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace flowguard::detail {

// One atomic word holds the permits of a semaphore and the references to its state. So one step takes a permit and
// keeps the state alive:
//
//   bits 32..63  held        signed: the permits that are held; negative after more were released than taken
//   bit  31      contended   a caller waits in line, or the semaphore is closed: takes and releases go through the
//                            queue's owner
//   bit  30      aside       a caller that wants more permits than the limit waits aside (see wait_queue): releases go
//                            through the queue's owner
//   bits 0..29   references  one for the handle, one for each RAII permit, short-lived ones, and the owner's stock,
//                            which is dropped with the handle's; the thread that drops the last one destroys the state
//
// The limit is a second atomic beside the word. A permit may be taken while held + 1 <= limit. So setting the limit is
// one store, and reading what is in flight is one load. If the limit is lower than what is held, the difference is
// *debt*, which releases pay off.
//
// A caller may want more permits than the limit. Where the semaphore lets it *run alone*, it takes them while no permit
// is held: then it, too, leaves debt.
//
// The limit's highest bit says that the word is *barred*: no permit is taken, whatever the limit, until unbar() or
// set_limit_and_refer(). The bit makes the limit negative, so that takes need no look at it.
//
// Memory orders. A thread that takes a permit must see what the permit's last holder did: takes are acquire, releases
// of permits are release. Takes of several permits are release, too, and reads of what is held are acquire: a thread
// that sees the permits also sees what their holder did before it took them. The thread that drops the last reference
// destroys the state, and must see every other party's last use of it: drops are acquire and release. Adding a
// reference publishes nothing and is relaxed.
class permit_word {
public:
    enum class released {
        done, // no caller waited
        contended, // nothing was changed: a caller waits, or the semaphore is closed
        too_many // nothing was changed: that many permits may not be released
    };

    explicit permit_word(std::size_t limit) noexcept : word_(reference), limit_(static_cast<std::int32_t>(limit)) {}

    // Takes permits, with one reference or without, unless too few are available or a caller waits. If MayRunAlone, it
    // is for a caller that may run alone.
    template <bool MayRunAlone = false>
    bool try_take(std::size_t permits, bool with_reference) noexcept {
        const std::uint64_t step = permits * unit + (with_reference ? reference : 0);
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        constexpr std::memory_order taken = MayRunAlone ? std::memory_order_acq_rel : std::memory_order_acquire;
        while ((suffices(w, permits) || (MayRunAlone && allows_alone(w))) && (w & contended_bit) == 0)
            if (word_.compare_exchange_weak(w, w + step, taken, std::memory_order_relaxed))
                return true;
        return false;
    }

    // For the queue's owner. Takes permits with one reference for the first waiter, which may be allowed to run alone.
    // If that is the only one in line, clears `contended` in the same step. If too few permits are available, sets
    // `contended`, so that the next release, or the next change of the limit, sees that a caller waits.
    bool take_or_contend(std::size_t permits, bool only_waiter, bool may_run_alone = false) noexcept {
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        for (;;) {
            const bool take = suffices(w, permits) || (may_run_alone && allows_alone(w));
            if (!take && (w & contended_bit) != 0)
                return false;
            std::uint64_t next = take ? w + (permits * unit + reference) : w | contended_bit;
            if (take && only_waiter)
                next &= ~contended_bit;
            // Acquire: for a take, and for the second look at the limit, which follows when the bit was set. A thread
            // that changed the limit just before did not see the bit: see set_limit_and_refer(). Release: for a take of
            // several permits.
            if (word_.compare_exchange_weak(w, next, std::memory_order_acq_rel, std::memory_order_relaxed)) {
                if (take)
                    return true;
                w = next;
            }
        }
    }

    // Releases permits with their reference, unless a caller waits. That reference is never the last one: the handle
    // keeps its own until the word is contended for good.
    bool try_release_with_reference(std::size_t permits) noexcept {
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        while ((w & waiting_bits) == 0)
            if (word_.compare_exchange_weak(w, w - (permits * unit + reference), std::memory_order_release,
                                            std::memory_order_relaxed))
                return true;
        return false;
    }

    // Releases permits, unless a caller waits, fewer are held, or, if there may be more released than taken, more than
    // `most` would be available.
    released try_release(std::size_t permits, bool beyond_taken, std::size_t most) noexcept {
        const auto count = static_cast<std::int64_t>(permits);
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        for (;;) {
            if (beyond_taken ? balance(w) + count > static_cast<std::int64_t>(most) : held(w) < count)
                return released::too_many;
            if ((w & waiting_bits) != 0)
                return released::contended;
            if (word_.compare_exchange_weak(w, w - permits * unit, std::memory_order_release,
                                            std::memory_order_relaxed))
                return released::done;
        }
    }

    // Releases permits even if callers wait. The calling thread must tell the queue's owner afterwards.
    void release(std::size_t permits) noexcept { word_.fetch_sub(permits * unit, std::memory_order_release); }

    // The same, and takes a reference for the calling thread, which needs it until it has told the owner.
    void release_and_refer(std::size_t permits) noexcept {
        word_.fetch_sub(permits * unit - reference, std::memory_order_release);
    }

    // Sets the limit, and takes a reference for the caller. Returns true if callers wait: the caller must then tell the
    // owner.
    //
    // No waiter misses a new limit. An owner that finds too few permits sets a bit of the word, and then reads the
    // limit. This function writes the limit first, and then reads the bit, in its step on the word. All steps on the
    // word are read-modify-writes. So if this function does not see the bit, the owner's step comes later, its acquire
    // synchronizes with this release, and the owner reads the new limit.
    bool set_limit_and_refer(std::size_t limit) noexcept {
        limit_.store(static_cast<std::int32_t>(limit), std::memory_order_relaxed);
        return refer_and_look();
    }

    // The same, but a word that is barred stays so.
    bool set_limit_below_bar_and_refer(std::size_t limit) noexcept {
        std::int32_t before = limit_.load(std::memory_order_relaxed);
        while (!limit_.compare_exchange_weak(before, (before & barred_bit) | static_cast<std::int32_t>(limit),
                                             std::memory_order_relaxed, std::memory_order_relaxed)) {
        }
        return refer_and_look();
    }

    // Returns false if the word was barred already. Relaxed, as all steps on the limit.
    bool bar() noexcept { return (limit_.fetch_or(barred_bit, std::memory_order_relaxed) & barred_bit) == 0; }

    // Returns false if the word was not barred. Otherwise the calling thread calls refer_and_look() next, as after a
    // new limit.
    bool unbar() noexcept { return (limit_.fetch_and(~barred_bit, std::memory_order_relaxed) & barred_bit) != 0; }

    // Takes a reference for the caller, and returns whether callers wait. If none does, an owner that finds too few
    // permits later sees what the caller wrote before this.
    bool refer_and_look() noexcept {
        return (word_.fetch_add(reference, std::memory_order_release) & waiting_bits) != 0;
    }

    void refer(std::size_t references = 1) noexcept {
        word_.fetch_add(references * reference, std::memory_order_relaxed);
    }

    // Returns false if the last reference was dropped already, and the state is about to be destroyed. The caller holds
    // a lock that keeps the word alive. Acquire: the caller goes on to destroy a context, after all that the state's
    // users did there.
    bool try_refer() noexcept {
        std::uint64_t w = word_.load(std::memory_order_acquire);
        while ((w & references_mask) != 0)
            if (word_.compare_exchange_weak(w, w + reference, std::memory_order_acquire, std::memory_order_acquire))
                return true;
        return false;
    }

    // Returns true if those were the last references: the caller must then destroy the state.
    [[nodiscard]] bool drop(std::size_t references) noexcept {
        const std::uint64_t before = word_.fetch_sub(references, std::memory_order_acq_rel);
        return (before & references_mask) == references;
    }

    // Acquire: the owner looks at the limit next, see set_limit_and_refer(). No release: waiters are published through
    // the inbox.
    void set_contended() noexcept { word_.fetch_or(contended_bit, std::memory_order_acquire); }
    // Relaxed: it is ordered before the owner's next step on the inbox.
    void clear_contended() noexcept { word_.fetch_and(~contended_bit, std::memory_order_relaxed); }
    bool contended() const noexcept { return (word_.load(std::memory_order_relaxed) & contended_bit) != 0; }

    // Acquire: the owner looks at the limit next, see set_limit_and_refer().
    void set_aside() noexcept { word_.fetch_or(aside_bit, std::memory_order_acquire); }
    void clear_aside() noexcept { word_.fetch_and(~aside_bit, std::memory_order_relaxed); }
    bool has_aside() const noexcept { return (word_.load(std::memory_order_relaxed) & aside_bit) != 0; }

    std::size_t limit() const noexcept {
        return static_cast<std::size_t>(limit_.load(std::memory_order_relaxed) & ~barred_bit);
    }

    // The permits that are held. Read by one load, so exact at some instant.
    std::size_t held() const noexcept {
        const std::uint64_t now = word_.load(std::memory_order_acquire);
        return static_cast<std::size_t>(std::max<std::int64_t>(held(now), 0));
    }

    // Whether no permit is held, for a drain. Acquire: the drain sees what the permits' last holders did, as a thread
    // does that takes a permit.
    bool is_idle() const noexcept { return held(word_.load(std::memory_order_acquire)) <= 0; }

    // The limit minus what is held. Negative in debt, and while the word is barred.
    std::int64_t balance() const noexcept { return balance(word_.load(std::memory_order_relaxed)); }

    // Whether no permit is free, there is no debt, and callers wait.
    bool is_used_up() const noexcept {
        const std::uint64_t w = word_.load(std::memory_order_relaxed);
        return (w & contended_bit) != 0 && balance(w) == 0;
    }

    // How many permits try_take could take. A permit on its way to a waiter is not available.
    std::size_t available() const noexcept {
        const std::uint64_t w = word_.load(std::memory_order_relaxed);
        return (w & contended_bit) == 0 ? static_cast<std::size_t>(std::max<std::int64_t>(balance(w), 0)) : 0;
    }

private:
    static constexpr std::uint64_t unit = std::uint64_t{1} << 32;
    static constexpr std::uint64_t contended_bit = std::uint64_t{1} << 31;
    static constexpr std::uint64_t aside_bit = std::uint64_t{1} << 30;
    static constexpr std::uint64_t waiting_bits = contended_bit | aside_bit;
    static constexpr std::uint64_t references_mask = aside_bit - 1;
    static constexpr std::uint64_t reference = 1;
    static constexpr std::int32_t barred_bit = (std::numeric_limits<std::int32_t>::min)();

    static constexpr std::int64_t held(std::uint64_t w) noexcept {
        return static_cast<std::int32_t>(static_cast<std::uint32_t>(w >> 32));
    }

    // Relaxed: a thread that was told of a new limit reads that limit, or a later one. For the queue's owner, see
    // set_limit_and_refer().
    std::int64_t balance(std::uint64_t w) const noexcept {
        return std::int64_t{limit_.load(std::memory_order_relaxed)} - held(w);
    }

    bool suffices(std::uint64_t w, std::size_t permits) const noexcept {
        return balance(w) >= static_cast<std::int64_t>(permits);
    }

    // Whether a caller may run alone now. Relaxed, as balance().
    bool allows_alone(std::uint64_t w) const noexcept {
        return held(w) <= 0 && (limit_.load(std::memory_order_relaxed) & barred_bit) == 0;
    }

    std::atomic<std::uint64_t> word_;
    std::atomic<std::int32_t> limit_;

    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

} // namespace flowguard::detail

#endif
