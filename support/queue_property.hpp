// queue_property.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_QUEUE_PROPERTY_HPP
#define FLOWGUARD_SUPPORT_QUEUE_PROPERTY_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/shared_claim.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/queue/waiting_lanes.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"
#include "support/byte_source.hpp"
#include "support/manual_clock.hpp"

// The property that the queue of a semaphore must have, whatever its callers do, and in whatever order. Bytes decide
// what is done. The unit test draws the bytes at random, the fuzzer breeds them, and both check the same property.
namespace support {

// A semaphore, all that is done to it, on one thread, and a model of it. The model knows who waits and who holds
// permits, but not whose turn it is, except where that is plain. After each step, the rules at the end of this class
// are checked.
class queue_world {
public:
    using wait_result = flowguard::detail::wait_result;

    explicit queue_world(std::span<const std::uint8_t> bytes)
        : from_(bytes), kind_(any_kind()), limit_(any_limit()), state_(new state(*this, limit_, kind_.policy)) {
        manual_clock::at = std::chrono::nanoseconds(0);
        if (kind_.has_flows)
            state_->prepare_flows();
    }

    queue_world(const queue_world&) = delete;
    queue_world& operator=(const queue_world&) = delete;

    // Makes all steps, until a rule is broken or the bytes are used up, and destroys the semaphore.
    void run() {
        while (!from_.empty() && wrong_.empty())
            make_step();
        destroy_handle();
    }

    // The step and the first rule that was broken; empty if none was.
    const std::string& wrong() const { return wrong_; }

    // How many waiters ended like this.
    std::size_t ends(wait_result how) const { return ends_[static_cast<std::size_t>(how)]; }
    std::size_t drains_through() const { return drains_through_; }

    // How many callers with fewer permits were served while an older waiter was aside, and wanted more than the limit.
    std::size_t served_beside() const { return served_beside_; }

private:
    using semaphore_state = flowguard::detail::semaphore_state;
    using wait_start = flowguard::detail::wait_start;
    using lane_number = flowguard::detail::lane_number;
    using arrival = flowguard::detail::queue_message::kind;

    // ---- The parts ----

    struct state final : semaphore_state {
        state(queue_world& world, std::size_t limit, const flowguard::detail::wait_policy& policy)
            : semaphore_state(limit, policy), world_(world) {}
        ~state() override { world_.state_ = nullptr; }

    private:
        queue_world& world_;
    };

    // A caller that waits, or a drain. It exists until the end of the world, so that a second end is noticed.
    class waiting_caller final : public flowguard::detail::flow_waiter {
    public:
        waiting_caller(queue_world& world, std::size_t permits, lane_number its_lane, arrival how,
                       asio::execution_context* home)
            : flow_waiter(permits, how), world_(world), home_(home) {
            lane = its_lane;
        }
        virtual ~waiting_caller() = default;

        void complete() noexcept override { end(); }
        void destroy() noexcept override {
            is_destroyed = true;
            end();
        }
        void watch() noexcept override {
            world_.wants_watch_ = false;
            has_ended_when_asked_to_watch = ends != 0;
        }
        asio::execution_context* context() override { return home_; }

        bool has_arrived_as_drain() const {
            return static_cast<const flowguard::detail::enqueue_message&>(*this).what == arrival::drain;
        }

        int ends = 0;
        bool is_destroyed = false;
        bool has_ended_when_asked_to_watch = false;
        std::optional<wait_result> told_to_end; // as this; without it, only the queue decides

    private:
        void end() noexcept {
            ++ends;
            world_.ended_.push_back(this);
        }

        queue_world& world_;
        asio::execution_context* const home_;
    };
    using callers = std::list<std::unique_ptr<waiting_caller>>; // oldest first

    // Permits in use.
    struct holding {
        std::size_t permits;
        std::size_t partition;
    };

    // What kind of semaphore it is, and what its callers want.
    struct kind {
        flowguard::detail::wait_policy policy{};
        bool has_flows = false;
        bool has_priorities = false;
        bool has_weights = false; // some callers want several permits

        // That of a guard: a caller that wants more than the limit runs alone. Otherwise it waits aside.
        bool is_guard() const { return policy.runs_alone; }
        bool is_bounded() const { return policy.max_waiters <= most_waiters; }
        bool adapts() const { return policy.order == flowguard::wait_order::adaptive; }
        std::size_t partitions() const { return std::max<std::size_t>(policy.shares.size(), 1); }

        // Whether only the priority and the time of arrival decide whose turn it is.
        bool has_plain_order() const {
            return !adapts() && policy.ageing == std::chrono::nanoseconds::max() && partitions() == 1 && !has_flows;
        }
    };
    enum class gate { open, draining, closed };

