// deadlines.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The real Asio, and flow_guard::async_acquire(), under the memory model. Covers deadlines, cancellation by a slot, and
// timers of probes; guards that are destroyed while callers wait, or before their context; and contexts that are
// destroyed before or after the guard, or while callers of other contexts use the guard.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include <asio.hpp>

#include "flowguard.hpp"
#include "memory_model/quiet_buckets.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"
#include "memory_model/runtime/heap.hpp"

namespace {

using memory_model::choose;
using memory_model::fail;

// Stands still, except where the scenario sets it.
struct set_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<set_clock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept { return time_point(at); }

    static inline duration at{};
};

// Its probes do not lower the limit. Like other probes, they end after a time.
struct one_permit {
    static std::size_t current_limit() noexcept { return 1; }
    static flowguard::plan update(const flowguard::window&) noexcept {
        return probes ? flowguard::plan(1, 2, 1, std::chrono::microseconds(choose(30))) : flowguard::plan(1, 1);
    }

    static inline bool probes = false;
};

using guard = flowguard::flow_guard<one_permit, set_clock>;

constexpr std::size_t most_callers = 4; // three use the first guard, and one uses the second

enum class order { guard_first, context_first, context_last };

struct deadline_choices {
    std::size_t callers = 1 + choose(2);
    std::array<bool, most_callers> timed{choose(2) == 0, choose(2) == 0, choose(2) == 0, choose(2) == 0};
    bool cancelled = choose(2) == 0; // the first caller is, by its slot
    bool guard_goes = choose(2) == 0; // it is destroyed as soon as the last caller has begun to wait
    bool second_guard = choose(2) == 0; // in the same context
    bool retired_guards = choose(2) == 0; // guards that are destroyed have used the context
    bool context_dies = choose(4) == 0; // it is destroyed while callers may wait
    bool permit_stays = context_dies && choose(2) == 0;
    bool visited = choose(2) == 0; // by a caller of another context, which is destroyed while the guard is used
    bool probes = choose(2) == 0;
    order ends = static_cast<order>(choose(3));

    std::string describe() const {
        return std::to_string(callers) + " callers" + (timed[0] ? ", the first timed" : "") +
               (timed[1] ? ", the second timed" : "") + (cancelled ? ", the first cancelled" : "") +
               (guard_goes ? ", the guard goes" : "") + (second_guard ? ", a second guard" : "") +
               (retired_guards ? ", guards before" : "") + (context_dies ? ", the context dies" : "") +
               (permit_stays ? ", the permit stays" : "") + (visited ? ", a visitor" : "") +
               (probes ? ", probes" : "") + ", order " + std::to_string(static_cast<int>(ends));
    }
};

class deadline_scenario {
public:
    explicit deadline_scenario(const deadline_choices& choices) : choices_(choices) {}

    static memory_model::scenario make(const std::shared_ptr<deadline_scenario>& s) {
        const deadline_choices& choices = s->choices_;
        memory_model::scenario made{choices.describe(), {}};
        made.steps.set_up = [s] { s->set_up(); };
        made.steps.finish = [s] { s->finish(); };
        auto& threads = made.steps.threads;
        threads.emplace_back([s] { s->run_context(); });
        for (std::size_t i = choices.cancelled ? 1 : 0; i < choices.callers; ++i)
            threads.emplace_back([s, i] { s->call(i); });
        if (choices.second_guard)
            threads.emplace_back([s] { s->start(*s->second_, second_caller, *s->context_); });
        if (choices.visited)
            threads.emplace_back([s] { s->visit(); });
        if (!choices.permit_stays)
            threads.emplace_back([s] {
                s->held_->success();
                s->held_of_second_->success();
            });
        return made;
    }

private:
    static constexpr std::size_t second_caller = 2; // the caller that uses the second guard
    static constexpr std::size_t visitor = 3;

    enum class set_up_slot { no, yes };

    void set_up() {
        set_clock::at = std::chrono::milliseconds(1);
        one_permit::probes = choices_.probes;
        context_ = std::make_unique<asio::io_context>();
        users_ = std::make_unique<std::atomic<std::size_t>>(choices_.callers + (choices_.visited ? 1 : 0));
        if (choices_.visited)
            other_context_ = std::make_unique<asio::io_context>();
        signal_ = std::make_unique<asio::cancellation_signal>();
        flowguard::guard_options options;
        options.min_window = 1;
        options.order = flowguard::wait_order::fifo;
        first_ = std::make_unique<guard>(context_->get_executor(), one_permit(), options);
        second_ = std::make_unique<guard>(context_->get_executor(), one_permit());
        held_ = std::make_unique<guard::ticket>(first_->try_acquire());
        held_of_second_ = std::make_unique<guard::ticket>();
        if (choices_.second_guard)
            *held_of_second_ = second_->try_acquire();
        if (choices_.retired_guards)
            for (int i = 0; i < 2; ++i)
                retire_a_guard();
        // All uses of the slot run in the context's thread.
        if (choices_.cancelled)
            asio::post(*context_, [this] {
                start(*first_, 0, *context_, set_up_slot::yes);
                asio::post(*context_, [this] { signal_->emit(asio::cancellation_type::terminal); });
                leave_guard();
            });
    }

