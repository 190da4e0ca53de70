// semaphore_scenario.hpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_SEMAPHORE_SCENARIO_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_SEMAPHORE_SCENARIO_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flowguard/detail/control/surplus_permits.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/detail/semaphore/wait_operation.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"
#include "memory_model/test_waiter.hpp"

// Scenarios with one semaphore_state. At the beginning all permits are held. Some callers wait for permits, the holders
// return theirs, and other threads disturb both.
namespace memory_model {

// An event that concerns the whole semaphore, while callers wait.
enum class disturbance { none, close, cancel_all, limits, abandon, drain };

inline const char* name_of(disturbance d) noexcept {
    constexpr std::array names{"none", "close", "cancel_all", "limits", "abandon", "drain"};
    return names[static_cast<std::size_t>(d)];
}

// Besides the queue's owner, this may claim a waiter.
enum class claimants { none, deadline, slot };

struct semaphore_choices {
    std::size_t limit = 1 + (choose(3) == 0 ? 1 : 0);
    std::size_t waiters = 1 + choose(2);
    bool heavy = limit == 2 && choose(2) == 0; // the first waiter wants two permits
    bool bare = choose(3) == 0; // permits do not keep the state alive
    claimants claimed_by = choose(2) == 0 ? claimants::none : static_cast<claimants>(1 + choose(2));
    bool cancelled = claimed_by != claimants::none && choose(2) == 0; // a thread cancels the first waiter
    bool newcomer = choose(2) == 0; // a thread tries to overtake the waiters
    bool try_first = choose(2) == 0; // callers try to take a permit before they wait
    bool apart = choose(2) == 0; // a waiter's handler and its caller have different threads
    disturbance disturbs = static_cast<disturbance>(choose(6));
    bool second_resizer = disturbs == disturbance::limits && choose(2) == 0;
    bool aside = disturbs == disturbance::limits && limit == 1 && choose(2) == 0; // the first waiter wants two permits
    bool cancels_all_too = disturbs == disturbance::abandon && choose(2) == 0; // on another thread
    bool drain_ends = disturbs == disturbance::drain && choose(2) == 0; // those who wait
    bool drain_is_cancelled = disturbs == disturbance::drain && choose(3) == 0;
    bool reopens =
        (disturbs == disturbance::drain || disturbs == disturbance::close) && choose(2) == 0; // another thread

    bool looker = choose(4) == 0; // a thread looks whether the semaphore is idle
    bool counter = heavy && !looker && choose(2) == 0; // a thread counts the callers that hold permits

    // A holder stops using the semaphore's handle before it returns its permit. If all other users do so, too, the
    // state is destroyed while the permit is being returned.
    bool leaves_early = choose(4) != 0;

    // The same with bare permits. There the handle may be destroyed as soon as the last permit is granted: the next
    // holder may destroy the state while the thread that granted the permit is still inside.
    bool hands_down = leaves_early && bare && limit == 1 && disturbs == disturbance::none && !cancelled && !newcomer &&
                      !looker && !counter && choose(2) == 0;

    bool holders_use_handle() const noexcept { return !leaves_early || (bare && !hands_down); }

    // True if only one thread at a time may hold permits.
    bool is_exclusive() const noexcept { return limit == 1 && disturbs != disturbance::limits; }

    std::size_t highest_limit() const noexcept { return disturbs == disturbance::limits ? limit + 1 : limit; }

    // In the end there are as many permits as any waiter wants.
    std::size_t last_limit() const noexcept { return aside ? highest_limit() : limit; }

    std::size_t wanted_by(std::size_t waiter) const noexcept { return (heavy || aside) && waiter == 0 ? 2 : 1; }