    static constexpr std::size_t most_waiters = 7;

    // ---- Choices ----

    std::size_t below(std::size_t n) { return from_.take<std::uint8_t>() % n; }
    bool chance(std::size_t one_in) { return below(one_in) == 0; }

    kind any_kind() {
        kind k;
        k.has_weights = !chance(4);
        if (!chance(3))
            k.policy.max_waiters = below(most_waiters + 1);
        k.policy.runs_alone = !chance(3);
        if (!k.policy.runs_alone)
            return k;
        k.has_flows = !chance(4);
        k.has_priorities = chance(2);
        k.policy.now = []() noexcept -> std::chrono::nanoseconds { return manual_clock::at; };
        if (!chance(3)) {
            k.policy.order = flowguard::wait_order::adaptive;
            k.policy.times = {std::chrono::nanoseconds(5), std::chrono::nanoseconds(20)};
        }
        if (chance(3))
            k.policy.ageing = std::chrono::nanoseconds(10);
        if (chance(3))
            k.policy.shares = {0.5, 0.3, 0.2, 0.0};
        return k;
    }

    // A guard's limit is at least 1.
    std::size_t any_limit() { return kind_.is_guard() ? 1 + below(7) : below(8); }
    std::size_t any_permits() { return kind_.has_weights && chance(2) ? 1 + below(8) : 1; }

    lane_number any_lane() {
        const auto priority = kind_.has_priorities ? static_cast<flowguard::priority>(below(flowguard::priority_count))
                                                   : flowguard::priority::critical;
        return lane_number(below(kind_.partitions()), priority);
    }

    asio::execution_context* any_context() {
        const std::size_t i = below(contexts_.size() + 1);
        return i == contexts_.size() ? nullptr : &contexts_[i];
    }

    std::unique_ptr<waiting_caller> any_caller(arrival how, std::size_t permits, lane_number lane) {
        auto w = std::make_unique<waiting_caller>(*this, permits, lane, how, any_context());
        if (kind_.has_flows && how == arrival::enqueue && chance(2))
            w->set_flow(below(3));
        switch (below(3)) {
        case 0: // it is never cancelled alone
            break;
        case 1:
            w->make_cancellable();
            break;
        default:
            w->share_claim(*flowguard::detail::shared_claim::create(*state_, *w));
            break;
        }
        return w;
    }

    static waiting_caller& any_of(const callers& those, std::size_t number) {
        return **std::next(those.begin(), static_cast<std::ptrdiff_t>(number));
    }

    // ---- Steps ----

    struct operation {
        const char* name;
        std::size_t weight; // how often, compared with the others
        void (queue_world::*make)();
    };

    void make_step() {
        static constexpr std::array operations{
            operation{"wait", 36, &queue_world::wait},
            operation{"try_take", 6, &queue_world::try_take},
            operation{"release", 36, &queue_world::release},
            operation{"pass_time", 12, &queue_world::pass_time},
            operation{"cancel_one", 6, &queue_world::cancel_one},
            operation{"set_limit", 12, &queue_world::set_limit},
            operation{"bar_or_unbar", 3, &queue_world::bar_or_unbar},
            operation{"want_watch", 2, &queue_world::want_watch},
            operation{"cancel_all", 1, &queue_world::cancel_all},
            operation{"cancel_all_of", 2, &queue_world::cancel_all_of},
            operation{"abandon", 2, &queue_world::abandon},
            operation{"close", 1, &queue_world::close},
            operation{"drain", 2, &queue_world::drain},
            operation{"cancel_drain", 1, &queue_world::cancel_drain},
            operation{"reopen", 4, &queue_world::reopen},
        };
        constexpr std::size_t sum = [] {
            std::size_t weights = 0;
            for (const operation& o : operations)
                weights += o.weight;
            return weights;
        }();

        ++step_;
        std::size_t choice = below(sum);
        const operation* chosen = operations.data();
        for (; choice >= chosen->weight; ++chosen)
            choice -= chosen->weight;
        doing_ = chosen->name;
        std::invoke(chosen->make, *this);
        follow_ends();
        check();
    }

    void wait() {
        waiting_.push_back(any_caller(arrival::enqueue, any_permits(), any_lane()));
        waiting_caller& w = *waiting_.back();
        const std::size_t before = waiting_.size() - 1;
        const wait_start start = state_->wait(w);
        const bool is_shut = gate_ != gate::open;
        require(start != (is_shut ? wait_start::queued : wait_start::closed),
                "wait() queues a caller only if the gate is open");
        if (start == wait_start::full)
            require(kind_.is_bounded() && before >= kind_.policy.max_waiters,
                    "wait() is rejected as full only if it is");
        if (start != wait_start::queued)
            move_to_past(waiting_, w);
    }

