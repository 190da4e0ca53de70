// timed_task.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Runs a task that is cancelled if it takes too long.
//
// In Asio, no coroutine can emit a cancellation to the operation that it waits for itself. So the task runs in a thread
// of coroutines of its own, as co_spawn makes it, with a cancellation signal of our own.
//
// A signal must not be emitted while a coroutine that it cancels runs on another thread. So the task runs on a *strand*
// of its caller's executor. The timer and the caller's own cancellation emit the signal on that strand. A task may
// leave its strand, to do blocking work on a pool: so its coroutine comes back to the strand before it ends.

#ifndef FLOWGUARD_DETAIL_ASIO_TIMED_TASK_HPP
#define FLOWGUARD_DETAIL_ASIO_TIMED_TASK_HPP

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/task_traits.hpp"

namespace flowguard::detail {

template <class Executor>
inline constexpr bool is_strand = false;
template <class Inner>
inline constexpr bool is_strand<asio::strand<Inner>> = true;

// The executor on which a task with a time-out runs. An executor of a type that no strand can take is returned as it
// is: it must then run one function at a time by itself, as a strand does. A strand is returned as it is, too. Asio's
// own executors are taken out of a type-erased one: a strand of that one would allocate memory at each of its steps.
template <class Executor>
Executor serialized(const Executor& executor) {
#if !defined(FLOWGUARD_NO_TYPEID)
    if constexpr (std::is_same_v<Executor, asio::any_io_executor>) {
        using of_context = asio::io_context::executor_type;
        using of_pool = asio::thread_pool::executor_type;
        // target() alone does not compare types in Asio 1.22.
        const std::type_info& type = executor.target_type();
        if (type == typeid(asio::strand<of_context>) || type == typeid(asio::strand<of_pool>) ||
            type == typeid(asio::strand<Executor>))
            return executor;
        if (type == typeid(of_context))
            return asio::make_strand(*executor.template target<of_context>());
        if (type == typeid(of_pool))
            return asio::make_strand(*executor.template target<of_pool>());
    }
#endif
    // To the type traits, any strand converts to any other one.
    if constexpr (!is_strand<Executor> && std::is_convertible_v<asio::strand<Executor>, Executor>)
        return asio::make_strand(executor);
    else
        return executor;
}

// Cancels one task: after a time, or when the task's caller is cancelled. Shared by the coroutines of the caller and of
// the task, the timer's handler, and functions on the strand; each of them may be the last. Everything that changes it
// happens on the strand, except for end() if the task is destroyed.
template <class Clock, class Executor>
class task_canceller : public std::enable_shared_from_this<task_canceller<Clock, Executor>> {
public:
    task_canceller(const Executor& executor, const until<Clock>& end)
        : strand_(detail::serialized(executor)), timer_(executor, end.time) {}

    const Executor& strand() const noexcept { return strand_; }
    asio::cancellation_slot slot() noexcept { return signal_.slot(); }

    // Starts the timer. Called when the task's coroutine runs: before that, co_spawn still fills the slot, on another
    // thread. The timer's handler comes to the strand only if the time is over.
    void start() {
        timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
            if (!error)
                self->on_strand([](task_canceller& c) {
                    c.has_expired_ = true;
                    c.signal_.emit(asio::cancellation_type::terminal);
                });
        });
    }

    // Passes on a cancellation of the caller, from any thread.
    void forward(asio::cancellation_type type) {
        on_strand([type](task_canceller& c) { c.signal_.emit(type); });
    }

    // Tells the task that its caller was cancelled before it began. Called by the task's coroutine.
    void begin_cancelled(asio::cancellation_type type) {
        if (type != asio::cancellation_type::none)
            signal_.emit(type);
    }

    // Called when the task has ended, or is destroyed. If it is destroyed with another context than the strand's, this
    // runs on any thread. Relaxed: on the strand, it only says what is in order there already.
    void end() {
        has_ended_.store(true, std::memory_order_relaxed);
        timer_.cancel();
    }

    // Whether the time was over before the task had ended. Called on the strand.
    bool has_expired() const noexcept { return has_expired_; }