    std::string describe() const {
        return std::string("limit ") + std::to_string(limit) + ", " + std::to_string(waiters) + " waiting" +
               (heavy ? ", the first for two" : "") + (aside ? ", the first aside" : "") + (bare ? ", bare" : "") +
               (claimed_by == claimants::deadline ? ", deadlines" : "") +
               (claimed_by == claimants::slot ? ", slots" : "") + (cancelled ? ", cancelled" : "") +
               (newcomer ? ", a newcomer" : "") + (try_first ? ", tries first" : "") +
               (apart ? ", handlers apart" : "") + (leaves_early ? ", leaves early" : "") +
               (hands_down ? ", hands down" : "") + (second_resizer ? ", two resize" : "") +
               (cancels_all_too ? ", all cancelled" : "") + (drain_ends ? ", all ended" : "") +
               (drain_is_cancelled ? ", drain cancelled" : "") + (reopens ? ", reopened" : "") +
               (looker ? ", a looker" : "") + (counter ? ", a counter" : "") + ", disturbance: " + name_of(disturbs);
    }
};

class semaphore_scenario {
public:
    // `policy` is called while the scenario is set up. `lane` returns the lane of the waiter with a given number.
    semaphore_scenario(const semaphore_choices& choices, std::function<flowguard::detail::wait_policy()> policy,
                       std::function<flowguard::detail::lane_number(std::size_t)> lane)
        : choices_(choices), policy_(std::move(policy)), lane_(std::move(lane)) {}

    static scenario make(std::shared_ptr<semaphore_scenario> s) {
        scenario made{s->choices_.describe(), {}};
        made.steps.set_up = [s] { s->set_up(); };
        made.steps.finish = [s] { s->finish(); };
        s->add_threads(s, made.steps.threads);
        return made;
    }

    // For an observer: takes a permit, and returns it.
    void use_a_permit() {
        if (state_->try_take(1, true))
            state_->release_with_reference(1);
    }

private:
    // Counts how often it is destroyed, and the surplus of the callers that hold permits.
    class state : public flowguard::detail::semaphore_state {
    public:
        state(std::size_t limit, const flowguard::detail::wait_policy& policy, int& destroyed)
            : semaphore_state(limit, policy), destroyed_(destroyed) {}
        ~state() override {
            ++destroyed_;
            if (waiting() != 0 || reserved_.load(std::memory_order_relaxed) != 0)
                fail("a waiter is still counted");
        }

        bool try_take_several(std::size_t permits) noexcept {
            surplus_.count(permits);
            if (try_take<true>(permits, true))
                return true;
            surplus_.discount(permits);
            return false;
        }
        void release_several(std::size_t permits, bool with_reference) noexcept {
            const flowguard::detail::keep_alive kept(*this);
            if (with_reference)
                release_with_reference(permits);
            else
                release(permits);
            surplus_.discount(permits);
        }
        std::uint64_t calls() const noexcept {
            return surplus_.calls([this] { return in_flight(); });
        }

    private:
        void will_hold_several(std::size_t permits) noexcept override { surplus_.count(permits); }
        void has_put_back_several(std::size_t permits) noexcept override { surplus_.discount(permits); }

        int& destroyed_;
        flowguard::detail::surplus_permits surplus_;
    };

    // The objects that the threads share, besides the semaphore. The plain members are checked for data races.
    struct shared {
        std::atomic<std::size_t> users{0}; // threads that may still use the handle
        std::atomic<std::size_t> holding{0}; // permits that are held
        bool occupied = false; // by the only holder, if is_exclusive()
        int turns = 0; // of the holders, if is_exclusive()
        std::atomic<std::size_t> first_returned{0}; // of the first permits, how many were returned
    };

    struct caller {
        static constexpr int waits = 1; // the call has returned, and the caller waits
        static constexpr int took = 2; // the caller has its permit without waiting

        test_waiter* waiter = nullptr;
        std::atomic<int>* progress = nullptr;
        std::atomic<bool>* left_alone = nullptr; // no thread will cancel the waiter any more
        flowguard::detail::canceller* slot = nullptr;
        int endings = 0;
        bool was_granted = false;
        bool returns = false; // the caller has begun to return its permits
        bool was_missed = false; // before that, the semaphore said that it is idle
        int turn = -1; // in which turn the caller held its permit
    };