    void try_take() {
        const std::size_t permits = any_permits();
        const lane_number lane = any_lane();
        const bool expected = gate_ == gate::open && !is_barred_ && !is_in_line() && fits(permits);
        const bool took = kind_.is_guard() ? state_->try_take<true>(permits, true) : state_->try_take(permits, true);
        require(took == expected, "try_take() takes permits exactly if they are free and no caller waits for them");
        if (!took)
            return;
        if (state_->shares().enabled())
            state_->shares().enter(lane.partition(), permits);
        hold(permits, lane.partition());
    }

    void release() {
        if (held_.empty())
            return;
        const auto chosen = held_.begin() + static_cast<std::ptrdiff_t>(below(held_.size()));
        const holding h = *chosen;
        held_.erase(chosen);
        in_flight_ -= h.permits;
        if (state_->shares().enabled())
            state_->shares().leave(h.partition, h.permits);
        if (chance(3)) {
            state_->drop_references(1);
            require(state_->release(h.permits), "permits that are held can be released");
        } else {
            state_->release_with_reference(h.permits);
        }
    }

    // Time has effect when the owner looks.
    void pass_time() {
        manual_clock::at += std::chrono::nanoseconds(1 + below(16));
        let_owner_look();
    }

    void let_owner_look() { state_->finish_change(state_->begin_limit_below_bar(limit_)); }

    void cancel_one() {
        if (!waiting_.empty())
            cancel(any_of(waiting_, below(waiting_.size())));
    }

    void cancel_drain() {
        if (!drains_.empty())
            cancel(any_of(drains_, below(drains_.size())));
    }

    void cancel(waiting_caller& w) {
        if (!w.claim())
            return;
        w.told_to_end = chance(2) ? wait_result::aborted : wait_result::timed_out;
        state_->cancel_claimed(w, *w.told_to_end);
    }

    void set_limit() {
        limit_ = any_limit();
        is_barred_ = false;
        state_->set_limit(limit_);
    }

    void bar_or_unbar() {
        if (!kind_.is_guard())
            return;
        const bool was_barred = std::exchange(is_barred_, chance(2));
        if (is_barred_)
            require(state_->bar() == !was_barred, "bar() tells whether it was barred");
        else
            require(state_->unbar() == was_barred, "unbar() tells whether it was barred");
    }

    void want_watch() {
        wants_watch_ = true;
        state_->want_watch();
    }

    void cancel_all() {
        tell_to_end(waiting_, wait_result::aborted);
        state_->cancel_all();
    }

    void cancel_all_of() {
        asio::execution_context& context = contexts_[below(contexts_.size())];
        tell_to_end(waiting_, wait_result::aborted, &context);
        state_->cancel_all_of(context);
    }

    void abandon() {
        asio::execution_context& context = contexts_[below(contexts_.size())];
        tell_to_end(waiting_, wait_result::abandoned, &context);
        tell_to_end(drains_, wait_result::abandoned, &context);
        state_->abandon(context);
    }

    void close() {
        shut(gate::closed);
        state_->close();
    }

    void drain() {
        const bool ends_waiters = chance(3);
        drains_.push_back(any_caller(arrival::drain, 0, lane_number()));
        shut(ends_waiters ? gate::closed : gate::draining);
        state_->drain(*drains_.back(), ends_waiters);
    }

    void reopen() {
        gate_ = gate::open;
        tell_to_end(drains_, wait_result::aborted);
        state_->reopen();
    }

    // The last step. Those who hold permits go on afterwards, and the last of them destroys the state.
    void destroy_handle() {
        doing_ = "orphan";
        ++step_;
        gate_ = gate::closed;
        tell_to_end(waiting_, wait_result::aborted);
        tell_to_end(drains_, wait_result::aborted);
        state_->orphan();
        follow_ends();
        require(waiting_.empty() && drains_.empty(), "no caller waits for a semaphore that is destroyed");
        for (const holding& h : held_) {
            require(state_ != nullptr, "the state exists while a caller holds a permit");
            if (state_ != nullptr)
                state_->release_with_reference(h.permits);
        }
        require(state_ == nullptr, "the last permit that is released destroys the state");
    }

    // ---- The model ----

    std::int64_t free_permits() const {
        return static_cast<std::int64_t>(limit_) - static_cast<std::int64_t>(in_flight_);
    }