private:
    // Calls a function on the strand, unless the task has ended by then.
    template <class F>
    void on_strand(F f) {
        asio::dispatch(strand_, [self = this->shared_from_this(), f] {
            if (!self->has_ended_.load(std::memory_order_relaxed))
                f(*self);
        });
    }

    const Executor strand_;
    asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor> timer_;
    asio::cancellation_signal signal_;
    bool has_expired_ = false;
    std::atomic<bool> has_ended_{false};
};

// The handler in the slot of the caller. It does not keep the canceller: the slot may outlive the context.
template <class Canceller>
class forwarded_cancellation {
public:
    explicit forwarded_cancellation(const std::shared_ptr<Canceller>& to) : to_(to) {}

    void operator()(asio::cancellation_type type) {
        if (const auto canceller = to_.lock())
            canceller->forward(type);
    }

private:
    std::weak_ptr<Canceller> to_;
};

// What a task finds of its caller's cancellation when it begins.
struct cancellation_so_far {
    asio::cancellation_type cancelled;
    bool throws; // as of this_coro::throw_if_cancelled
};

// The coroutine of the task's own thread. It lets all types of cancellation through, because the caller's coroutine has
// chosen already which types reach its task. The result goes into the caller's frame, as co_spawn would need a default
// constructor to pass it on.
template <class MakeTask, class Result, class Canceller, class Executor>
asio::awaitable<void, Executor> run_beside(MakeTask& make_task, std::optional<Result>& result,
                                           std::shared_ptr<Canceller> canceller, cancellation_so_far so_far,
                                           bool& has_expired, const Executor*) {
    struct end_of_task {
        explicit end_of_task(Canceller& c) noexcept : canceller(c) {}
        end_of_task(const end_of_task&) = delete;
        end_of_task& operator=(const end_of_task&) = delete;
        ~end_of_task() { canceller.end(); }

        Canceller& canceller;
    };
    const end_of_task at_end(*canceller);
    canceller->start();
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await asio::this_coro::throw_if_cancelled(so_far.throws);
    canceller->begin_cancelled(so_far.cancelled);
    std::exception_ptr exception;
    try {
        if constexpr (std::is_same_v<Result, std::monostate>) {
            co_await detail::checked(make_task());
            result.emplace();
        } else {
            result.emplace(co_await detail::checked(make_task()));
        }
    } catch (...) {
        exception = std::current_exception();
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    // To the strand. Not by a dispatch: the caller would go on inside it, and calls in a loop would overflow the stack.
    co_await asio::post(asio::use_awaitable_t<Executor>());
    has_expired = canceller->has_expired();
    if (exception)
        std::rethrow_exception(std::move(exception));
}

// Runs the task that make_task() makes. If it has not ended after the time-out, sets `has_expired`, cancels the task,
// and waits for its end. Returns or throws what the task does, on the caller's executor. Both arguments must exist
// until then.
template <class Clock, class MakeTask, class Task = std::invoke_result_t<MakeTask&>>
Task run_in_time(MakeTask& make_task, typename Clock::duration timeout, bool& has_expired) {
    using executor = typename awaited<Task>::executor;
    using result_type = typename awaited<Task>::result;
    using canceller_type = task_canceller<Clock, executor>;
    const executor here = co_await asio::this_coro::executor;
    const auto canceller =
        std::allocate_shared<canceller_type>(asio::recycling_allocator<canceller_type>(), here, after<Clock>(timeout));
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    const asio::cancellation_state caller = co_await asio::this_coro::cancellation_state;
    if (auto slot = caller.slot(); slot.is_connected())
        slot.template emplace<forwarded_cancellation<canceller_type>>(canceller);
    std::optional<std::conditional_t<std::is_void_v<result_type>, std::monostate, result_type>> result;
    co_await asio::co_spawn(canceller->strand(),
                            run_beside(make_task, result, canceller, {caller.cancelled(), throws}, has_expired, &here),
                            asio::bind_cancellation_slot(canceller->slot(), asio::use_awaitable_t<executor>()));
    if constexpr (!std::is_void_v<result_type>)
        co_return std::move(*result);
}

} // namespace flowguard::detail

#endif