    void set_up() {
        state_ = new state(choices_.limit, policy_(), destroyed_);
        shared_ = new shared;
        shared_->users.store(user_count(), std::memory_order_relaxed);
        if (choices_.disturbs == disturbance::abandon)
            doomed_ = new test_context;
        for (std::size_t i = 0; i < choices_.limit; ++i)
            if (!state_->try_take(1, !choices_.bare))
                fail("a permit is not there");
        for (std::size_t i = 0; i < choices_.waiters; ++i) {
            caller& c = callers_[i];
            c.waiter = new test_waiter(choices_.wanted_by(i), lane_(i), i == 0 ? doomed_ : nullptr);
            if (choices_.claimed_by == claimants::deadline)
                c.waiter->make_cancellable();
            else if (choices_.claimed_by == claimants::slot)
                c.slot = new flowguard::detail::canceller;
            c.progress = new std::atomic<int>(0);
            c.left_alone = new std::atomic<bool>(!(choices_.cancelled && i == 0));
        }
    }

    void add_threads(const std::shared_ptr<semaphore_scenario>& self, std::vector<std::function<void()>>& threads) {
        for (std::size_t i = 0; i < choices_.waiters; ++i) {
            if (choices_.apart) {
                threads.emplace_back([self, i] { self->call(self->callers_[i]); });
                threads.emplace_back([self, i] { self->handle(self->callers_[i]); });
            } else {
                threads.emplace_back([self, i] {
                    self->call(self->callers_[i]);
                    self->handle(self->callers_[i]);
                });
            }
        }
        for (std::size_t i = 0; i < choices_.limit; ++i)
            threads.emplace_back([self] { self->give_back_first_permit(); });
        if (choices_.newcomer)
            threads.emplace_back([self] { self->try_to_overtake(); });
        if (choices_.cancelled)
            threads.emplace_back([self] { self->cancel(self->callers_[0]); });
        if (choices_.disturbs != disturbance::none)
            threads.emplace_back([self] { self->disturb(); });
        if (choices_.second_resizer)
            threads.emplace_back([self] { self->resize(self->choices_.limit == 1 ? 2 : 1); });
        if (choices_.cancels_all_too)
            threads.emplace_back([self] { self->cancel_all(); });
        if (choices_.reopens)
            threads.emplace_back([self] { self->reopen(); });
        if (choices_.looker)
            threads.emplace_back([self] { self->look_whether_idle(); });
        if (choices_.counter)
            threads.emplace_back([self] { self->count_callers(); });
    }

    std::size_t user_count() const noexcept {
        return choices_.waiters + (choices_.holders_use_handle() ? choices_.limit : 0) + (choices_.newcomer ? 1 : 0) +
               (choices_.disturbs != disturbance::none ? 1 : 0) + (choices_.second_resizer ? 1 : 0) +
               (choices_.cancels_all_too ? 1 : 0) + (choices_.reopens ? 1 : 0) + (choices_.looker ? 1 : 0) +
               (choices_.counter ? 1 : 0);
    }

    // The last user destroys the handle. Returns true if this user was the last.
    bool leave_handle() {
        if (shared_->users.fetch_sub(1, std::memory_order_acq_rel) != 1)
            return false;
        state_->orphan();
        return true;
    }

    // Checks, while a caller holds its permits, that the limit is kept. Returns the turn.
    int hold(std::size_t permits) {
        if (shared_->holding.fetch_add(permits, std::memory_order_relaxed) + permits > choices_.highest_limit())
            fail("more permits are held than the highest limit");
        shared_->holding.fetch_sub(permits, std::memory_order_relaxed);
        if (!choices_.is_exclusive())
            return 0;
        if (shared_->occupied)
            fail("two hold one permit");
        shared_->occupied = true;
        const int turn = shared_->turns++;
        shared_->occupied = false;
        return turn;
    }

    void call(caller& c) {
        using flowguard::detail::wait_start;
        test_waiter& w = *c.waiter;
        int progress = caller::waits;
        if (choices_.try_first && (w.wanted > 1 ? state_->try_take_several(w.wanted) : state_->try_take(1, true))) {
            w.result = flowguard::detail::wait_result::granted;
            w.complete();
            progress |= caller::took;
        } else {
            fill_slot(c);
            if (const wait_start started = state_->wait(w); started != wait_start::queued) {
                w.end_rejected(*state_, started);
                count("not queued");
            }
        }
        c.progress->store(progress, std::memory_order_release);
    }