    // Whether a caller may have so many permits now, by the limit.
    bool fits(std::size_t permits) const {
        return static_cast<std::int64_t>(permits) <= free_permits() || (kind_.is_guard() && in_flight_ == 0);
    }

    // Whether a waiter can be served under this limit. If not, it is aside. Under the limit 0, permits come only from
    // releases: any waiter is in line.
    bool is_within_reach(const waiting_caller& w) const {
        return kind_.is_guard() || limit_ == 0 || w.wanted <= limit_;
    }

    bool is_in_line() const {
        return std::any_of(waiting_.begin(), waiting_.end(), [this](const auto& w) { return is_within_reach(*w); });
    }

    void hold(std::size_t permits, std::size_t partition) {
        held_.push_back({permits, partition});
        in_flight_ += permits;
    }

    void shut(gate at_least) {
        gate_ = std::max(gate_, at_least);
        if (gate_ == gate::closed)
            tell_to_end(waiting_, wait_result::closed);
    }

    // Those of a context, or all.
    static void tell_to_end(const callers& those, wait_result how, const asio::execution_context* of = nullptr) {
        for (const auto& w : those)
            if (of == nullptr || w->context() == of)
                w->told_to_end = how;
    }

    bool move_to_past(callers& from, const waiting_caller& w) {
        const auto found = std::find_if(from.begin(), from.end(), [&](const auto& other) { return other.get() == &w; });
        if (found == from.end())
            return false;
        past_.splice(past_.end(), from, found);
        return true;
    }

    // Takes over what was completed in this step, in that order.
    void follow_ends() {
        for (waiting_caller* w : std::exchange(ended_, {})) {
            completes_once(*w);
            if (!wrong_.empty())
                return;
            ends_for_a_reason(*w);
            w->has_arrived_as_drain() ? follow_end_of_drain(*w) : follow_end_of_waiter(*w);
        }
    }

    void follow_end_of_waiter(waiting_caller& w) {
        ++ends_[static_cast<std::size_t>(w.result)];
        if (w.result == wait_result::granted) {
            stays_within_limit(w);
            if (kind_.has_plain_order())
                overtakes_no_older(w);
            hold(w.wanted, w.lane.partition());
        }
        require(move_to_past(waiting_, w), "only a waiter that was queued is completed");
    }

    void follow_end_of_drain(waiting_caller& w) {
        if (w.result == wait_result::granted) {
            ++drains_through_;
            // abandon() destroys waiters at its end, when the owner has already completed the drains.
            const auto has_ended = [](const auto& waiter) { return waiter->ends != 0; };
            require(std::all_of(waiting_.begin(), waiting_.end(), has_ended) && in_flight_ == 0,
                    "a drain ends only when nothing is left");
        }
        require(move_to_past(drains_, w), "only a drain that was posted is completed");
    }

    // ---- The rules for a waiter that ends ----

    void completes_once(const waiting_caller& w) {
        require(w.ends == 1, "each waiter completes once");
        require(w.is_destroyed == (w.result == wait_result::abandoned), "a waiter is destroyed exactly if abandoned");
    }

    void ends_for_a_reason(const waiting_caller& w) {
        switch (w.result) {
        case wait_result::granted:
            require(!is_barred_ || w.has_arrived_as_drain(), "no permit is granted while the semaphore is barred");
            require(gate_ != gate::closed || w.has_arrived_as_drain(), "no permit is granted while it is closed");
            require(!w.told_to_end, "a waiter that was told to end is granted nothing");
            break;
        case wait_result::shed:
            require(kind_.is_bounded(), "a waiter is shed only if their number is bounded");
            break;
        case wait_result::overdue:
            require(kind_.adapts(), "a waiter is overdue only in an adaptive queue");
            break;
        default:
            require(w.told_to_end == w.result, "a waiter ends as it was told to");
            break;
        }
    }

    void stays_within_limit(const waiting_caller& w) {
        require(fits(w.wanted), "no more permits are in flight than the limit allows");
    }

    // First in, first out, within a priority. `w` may overtake an older waiter only if that one cannot be served under
    // this limit. It may have overtaken it earlier, too: the limit was enough for `w` alone, so that `w` came back from
    // aside first. So nothing is said of an older waiter that wants more than `w`, unless `w` wants one permit: it was
    // never aside.
    void overtakes_no_older(const waiting_caller& w) {
        bool is_older = true;
        for (const auto& other : waiting_) {
            if (other.get() == &w) {
                is_older = false;
                continue;
            }
            if (other->ends != 0 && other->result != wait_result::granted)
                continue; // it ended in the same step
            if (other->lane.index() == w.lane.index() && is_older) {
                const bool goes_first =
                    is_within_reach(*other) && (kind_.is_guard() || w.wanted == 1 || other->wanted <= w.wanted);
                require(!goes_first, "waiters of one priority are served first in, first out");
                served_beside_ += goes_first ? 0 : 1;
            }
            require(other->lane.index() >= w.lane.index(), "a waiter of a higher priority is served first");
        }
    }