    void retire_a_guard() {
        guard old(context_->get_executor(), one_permit());
        guard::ticket t = old.try_acquire();
        old.async_acquire(asio::bind_executor(context_->get_executor(), [](flowguard::error_code, guard::ticket) {}));
        t.success();
        poll();
    }

    void poll() {
        context_->restart();
        context_->poll();
    }

    void run_context() {
        for (int i = 0; i < 10; ++i) {
            poll();
            memory_model::pause();
        }
    }

    void call(std::size_t i) {
        start(*first_, i, *context_);
        leave_guard();
    }

    // Waits in another context, which is then destroyed.
    void visit() {
        start(*first_, visitor, *other_context_);
        leave_guard();
        for (std::size_t polls = choose(3); polls > 0; --polls) {
            other_context_->restart();
            other_context_->poll();
        }
        other_context_.reset();
        if (completions_[visitor] == 0)
            memory_model::count("visitors abandoned");
    }

    void start(guard& where, std::size_t caller, asio::io_context& context, set_up_slot with_slot = set_up_slot::no) {
        flowguard::run_options<flowguard::default_classifier, set_clock> options;
        if (choices_.timed[caller])
            options.deadline = set_clock::now() + std::chrono::microseconds(1);
        auto handler =
            asio::bind_executor(context.get_executor(), [this, caller](flowguard::error_code e, guard::ticket t) {
                complete(caller, e, std::move(t));
            });
        if (with_slot == set_up_slot::yes)
            where.async_acquire(options, asio::bind_cancellation_slot(signal_->slot(), std::move(handler)));
        else
            where.async_acquire(options, std::move(handler));
        set_clock::at += std::chrono::microseconds(10); // now the caller's deadline has passed
    }

    void complete(std::size_t caller, flowguard::error_code e, guard::ticket t) {
        if (++completions_[caller] > 1)
            fail("a caller is told twice");
        if (static_cast<bool>(t) == static_cast<bool>(e))
            fail("a ticket with an error, or neither");
        if (!e)
            memory_model::count("granted");
        else if (e == flowguard::error::wait_timeout)
            memory_model::count("timed out");
        else if (e == asio::error::operation_aborted)
            memory_model::count("aborted");
        else
            fail("an unexpected error");
        t.success();
    }

    void leave_guard() {
        if (choices_.guard_goes && users_->fetch_sub(1, std::memory_order_acq_rel) == 1)
            first_.reset();
    }

    void finish() {
        if (first_ && first_->state_->loop_.watch_.number_ != 0)
            memory_model::count("watched");
        if (choices_.context_dies)
            end_context();
        else
            run_to_the_end();
        signal_.reset();
        held_.reset();
        held_of_second_.reset();
        users_.reset();
        if (choices_.ends == order::context_first)
            context_.reset();
        first_.reset();
        second_.reset();
        context_.reset();
        if (memory_model::heap::live_blocks() != 0)
            fail("%zu blocks of memory are left", memory_model::heap::live_blocks());
    }

    void end_context() {
        if (choices_.ends == order::guard_first)
            first_.reset();
        context_.reset();
        held_->success();
        held_of_second_->success();
        if (first_ && (first_->in_flight() != 0 || first_->waiting() != 0))
            fail("permits or waiters outlive their context");
        for (std::size_t i = 0; i < choices_.callers; ++i)
            if (completions_[i] == 0)
                memory_model::count("abandoned");
    }

    void run_to_the_end() {
        for (int i = 0; i < 4; ++i)
            poll();
        if (first_ && first_->in_flight() != 0)
            fail("permits are missing");
        if (first_ && first_->waiting() != 0)
            fail("a caller waits for ever");
        for (std::size_t i = 0; i < choices_.callers; ++i)
            if (completions_[i] != 1)
                fail("a caller is never told");
        if (choices_.second_guard && completions_[second_caller] != 1)
            fail("the second guard's caller is never told");
    }

    const deadline_choices choices_;
    std::unique_ptr<asio::io_context> context_;
    std::unique_ptr<asio::io_context> other_context_;
    std::unique_ptr<guard> first_;
    std::unique_ptr<guard> second_;
    std::unique_ptr<guard::ticket> held_;
    std::unique_ptr<guard::ticket> held_of_second_;
    std::unique_ptr<asio::cancellation_signal> signal_;
    std::unique_ptr<std::atomic<std::size_t>> users_; // callers that still use the first guard
    std::array<int, most_callers> completions_{};
};

memory_model::scenario make_scenario() {
    return deadline_scenario::make(std::make_shared<deadline_scenario>(deadline_choices()));
}

void keep_variables_per_thread() {
    // In this variable, Asio notes which contexts a thread is running.
    using call_stack = asio::detail::call_stack<asio::detail::thread_context, asio::detail::thread_info_base>;
    void** place = reinterpret_cast<void**>(&asio::detail::keyword_tss_ptr<call_stack::context>::value_);
    memory_model::keep_per_thread(*place);
    memory_model::keep_per_thread(reinterpret_cast<void*&>(flowguard::detail::post_attempt::innermost_));
}

} // namespace

int main(int argc, char** argv) {
    keep_variables_per_thread();
    asio::io_context context;
    const guard example(context.get_executor(), one_permit());
    memory_model::keep_buckets_quiet(*example.state_);
    return memory_model::check(
        argc, argv, {"granted", "timed out", "aborted", "abandoned", "visitors abandoned", "watched"}, make_scenario);
}