    void fill_slot(caller& c) {
        if (c.slot == nullptr)
            return;
        auto* claim = flowguard::detail::shared_claim::create(*state_, *c.waiter);
        c.waiter->share_claim(*claim);
        c.slot->share(*claim);
    }

    // The waiter's handler, on its executor.
    void handle(caller& c) {
        while (!c.waiter->has_ended())
            pause();
        const bool granted = c.waiter->was_granted();
        const std::size_t permits = c.waiter->wanted;
        ++c.endings;
        c.was_granted = granted;
        if (granted)
            c.turn = hold(permits);
        count(granted ? "granted" : c.waiter->name_of_result());
        if (c.slot == nullptr) // a slot's emission may come late
            wait_until_left_alone(c);
        delete c.waiter;
        c.returns = true;
        if (!granted)
            leave_handle();
        else if (choices_.hands_down)
            hand_down(permits);
        else
            give_back_granted(permits);
    }

    void give_back_granted(std::size_t permits) {
        if (choices_.bare) {
            state_->drop_references(1);
            give_back(permits, false);
            leave_handle();
        } else if (choices_.leaves_early) {
            leave_handle();
            give_back(permits, true);
        } else {
            give_back(permits, true);
            leave_handle();
        }
    }

    void give_back(std::size_t permits, bool with_reference) {
        if (permits > 1)
            state_->release_several(permits, with_reference);
        else if (with_reference)
            state_->release_with_reference(1);
        else
            state_->release(1);
    }

    void hand_down(std::size_t permits) {
        state_->drop_references(1);
        if (!leave_handle())
            state_->release(permits); // another user still waits for it
    }

    // Returns a permit that was taken while the scenario was set up.
    void give_back_first_permit() {
        hold(1);
        ++first_returns_;
        if (choices_.bare)
            state_->release(1);
        else
            state_->release_with_reference(1);
        shared_->first_returned.fetch_add(1, std::memory_order_release);
        if (choices_.holders_use_handle())
            leave_handle();
    }

    void try_to_overtake() {
        for (std::size_t i = 0; i < choices_.waiters; ++i)
            was_ahead_[i] = callers_[i].progress->load(std::memory_order_acquire) == caller::waits;
        if (state_->try_take(1, true)) {
            newcomers_turn_ = hold(1);
            state_->release_with_reference(1);
            count("newcomers");
        }
        leave_handle();
    }

    // Waits until the wait has begun. Then cancels it by the slot, if there is one. If not, acts as a timer does, which
    // must claim the waiter first.
    void cancel(caller& c) {
        const int progress = wait_for_call(c);
        if (c.slot != nullptr)
            (*c.slot)(asio::cancellation_type::terminal);
        else if ((progress & caller::took) == 0 && c.waiter->claim())
            state_->cancel_claimed(*c.waiter, flowguard::detail::wait_result::timed_out);
        c.left_alone->store(true, std::memory_order_release);
        delete c.slot;
    }

    static int wait_for_call(const caller& c) {
        int progress = 0;
        while ((progress = c.progress->load(std::memory_order_acquire)) == 0)
            pause();
        return progress;
    }

    static void wait_until_left_alone(const caller& c) {
        while (!c.left_alone->load(std::memory_order_acquire))
            pause();
    }

    // Of the calls that began before a look, the semaphore misses none: it is not idle before they return their
    // permits. The callers' state is read as it is now, without the model.
    void look_whether_idle() {
        wait_for_call(callers_[choose(choices_.waiters)]);
        for (int i = 0; i < 3; ++i) {
            std::array<bool, most_waiters> has_begun{};
            for (std::size_t k = 0; k < choices_.waiters; ++k)
                has_begun[k] = callers_[k].progress->load(std::memory_order_acquire) != 0;
            if (state_->is_idle()) {
                count("looks at an idle semaphore");
                if (first_returns_ < choices_.limit)
                    fail("a semaphore is idle, but the first permits are held");
                for (std::size_t k = 0; k < choices_.waiters; ++k)
                    callers_[k].was_missed |= has_begun[k] && !callers_[k].returns;
            }
            pause();
        }
        leave_handle();
    }