    // ---- The rules after each step ----

    void check() {
        counts_what_the_model_holds();
        bounds_the_waiters();
        ends_those_told_to_end();
        ends_the_drains();
        leaves_no_permit_unused();
        leaves_nothing_to_do();
        tells_what_is_available();
        asks_for_a_watch();
    }

    void counts_what_the_model_holds() {
        require(state_->in_flight() == in_flight_, "in_flight() is what callers hold");
        require(state_->waiting() == waiting_.size(), "waiting() is how many callers wait");
        require(state_->is_closed() == (gate_ != gate::open), "is_closed() tells whether the gate is shut");
        require(state_->is_idle() == (in_flight_ == 0 && waiting_.empty()), "is_idle() tells whether nothing is left");
    }

    void bounds_the_waiters() {
        if (kind_.is_bounded())
            require(waiting_.size() <= kind_.policy.max_waiters, "no more callers wait than may");
    }

    // A closed queue has no waiters, either: they were told to end, and no other was queued.
    void ends_those_told_to_end() {
        const auto is_told = [](const auto& w) { return w->told_to_end.has_value(); };
        require(std::none_of(waiting_.begin(), waiting_.end(), is_told), "no caller waits that was told to end");
        require(std::none_of(drains_.begin(), drains_.end(), is_told), "no drain goes on that was told to end");
        require(gate_ != gate::closed || waiting_.empty(), "no caller waits in a closed queue");
    }

    void ends_the_drains() {
        require(gate_ != gate::open || drains_.empty(), "no drain goes on when the gate is open");
        if (waiting_.empty() && in_flight_ == 0)
            require(drains_.empty(), "a drain ends when nothing is left");
    }

    // The waiter whose turn it is may want more than is free. Nothing else keeps a permit from those in line.
    void leaves_no_permit_unused() {
        if (is_barred_ || !is_in_line())
            return;
        const bool all_fit = std::all_of(waiting_.begin(), waiting_.end(),
                                         [this](const auto& w) { return !is_within_reach(*w) || fits(w->wanted); });
        require(!all_fit, "no caller waits while a permit is free that it could have");
    }

    // Whoever has the turn, and whatever was shed: if the owner looks again, and nothing has changed, it finds nothing
    // to do.
    void leaves_nothing_to_do() {
        let_owner_look();
        require(ended_.empty(), "the owner leaves nothing to do");
    }

    void tells_what_is_available() {
        const bool is_kept = gate_ != gate::open || is_barred_ || is_in_line();
        const std::int64_t expected = is_kept ? 0 : std::max<std::int64_t>(free_permits(), 0);
        require(static_cast<std::int64_t>(state_->available()) == expected,
                "available() is what try_take() could take");
    }

    void asks_for_a_watch() {
        require(!wants_watch_ || !is_in_line(), "a waiter in line is asked to watch, if a watch is wanted");
        const auto is_late = [](const auto& w) { return w->has_ended_when_asked_to_watch; };
        require(std::none_of(past_.begin(), past_.end(), is_late), "no waiter that has ended is asked to watch");
    }

    // Keeps the first rule that is broken.
    void require(bool holds, const char* rule) {
        if (holds || !wrong_.empty())
            return;
        wrong_ = "step " + std::to_string(step_) + ", " + doing_ + ": not so: " + rule + ": limit " +
                 std::to_string(limit_) + ", in flight " + std::to_string(in_flight_) + ", waiting " +
                 std::to_string(waiting_.size());
    }

    byte_source from_;
    const kind kind_;
    std::array<asio::execution_context, 2> contexts_;

    std::size_t limit_;
    bool is_barred_ = false;
    gate gate_ = gate::open;
    bool wants_watch_ = false; // and no waiter was asked yet
    callers waiting_;
    callers drains_;
    callers past_;
    std::vector<waiting_caller*> ended_; // in this step
    std::vector<holding> held_;
    std::size_t in_flight_ = 0;
    state* state_; // null when it was destroyed

    int step_ = 0;
    const char* doing_ = "";
    std::string wrong_;
    std::array<std::size_t, 8> ends_{}; // by wait_result
    std::size_t drains_through_ = 0;
    std::size_t served_beside_ = 0;
};

} // namespace support

#endif