    // After the first permits were returned, no more callers hold permits than there are. None has returned what it did
    // not take, so a caller with two permits is never taken for two callers.
    void count_callers() {
        while (shared_->first_returned.load(std::memory_order_acquire) != choices_.limit)
            pause();
        for (int i = 0; i < 3; ++i) {
            const std::uint64_t calls = state_->calls();
            if (calls > choices_.waiters + (choices_.newcomer ? 1 : 0))
                fail("a caller was counted twice");
            if (calls != 0)
                count("callers");
            pause();
        }
        leave_handle();
    }

    void resize(std::size_t other_limit) {
        if (choices_.aside)
            state_->set_limit(choices_.last_limit());
        state_->set_limit(other_limit);
        state_->set_limit(choices_.last_limit());
        leave_handle();
    }

    void cancel_all() {
        state_->cancel_all();
        leave_handle();
    }

    void reopen() {
        state_->reopen();
        leave_handle();
    }

    void drain() {
        using flowguard::detail::queue_message;
        using flowguard::detail::wait_result;
        auto* w = new test_waiter(0, flowguard::detail::lane_number(), nullptr, queue_message::kind::drain);
        w->make_cancellable();
        state_->drain(*w, choices_.drain_ends);
        if (choices_.drain_is_cancelled && w->claim())
            state_->cancel_claimed(*w, wait_result::timed_out);
        while (!w->has_ended())
            pause();
        if (w->was_granted())
            look_at_idle();
        else if (w->result != wait_result::aborted && w->result != wait_result::timed_out)
            fail("a drain ended otherwise");
        delete w;
        leave_handle();
    }

    // After a drain that nothing follows, no thread uses a permit any more, and this one sees what their holders did.
    void look_at_idle() {
        count("drained");
        if (choices_.reopens)
            return;
        // Before the looks at the semaphore, which would make the holders' acts visible themselves.
        if (choices_.is_exclusive() && (shared_->occupied || shared_->turns < 1))
            fail("a holder's turn is missing");
        if (state_->in_flight() != 0 || state_->waiting() != 0 || state_->try_take(1, false))
            fail("a drain ended too early");
    }

    // No thread begins or cancels a wait in a context that is being destroyed. Afterwards nothing may complete there.
    void abandon() {
        wait_for_call(callers_[0]);
        wait_until_left_alone(callers_[0]);
        state_->abandon(*doomed_->address());
        delete doomed_;
    }

    void disturb() {
        switch (choices_.disturbs) {
        case disturbance::none:
            return;
        case disturbance::close:
            state_->close();
            break;
        case disturbance::cancel_all:
            state_->cancel_all();
            break;
        case disturbance::limits:
            return resize(choices_.aside ? choices_.limit : choices_.limit + 1);
        case disturbance::abandon:
            abandon();
            break;
        case disturbance::drain:
            return drain();
        }
        leave_handle();
    }

    void finish() {
        if (destroyed_ != 1)
            fail("the state was not destroyed once");
        for (std::size_t i = 0; i < choices_.waiters; ++i) {
            if (callers_[i].endings != 1)
                fail("a waiter did not end once");
            if (callers_[i].was_granted && callers_[i].was_missed)
                fail("a semaphore was idle, but a caller waited or held its permits");
            if (!(choices_.cancelled && i == 0))
                delete callers_[i].slot;
            if (choices_.is_exclusive() && was_ahead_[i] && newcomers_turn_ >= 0 && callers_[i].turn > newcomers_turn_)
                fail("a newcomer overtook a waiter");
        }
    }

    static constexpr std::size_t most_waiters = 2;

    const semaphore_choices choices_;
    const std::function<flowguard::detail::wait_policy()> policy_;
    const std::function<flowguard::detail::lane_number(std::size_t)> lane_;

    state* state_ = nullptr;
    test_context* doomed_ = nullptr;
    shared* shared_ = nullptr;
    std::array<caller, most_waiters> callers_;
    std::array<bool, most_waiters> was_ahead_{}; // whether the waiter waited before the newcomer came
    int newcomers_turn_ = -1;
    std::size_t first_returns_ = 0; // how many holders of the first permits have begun to return them
    int destroyed_ = 0;
};

} // namespace memory_model

#endif
