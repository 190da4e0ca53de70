// flow_guard.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_FLOW_GUARD_HPP
#define FLOWGUARD_FLOW_GUARD_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "flowguard/classify.hpp"
#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/call_form.hpp"
#include "flowguard/detail/asio/completion_executor.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/own_executor.hpp"
#include "flowguard/detail/asio/owning_temporary.hpp"
#include "flowguard/detail/asio/task_traits.hpp"
#include "flowguard/detail/asio/timed_task.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/misuse.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/control/drain.hpp"
#include "flowguard/detail/control/guard_state.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/wait_queue.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/detail/semaphore/thread_wait.hpp"
#include "flowguard/detail/semaphore/wait_operation.hpp"
#include "flowguard/drain_options.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/run_options.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "flowguard/ticket.hpp"

namespace flowguard {

namespace detail {

template <class T>
inline constexpr bool is_run_options = false;
template <class Classifier, class Clock>
inline constexpr bool is_run_options<run_options<Classifier, Clock>> = true;

template <class T, class Clock>
inline constexpr bool is_run_options_of = false;
template <class Classifier, class Clock>
inline constexpr bool is_run_options_of<run_options<Classifier, Clock>, Clock> = true;

// Options whose deadline is in the time of that clock.
template <class T, class Clock>
concept options_of = is_run_options_of<std::remove_cvref_t<T>, Clock>;

template <class T>
concept no_options = !is_run_options<std::remove_cvref_t<T>>;

// The result of the task that a callable makes without arguments.
template <class F>
using result_by = typename awaited<std::invoke_result_t<std::decay_t<F>&>>::result;

// A classifier or options, which may follow a callable that needs no arguments.
template <class T, class F>
concept how_to_run = is_run_options<std::remove_cvref_t<T>> || classifies_task<std::decay_t<T>, result_by<F>>;

// A callable that is followed by its arguments.
template <class F, class... Args>
concept call_with_arguments =
    sizeof...(Args) != 0 && task_call<F, Args...> && !(sizeof...(Args) == 1 && (how_to_run<Args, F> && ...));

// A callable that is followed by nothing, or by a classifier or options.
template <class F, class... How>
concept call_without_arguments =
    sizeof...(How) <= 1 && task_factory<std::decay_t<F>> && !call_with_arguments<F, How...>;

// What a call without options may be given: a callable and its arguments; or a task, or a callable without arguments,
// and perhaps a classifier.
template <class F, class... Rest>
concept what_to_run =
    no_options<F> &&
    (call_with_arguments<F, Rest...> ||
     ((call_without_arguments<F, Rest...> || (task<F> && sizeof...(Rest) <= 1)) && (no_options<Rest> && ...)));

// The same for a call with options after it.
template <class F, class Options>
concept what_to_run_with = task<F> || call_without_arguments<F, Options>;

} // namespace detail

/// Limits how many tasks run at once, and finds that limit by itself, from how long the tasks take.
///
///     flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
///
///     asio::awaitable<void> handle(request r) {
///         auto rows = co_await guard.run(query_database(r)); // waits, or is shed, while too many are in flight
///         co_await reply(r, rows);
///     }
///
/// A call is admitted when a permit is free. A burst of calls waits, and is served first come, first served. In an
/// overload, calls that have waited too long are shed: see wait_order. The guard times each call from its admission to
/// its end. A *window* of such samples goes to the strategy, which answers with a new limit. All of this happens inside
/// the calls. The guard has no thread, and an idle guard costs nothing. The guard itself has at most one timer, on the
/// executor of a caller that waits, and only while a strategy has lowered the limit for a bounded time, or below one:
/// see plan::within and plan::spacing. A wait with an end, and a task or a drain with a time-out, have a timer each. An
/// admitted call costs one compare-and-swap, a clock read, the task, a clock read, a few relaxed atomic additions, and
/// one compare-and-swap. It does not suspend if a permit is free, and allocates nothing, except for the first call (see
/// *Memory*) and for a task with a time-out.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: safe, except for construction and destruction. Calls are
/// lock-free, except for those that block a thread, as run_blocking(), and for short locks in these cases:
/// - those of dynamic_semaphore, among them a blocked thread's own mutex: to end its wait, and to ask it to watch a
///   probe or a spacing;
/// - the first call, and the call that closes a window;
/// - the admission that takes the last slot of a probe, and the call that ends an overdue one;
/// - the first admission after a change by hand, as by pin_limit();
/// - while callers wait, once or twice for each time that a strategy lowers the limit, and for each admission under a
///   limit below one.
///
/// *Memory.* A guard with the default strategy takes less than 3 KB until it is used. The first call that is
/// admitted allocates 15 KB for windows and histograms, and the first entry of the trace allocates
/// guard_options::trace entries. They stay until the guard is destroyed. If one of these allocations fails, no call is
/// affected: a call that was admitted is no sample, or an entry of the trace is missing, and the next one tries again.
///
/// *Rejections.* run() throws if the call is not admitted. run_as_tuple() returns an error_code instead, try_run() and
/// try_run_for() return no result. With these three, a call that is rejected before it waits costs no more than one
/// that is admitted. It does not suspend; so a loop that repeats rejected calls must wait in between, for other
/// coroutines to run.
///
/// *Completion.* A coroutine resumes on its own executor. For handlers, see dynamic_semaphore; a handler without an
/// associated executor is called through the guard's. If the guard was made without one, such a handler is rejected: it
/// would run on a thread of the system, at the same time as the rest of a program that has only one thread.
///
/// *Waiting* can be bounded in number and in time. Its order adapts to overload, unless it is told not to, and can
/// follow priorities and shares: see guard_options, and run_options for one call. A program whose callers must wait for
/// as long as it takes uses guard_options::for_batch(). If a permit is free and no caller waits, any call gets it. A
/// call that finds the queue full is rejected before it enters the queue, unless it may evict a waiter: so a flood of
/// calls costs the threads that make them, and delays no other caller. Time-outs are kept by timers in the waiters' own
/// operations, as for dynamic_semaphore.
///
/// *Cancellation.* While a call waits for a permit, it supports all types of cancellation. It then ends with
/// `asio::error::operation_aborted`, and its task is not started. After admission, the cancellation reaches the task,
/// of each type that the caller's coroutine lets through. The task then counts as ignored only if the caller was
/// cancelled: see default_classifier.
/// For when a signal may be emitted, used again or destroyed, see dynamic_semaphore.
///
/// *Time-outs.* Give the guard, or a call, a `timeout`. If a task has not ended that long after its admission, it is
/// cancelled, with `cancellation_type::terminal`, and the guard waits for its end. The call then
/// - ends with `error::task_timeout` if the task ends with a system_error of `operation_aborted`, as a cancelled
///   operation does. run_as_tuple() returns this error; all other forms throw it;
/// - returns or throws what the task does, if that is anything else. A task that ignores its cancellation may still
///   have a result, and the caller gets it.
///
/// In each case the task counts as dropped, with the time that it took as its RTT, and no classifier is asked. A caller
/// that was cancelled gets what its task ends with. A time-out of your own inside the task, or around the call, tells
/// the guard less: see docs/timeouts.md.
///
/// A task with a time-out is a co_spawn of its own: some microseconds, a timer, and eight to eleven allocations. It
/// runs on a strand of its caller's executor, and resumes its caller on the caller's executor. So its time-out is safe
/// in a context that several threads run. If the awaitable's executor is of a type that no strand converts to, such as
/// `io_context::executor_type`, the task runs on that executor itself, which then must run one function at a time. If
/// that executor has no context, there can be no timer: a call with a time-out throws std::invalid_argument. The timer
/// is in the time of the Clock. If there is no memory to cancel the task when its time is over, std::bad_alloc leaves
/// the function that runs the context, such as io_context::run(), and the task goes on without a time-out.
///
/// Such a task may leave its strand for blocking work, and may end elsewhere. But while it runs elsewhere, it must not
/// start an operation that can be cancelled, since the time-out may cancel it at the same moment, on the strand. So it
/// is better to co_spawn the blocking work on a strand of the pool, and to co_await that: see docs/timeouts.md.
///
/// *Nested calls.* A task that holds a permit must not wait for another one of the same guard: if outer calls hold all
/// permits, each of them waits for the others, for ever. With an adaptive limit this happens first in an overload. The
/// guard cannot notice it. Give the inner call `{.bypass = true}`, since the outer permit counts for both, or give the
/// inner resource a guard of its own. `guard_options::max_wait` bounds the damage.
///
/// *Heavy calls*, such as a batch of 50 rows, hold several permits, which they take and return together: see
/// run_options::permits. A call that is heavier than the limit runs alone, in its turn: it starts when nothing else is
/// in flight, so a task that never ends keeps it waiting, and the callers behind it.
///
/// *Long-lived work*, such as a watch, a stream or a long poll, would hold its permit for hours, and its length says
/// nothing about the load. Run it with `{.long_lived = true}`: it then runs beside the limit, with a bound of its own.
///
/// *Lifetime.* Destroying the guard ends waiting calls with `operation_aborted`. A call that was made before, but
/// starts later, as in `co_spawn(context, guard.run(task), token)`, ends the same way, and its task is not started. But
/// an awaitable or deferred operation of async_acquire() must start while the guard exists. Tasks and tickets may
/// outlive the guard, for example in an io_context that is destroyed later. They then end as usual, and are not
/// counted. For contexts, see dynamic_semaphore.
///
/// *Strategy.* A type that models limit_strategy.
///
/// *Clock.* Any clock in the sense of std::chrono. Deadlines and `max_wait` are in its time. If it is steady, RTTs and
/// the time that callers have waited are in its time, too. So a test can make the guard's behaviour reproducible by a
/// clock that it sets by hand, if that goes only forward and has `is_steady = true`, as manual_clock in
/// flowguard/testing.hpp. If the clock is not steady, as std::chrono::system_clock, std::chrono::steady_clock measures
/// them instead: a clock that may be set does not tell how long something took. cycle_clock, in
/// flowguard/cycle_clock.hpp, costs less than steady_clock. window::closed_at is in the time of `Clock::shared_clock`,
/// if the Clock names one.
template <limit_strategy Strategy = vegas_strategy, class Clock = std::chrono::steady_clock>
class flow_guard {
public:
    using executor_type = asio::any_io_executor;
    using strategy_type = Strategy;
    using clock_type = Clock;
    using time_point = typename Clock::time_point;
    using ticket = flowguard::ticket;

    /// A guard whose limit is found by `strategy`. Throws std::invalid_argument for options, or an
    /// initial limit, out of range.
    explicit flow_guard(Strategy strategy, guard_options options = {})
        : flow_guard(std::type_identity<asio::system_executor>(), std::move(strategy), std::move(options)) {}

    /// The same, with an executor for handlers that have none.
    explicit flow_guard(asio::any_io_executor executor, Strategy strategy, guard_options options = {})
        : executor_(std::move(executor)),
          serves_any_handler_(true),
          state_(new detail::guard_state<Strategy, Clock>(std::move(strategy), std::move(options))) {}

    /// A guard with the strategy's defaults.
    flow_guard()
        requires std::default_initializable<Strategy>
        : flow_guard(Strategy()) {}
    explicit flow_guard(asio::any_io_executor executor)
        requires std::default_initializable<Strategy>
        : flow_guard(std::move(executor), Strategy()) {}

    /// Rejected by the compiler, with a sentence: a guard needs a strategy, and stays where it is.
    template <std::integral Number>
    explicit flow_guard(Number, const guard_options& = {}) : flow_guard(asio::any_io_executor()) {
        detail::reject_number_for_strategy<Number>();
    }
    template <std::integral Number>
    explicit flow_guard(asio::any_io_executor executor, Number, const guard_options& = {}) : flow_guard(executor) {
        detail::reject_number_for_strategy<Number>();
    }
    template <std::same_as<flow_guard> Guard>
    // NOLINTNEXTLINE(bugprone-forwarding-reference-overload,google-explicit-constructor)
    flow_guard(Guard&& other) : state_(other.state_) {
        detail::reject_move<Guard>();
    }

    flow_guard(const flow_guard&) = delete;
    flow_guard& operator=(const flow_guard&) = delete;

    ~flow_guard() { state_->orphan(); }

    /// The executor that the guard was made with; otherwise Asio's system_executor.
    executor_type get_executor() const noexcept { return executor_; }

    /// Waits for a permit, runs the task, and returns its result. The task's exception reaches the caller unchanged.
    ///
    ///     co_await guard.run(task)                  // an awaitable
    ///     co_await guard.run(make_task)             // a callable that makes the task
    ///     co_await guard.run(task, classify)        // either, with a classifier
    ///     co_await guard.run(f, args...)            // f(args...) makes the task
    ///
    /// `classify` tells from the result or exception how the task ended; see default_classifier.
    ///
    /// Throws system_error, and does not start the task, with
    /// - `error::shed` if too many callers wait, or the call has waited too long in a lane that stands (see
    ///   wait_order);
    /// - `error::wait_timeout` if no permit came in time;
    /// - `error::closed` after close(), or during or after async_drain();
    /// - `operation_aborted` if it is cancelled while it waits, or the guard is destroyed.
    ///
    /// Throws std::invalid_argument if the task is a moved-from awaitable. If a service must reject many calls cheaply,
    /// use run_as_tuple(): an exception costs it more than the call.
    ///
    /// *Callables.* A callable is called after admission, and never before. The call keeps copies of `f` and `args`,
    /// made or moved before run() returns, as std::bind_front does; use std::ref for references. Once admitted, it
    /// calls std::invoke with these copies as rvalues (`make_task` as an lvalue), and destroys them when the task is
    /// done. If there is one argument after `f`, it is taken as a classifier or options if it can be one, and `f()`
    /// makes a task.
    ///
    ///     co_await guard.run(query, connection, std::string("select 1"));
    ///     co_await guard.run(&client::fetch, &upstream, std::move(request));
    ///
    /// In any co_await expression, g++ before 13 destroys twice what a temporary lambda or aggregate owns. With such a
    /// compiler these arguments do not compile. Lambdas that capture references or numbers are not affected.
    ///
    ///     co_await guard.run([&] { return query(connection, text); });
    ///     co_await guard.run([text] { return query(text); });  // text is a string: rejected by g++ before 13
    ///     co_await guard.run(query, text);                     // write this instead
    template <class F, class... Rest>
        requires detail::what_to_run<F, Rest...>
    auto run(F&& f, Rest&&... rest) {
        return call(detail::throwing_form{}, std::forward<F>(f), std::forward<Rest>(rest)...);
    }

    /// The same with options. They come
    /// - after a task or a callable without arguments, as in `run(task, {.deadline = d})`;
    /// - before a callable with arguments, as in `run({.deadline = d}, query, text)`.
    ///
    /// A task whose deadline passes before it can start is not started. The call then ends with `error::wait_timeout`;
    /// an attempt (see try_run()) has no result. Throws std::invalid_argument for a partition, a priority, a kind or a
    /// number of permits that is out of range, and for a time-out of less than 1 ns, or on an executor without a
    /// context.
    ///
    /// A long-lived call (see run_options::long_lived) never waits. If guard_options::max_long_lived such tasks run,
    /// run() ends with `error::shed`, and an attempt has no result. The place comes back when the task ends, in
    /// whatever way, or is destroyed with its context.
    template <class Task, detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires detail::what_to_run_with<Task, Options>
    auto run(Task&& task, Options&& options) {
        return call_with(detail::throwing_form{}, std::forward<Options>(options), std::forward<Task>(task));
    }
    template <detail::options_of<Clock> Options = run_options<default_classifier, Clock>, class F, class... Args>
        requires detail::task_call<F, Args...>
    auto run(Options&& options, F&& f, Args&&... args) {
        return call_with(detail::throwing_form{}, std::forward<Options>(options), std::forward<F>(f),
                         std::forward<Args>(args)...);
    }

    /// The same as run(), but a rejection is a value. Returns a tuple of an error_code and, if the task has a result, a
    /// std::optional with that result: the shape of Asio's `as_tuple`. The result is optional because its type may lack
    /// a default constructor. It is there if, and only if, there is no error.
    ///
    ///     auto [error, rows] = co_await guard.run_as_tuple(query_database());
    ///     if (error)
    ///         co_return unavailable(error);
    ///
    /// The errors are the four that run() throws for a call that is not admitted, and `error::task_timeout`. With
    /// `error::task_timeout` the task was started; with any other error it was not. If the task throws, this function
    /// throws the same exception, even a system_error: a query that failed is not a query that was not made. (If the
    /// errors of a task should be values, let the task return a tuple. The optional then holds that tuple.)
    ///
    /// One cancellation is an exception all the same: that of a call which was granted its permit already, and has not
    /// resumed. Asio then throws `operation_aborted` where the task is awaited, and the task counts as ignored.
    ///
    /// A rejected call throws and catches nothing, and one that is rejected before it waits does not suspend.
    template <class F, class... Rest>
        requires detail::what_to_run<F, Rest...>
    auto run_as_tuple(F&& f, Rest&&... rest) {
        return call(detail::tuple_form{}, std::forward<F>(f), std::forward<Rest>(rest)...);
    }
    template <class Task, detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires detail::what_to_run_with<Task, Options>
    auto run_as_tuple(Task&& task, Options&& options) {
        return call_with(detail::tuple_form{}, std::forward<Options>(options), std::forward<Task>(task));
    }
    template <detail::options_of<Clock> Options = run_options<default_classifier, Clock>, class F, class... Args>
        requires detail::task_call<F, Args...>
    auto run_as_tuple(Options&& options, F&& f, Args&&... args) {
        return call_with(detail::tuple_form{}, std::forward<Options>(options), std::forward<F>(f),
                         std::forward<Args>(args)...);
    }

    /// An attempt: runs the task if a permit is free. Otherwise the call is shed: it does not wait, the task is not
    /// started, and a callable is not called. The result of a shed call is std::nullopt, or false for a task without a
    /// result. The same holds for each call after close(), which counts as closed. Takes what run() takes. Throws
    /// system_error with `operation_aborted` if the guard is destroyed.
    ///
    /// Prefer a callable to an awaitable where calls are often shed: an awaitable has a coroutine frame already, and
    /// its arguments are evaluated.
    template <class F, class... Rest>
        requires detail::what_to_run<F, Rest...>
    auto try_run(F&& f, Rest&&... rest) {
        return call(detail::attempt_form<detail::never_waits>{}, std::forward<F>(f), std::forward<Rest>(rest)...);
    }
    template <class F, detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires detail::what_to_run_with<F, Options>
    auto try_run(F&& task, Options&& options) {
        return call_with(detail::attempt_form<detail::never_waits>{}, std::forward<Options>(options),
                         std::forward<F>(task));
    }
    template <detail::options_of<Clock> Options = run_options<default_classifier, Clock>, class F, class... Args>
        requires detail::task_call<F, Args...>
    auto try_run(Options&& options, F&& f, Args&&... args) {
        return call_with(detail::attempt_form<detail::never_waits>{}, std::forward<Options>(options),
                         std::forward<F>(f), std::forward<Args>(args)...);
    }

    /// The same, but waits for a permit for up to `longest` from its start, in the time of the Clock. `longest` and
    /// guard_options::max_wait both bound the wait. As with std::timed_mutex::try_lock_for and
    /// dynamic_semaphore::acquire_for, a permit that is free is taken even if `longest` is 0 or less; the length may be
    /// any number of any unit. There is also no result if the call is shed, or the guard is closed, while it waits.
    /// Throws system_error with `operation_aborted` if the call is cancelled while it waits, or the guard is destroyed.
    template <class Rep, class Period, class F, class... Rest>
        requires detail::what_to_run<F, Rest...>
    auto try_run_for(std::chrono::duration<Rep, Period> longest, F&& f, Rest&&... rest) {
        return call(waits_for(longest), std::forward<F>(f), std::forward<Rest>(rest)...);
    }
    template <class Rep, class Period, class F,
              detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires detail::what_to_run_with<F, Options>
    auto try_run_for(std::chrono::duration<Rep, Period> longest, F&& task, Options&& options) {
        return call_with(waits_for(longest), std::forward<Options>(options), std::forward<F>(task));
    }
    template <class Rep, class Period, detail::options_of<Clock> Options = run_options<default_classifier, Clock>,
              class F, class... Args>
        requires detail::task_call<F, Args...>
    auto try_run_for(std::chrono::duration<Rep, Period> longest, Options&& options, F&& f, Args&&... args) {
        return call_with(waits_for(longest), std::forward<Options>(options), std::forward<F>(f),
                         std::forward<Args>(args)...);
    }

    /// Blocks the calling thread until the call has a permit, calls `f()`, an ordinary function, and returns its
    /// result. For threads of your own, as in a server with one thread for each request. **Never call it on a thread
    /// that runs an executor**, such as one that runs an io_context: the tasks that hold the permits may need that very
    /// thread.
    ///
    ///     const int rows = guard.run_blocking([&] { return database.query(text); });
    ///     auto [error, rows] = guard.run_blocking_as_tuple(query, {.deadline = request.deadline});
    ///
    /// Blocked threads and coroutines wait in one line, in the same order, with the same bounds, and are rejected for
    /// the same reasons. run_blocking() throws what run() throws; run_blocking_as_tuple() returns a rejection as
    /// run_as_tuple() does. The options are those of run(). No hidden thread is used, and no executor needs to run.
    /// To complete a blocked thread takes a short lock that only that thread uses, too.
    ///
    /// A function cannot be cancelled. If it takes longer than its time-out, it counts as dropped, and the caller gets
    /// its result. If it then throws a system_error of `operation_aborted`, the call ends with `error::task_timeout`,
    /// as for any task.
    template <class F, detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires std::invocable<F&>
    std::invoke_result_t<F&> run_blocking(F&& f, Options options = {}) {
        return block<detail::throwing_form>(f, options);
    }
    template <class F, detail::options_of<Clock> Options = run_options<default_classifier, Clock>>
        requires std::invocable<F&>
    auto run_blocking_as_tuple(F&& f, Options options = {}) {
        static_assert(!std::is_reference_v<std::invoke_result_t<F&>>,
                      "f returns a reference, which no optional holds: return a pointer, or use run_blocking()");
        return block<detail::tuple_form>(f, options);
    }

    /// Waits for a ticket. Completion signature: `void(error_code, ticket)`. The ticket is empty if there is an error,
    /// which is one that run() throws. Throws std::invalid_argument if neither the handler nor the guard has an
    /// executor that takes posts; give the handler one by asio::bind_executor().
    template <
        asio::completion_token_for<void(error_code, ticket)> Token = asio::default_completion_token_t<executor_type>>
    auto async_acquire(Token&& token = asio::default_completion_token_t<executor_type>()) {
        return acquire(plain_terms{}, token);
    }

    /// As above, with options. `classify` is ignored: the ticket reports the outcome. The deadline only ends the wait:
    /// a permit that is free is taken even after it, and a permit that was granted in time may be delivered later. A
    /// long-lived call never waits: it gets its ticket at once, or one of run()'s errors, `error::wait_timeout` if its
    /// deadline has passed. Throws std::invalid_argument for a partition, a priority, a kind or a number of permits
    /// that is out of range.
    template <
        asio::completion_token_for<void(error_code, ticket)> Token = asio::default_completion_token_t<executor_type>>
    auto async_acquire(run_options<default_classifier, Clock> options,
                       Token&& token = asio::default_completion_token_t<executor_type>()) {
        return asio::async_initiate<Token, void(error_code, ticket)>(initiate_ticket{{this}}, token, terms_of(options),
                                                                     options.long_lived);
    }

    /// Returns a ticket if a permit is free and no caller waits. Otherwise the call is shed, and the ticket is empty,
    /// as it is after close(). The call is for the first partition, or for the one with the index `partition`, which
    /// must be in range; else throws std::invalid_argument.
    [[nodiscard]] ticket try_acquire() noexcept { return take_or_shed(plain_terms{}); }
    [[nodiscard]] ticket try_acquire(std::size_t partition) {
        return take_or_shed(
            call_terms{.deadline = (time_point::max)(), .lane = lane_of(partition, priority::critical), .kind = 0});
    }

    /// The same with options. `classify` is ignored. The ticket is also empty if the deadline has passed. Throws
    /// std::invalid_argument for a partition, a priority, a kind or a number of permits that is out of range.
    [[nodiscard]] ticket try_acquire(run_options<default_classifier, Clock> options) {
        const call_terms how = terms_of(options);
        if (options.long_lived) {
            error_code ignored;
            return call_reference(*this).take_long_lived(how, ignored);
        }
        if (how.is_over()) {
            state_->reject(rejection::timed_out, how.lane.partition());
            return ticket();
        }
        return take_or_shed(how);
    }

    /// The same, but a call that gets no permit is not counted as rejected: its caller then waits by async_acquire().
    /// So a call that need not wait continues at once, without an operation that is posted. The options `classify`,
    /// `deadline` and `long_lived` are ignored. Throws std::invalid_argument for a partition, a priority, a kind or a
    /// number of permits that is out of range.
    [[nodiscard]] ticket acquire_if_free(run_options<default_classifier, Clock> options) {
        return call_reference(*this).take(terms_of(options));
    }

    /// How many permits there are: how many tasks may run at once now, if each holds one. Any of these counters may be
    /// out of date when it is returned.
    std::size_t current_limit() const noexcept { return state_->limit(); }

    /// The limit minus what is in flight; 0 while a caller waits, while more is in flight than the limit, or until the
    /// next turn: see plan::spacing.
    std::size_t available_permits() const noexcept { return state_->available(); }

    /// How many permits are held: how many tasks are admitted and not done, if each holds one. A task that runs alone
    /// (see run_options::permits) may hold more than the limit. Long-lived tasks hold none.
    std::size_t in_flight() const noexcept { return state_->in_flight(); }

    /// The same for the partition with that index, which must be in range; else throws std::invalid_argument.
    std::size_t in_flight(std::size_t partition) const {
        lane_of(partition, priority::critical);
        return state_->shares().enabled() ? state_->shares().in_flight(partition) : in_flight();
    }

    /// How many callers wait for a permit.
    std::size_t waiting() const noexcept { return state_->waiting(); }

    /// Whether no task runs, long-lived ones included, and no caller waits. While other threads make calls, it may be
    /// out of date when it is returned, and may be false for a moment after the last call has ended.
    bool is_idle() const noexcept { return state_->is_idle(); }

    /// What a dashboard shows. Complexity: O(1).
    guard_stats stats() const noexcept { return state_->stats(); }

    /// The latest decisions on the limit, and why they were made: one for each window that the strategy was asked
    /// about, with the limit that it wants; and one for each change by hand that has an effect, as by pin_limit().
    /// While bounds are set, the limit in force may be another one than the strategy wants: see current_limit(). The
    /// oldest is the first, and there are at most guard_options::trace of them. A decision that is made during the call
    /// may be left out. to_string() makes a line of each.
    std::vector<limit_decision> trace() const { return state_->trace(); }

    /// Pins the limit, as an operator does in an incident: from now on it is `limit`, in [1, max_limit], whatever the
    /// strategy wants; else throws std::invalid_argument. A higher limit admits waiters at once, also while no task
    /// ends. A lower one revokes no permit. A probe ends, as does the spacing of a limit below one. The bounds of
    /// set_limit_bounds() do not apply while the limit is pinned. A second call changes the number.
    ///
    /// While the limit is pinned, the strategy is *frozen*: it is asked about no window, and learns nothing. It would
    /// take the effects of the operator's limit for those of its own, and might take a window with many calls in flight
    /// for that of a probe. What it learnt before may be out of date afterwards, as after an hour without calls, and it
    /// corrects that in the same way.
    ///
    /// stats() goes on with the RTTs of each window, and tells by guard_stats::pinned and limit_reason that the limit
    /// is pinned. trace() has an entry for each pin and its end; guard_options::on_decision is not called.
    ///
    /// *Thread safety.* This function and the next three may be called on any thread, at any time, also by an observer.
    /// When one of them returns, the new limit is in force. They lock a mutex for a moment, and so do the calls that
    /// flow_guard names under *Thread safety*. Pinning, unpinning and setting bounds are idempotent. Complexity: O(1)
    /// for each waiter that is admitted.
    void pin_limit(std::size_t limit) { state_->pin_limit(detail::check_range("limit", limit, 1, max_limit)); }

    /// Ends what pin_limit() began. The limit that the strategy wanted last is in force at once. If that was a probe,
    /// it is the limit after the probe. The strategy is asked again when a window has passed that began after this
    /// call.
    void unpin_limit() noexcept { state_->unpin_limit(); }

    /// From now on the limit is at least `min` and at most `max`, whatever the strategy wants, also in its probes. They
    /// must be in [1, max_limit] and in [min, max_limit]; else throws std::invalid_argument. By default, the bounds are
    /// 1 and max_limit. The present limit follows at once, as for pin_limit(). If the bounds change the limits of the
    /// strategy's plan, a probe ends, and the open window does not go to the strategy.
    ///
    /// A limit below one, by plan::spacing, counts as a limit of one here: a `min` of 2 or more prevents it.
    ///
    /// To the strategy, an upper bound looks as if fewer callers came: window::limit is the limit that it wanted, and
    /// is not reached. So a strategy that raises its limit only while calls reach it does not raise it without end
    /// behind the bound. The strategy sees a lower bound as window::limit.
    void set_limit_bounds(std::size_t min, std::size_t max) {
        detail::check_range("min", min, 1, max_limit);
        detail::check_range("max", max, min, max_limit);
        state_->set_limit_bounds(min, max);
    }

    /// Forgets all that was learnt, for example when another service has taken the place of the guarded one. The
    /// strategy is replaced by a copy of the one that the guard was made with, and the limit is its first limit at
    /// once. The open window does not go to the strategy. All counters go on. A pin and bounds stay in force.
    ///
    /// The new strategy is move-assigned on the thread of the next call that is admitted or closes a window; that must
    /// not throw. This function throws what copying the strategy throws; then nothing has changed.
    void reset()
        requires std::copyable<Strategy>
    {
        state_->reset();
    }

    /// Ends all waiting calls, and every later call until reopen(), with `error::closed`. A call with `bypass` runs all
    /// the same. Tasks that run are not disturbed, and close() does not wait for them: see async_drain(). Idempotent.
    void close() noexcept { state_->close(); }

    /// Ends the waiting calls of one execution context, such as an io_context, with `operation_aborted`: for a part of
    /// a program that goes away while other parts go on using the guard. Later calls wait as usual.
    ///
    ///     guard.cancel_waiting(context); // a stopped context would keep the permits that it is granted
    ///
    /// To its caller and in the statistics, such a call is one that was cancelled while it waited. Tasks that run, and
    /// drains, are not affected. If the guard's own timer is in that context, a call of another context keeps it from
    /// now on. For which calls these are, for calls that begin to wait at the same time, and for threads, errors and
    /// complexity, see dynamic_semaphore::cancel().
    void cancel_waiting(asio::execution_context& context) { state_->cancel_all_of(context); }

    /// Closes the guard, and waits until no task is in flight: what a service does before it ends. Completion
    /// signature: `void(error_code)`.
    ///
    ///     co_await guard.async_drain({.timeout = 20s}, asio::use_awaitable);
    ///
    /// From now on every new call ends with `error::closed`, and attempts have no result, as after close(). Calls that
    /// wait already get their permits and run, or end with `error::closed` at once: see drain_options. Bounds on
    /// waiting, as guard_options::max_wait, apply to them as usual. The drain completes as soon as no call waits, all
    /// permits are back, and no long-lived task runs: at once, if that is so already. A call with `bypass` still runs,
    /// and the drain does not wait for it, as the guard does not count it. Nor does it wait for what a caller does with
    /// its result: see docs/shutdown.md.
    ///
    /// The limit plays no part in this: it may change, be pinned, or be below one meanwhile. A task with a time-out is
    /// cancelled in time. FlowGuard stops no other task: the program must end tasks that never end, and long-lived
    /// ones. Until then the drain waits.
    ///
    /// The errors are
    /// - `error::drain_timeout` if the drain has taken longer than drain_options::timeout;
    /// - `operation_aborted` if the drain is cancelled, reopen() is called, or the guard is destroyed.
    ///
    /// After a time-out or a cancellation, the guard is as it was during the drain: it rejects new calls, serves those
    /// that wait, and no task is disturbed. So the program may drain it again, close() or reopen() it.
    ///
    /// *Several drains* may wait at a time, each with its own time-out, and complete together. If one of them has
    /// `serves_waiting = false`, or close() is called, the waiting calls end with `error::closed`, and the drains go
    /// on. After close() the guard may be drained as well.
    ///
    /// All types of cancellation are supported. An awaitable or deferred drain must start while the guard exists. The
    /// handler is called through its associated executor, or through the guard's, as if by asio::post, and never from
    /// inside this function. A context that is destroyed destroys the handlers of its drains uncalled. Throws
    /// std::invalid_argument for a time-out below 0, or if neither the handler nor the guard has an executor, and
    /// std::bad_alloc; then the guard was not closed. Lock-free, except for the timer. Complexity: O(1) for each waiter
    /// that ends.
    template <asio::completion_token_for<void(error_code)> Token = asio::default_completion_token_t<executor_type>>
    auto async_drain(Token&& token = asio::default_completion_token_t<executor_type>()) {
        return async_drain(drain_options{}, std::forward<Token>(token));
    }
    template <asio::completion_token_for<void(error_code)> Token = asio::default_completion_token_t<executor_type>>
    auto async_drain(drain_options options, Token&& token = asio::default_completion_token_t<executor_type>()) {
        detail::check_least("drain_options::timeout", options.timeout, 0);
        return asio::async_initiate<Token, void(error_code)>(
            detail::initiate_drain<Clock>{executor_, serves_any_handler_, state_}, token, options);
    }

    /// Ends what close() or async_drain() began: later calls are admitted again, at the latest when a thread that
    /// serves the queue just now has ended its round, and present drains end with `operation_aborted`. Calls that wait
    /// in a drain go on waiting. Waits that close() has begun to end still end. Has no effect on a guard that is not
    /// closed. May throw std::bad_alloc; then nothing has changed. Lock-free.
    void reopen() { state_->reopen(); }

    /// Whether new calls are rejected, after close() or during a drain. A health check may ask this, so that a load
    /// balancer sends no more requests. May be out of date when it is returned.
    bool is_closed() const noexcept { return state_->is_closed(); }

private:
    // A template, so that the compiler converts the system's executor only in programs that make such guards: that
    // costs much of its time.
    template <class DefaultExecutor>
    flow_guard(std::type_identity<DefaultExecutor>, Strategy strategy, guard_options options)
        : executor_(DefaultExecutor()),
          state_(new detail::guard_state<Strategy, Clock>(std::move(strategy), std::move(options))) {}

    // The options of a call that was made without options. They are constants of the type, so that such a call pays
    // nothing for options.
    struct plain_terms {
        static constexpr time_point deadline = (time_point::max)();
        static constexpr detail::lane_number lane{};
        static constexpr std::uint8_t kind = 0;
        static constexpr std::uint32_t permits = 1;
        static bool is_over() noexcept { return false; }
    };
    struct call_terms {
        time_point deadline;
        detail::lane_number lane; // says whether the call has a flow
        std::uint8_t kind;
        std::uint32_t permits = 1;
        std::uint64_t flow = 0;
        bool is_over() const noexcept { return detail::has_passed<Clock>(deadline); }
    };

    template <class Classifier>
    call_terms terms_of(const run_options<Classifier, Clock>& options) const {
        call_terms how{.deadline = options.deadline,
                       .lane = lane_of(options.partition, options.priority),
                       .kind =
                           static_cast<std::uint8_t>(detail::check_range("the kind", options.kind, 0, max_kinds - 1)),
                       .permits = static_cast<std::uint32_t>(
                           detail::check_range("the number of permits", options.permits, 1, max_limit))};
        if (options.flow) {
            how.lane.set_in_flow();
            how.flow = *options.flow;
        }
        return how;
    }

    // How long the task of such a call may take. A long-lived one has no time-out.
    template <class Classifier>
    duration timeout_of(const run_options<Classifier, Clock>& options) const {
        if (options.long_lived)
            return (duration::max)();
        return options.timeout ? detail::check_least("run_options::timeout", *options.timeout, 1) : state_->timeout();
    }

    detail::lane_number lane_of(std::size_t partition, priority p) const {
        const std::size_t partitions = std::max<std::size_t>(state_->shares().count(), 1);
        detail::check_range("the partition", partition, 0, partitions - 1);
        detail::check_range("the priority", static_cast<std::size_t>(p), 0, priority_count - 1);
        return detail::lane_number(partition, p);
    }

    struct delivery {
        detail::guard_state<Strategy, Clock>* of;
        detail::lane_number waits_in;
        std::uint8_t kind;

        detail::semaphore_state& state() const noexcept { return *of; }
        detail::lane_number lane() const noexcept { return waits_in; }
        bool take(std::size_t permits) const noexcept {
            return of->take(waits_in, static_cast<std::uint32_t>(permits));
        }
        void release(std::size_t permits) const noexcept { of->release(waits_in.partition(), permits); }
        template <class TimerExecutor>
        static void prepare_watch(const TimerExecutor& executor) {
            detail::guard_state<Strategy, Clock>::prepare_watch(executor);
        }
        template <class TimerExecutor>
        void watch(const TimerExecutor& executor) const {
            of->watch(executor);
        }
        void watch_in_vain() const noexcept { of->watch_in_vain(); }

        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits,
                     std::chrono::nanoseconds enqueued_at) const {
            std::move(handler)(error, permits != 0 ? ticket(*of, of->admit_waiter(waits_in, kind, permits, enqueued_at))
                                                   : ticket());
        }
    };

    // The delivery of a call that belongs to a flow.
    struct flow_delivery : delivery {
        flow_delivery(const delivery& d, std::uint64_t flow) noexcept : delivery(d), flow_(flow) {}
        std::uint64_t flow() const noexcept { return flow_; }

    private:
        std::uint64_t flow_;
    };

    // Calls `start` with the delivery of a call, and its permits. A call with options tells these and its flow; its
    // waiter has memory for a flow only if it belongs to one.
    template <class Start>
    static void with_delivery(const delivery& d, Start start) {
        start(d, 1);
    }
    template <class Start>
    static void with_delivery(const delivery& d, Start start, std::uint32_t permits, std::uint64_t flow) {
        if (d.lane().in_flow())
            start(flow_delivery(d, flow), permits);
        else
            start(d, permits);
    }

    // Starts the wait of a call. `more` are the permits and the flow of a call with options. `end` is the latest time
    // at which it may get its permits.
    struct initiate_wait {
        using executor_type = asio::any_io_executor;
        flow_guard* self;

        executor_type get_executor() const noexcept { return self->executor_; }

        // For a call that has just found out that it must wait, and may.
        template <class Handler, class... More>
        void operator()(Handler&& handler, time_point end, detail::lane_number lane, std::uint8_t kind,
                        More... more) const {
            const auto start = [&](const auto& d, std::size_t permits) {
                detail::with_timing<Clock>(end, [&](const auto& timing) {
                    using op = operation<Handler, decltype(timing), decltype(d)>;
                    op::wait(std::forward<Handler>(handler), self->executor_, d, permits, timing);
                });
            };
            with_delivery(delivery{self->state_, lane, kind}, start, more...);
        }

    protected:
        template <class Handler, class Timing, class Delivery>
        using operation = detail::wait_operation<std::decay_t<Handler>, executor_type, std::remove_cvref_t<Delivery>,
                                                 std::remove_cvref_t<Timing>>;
    };

    // For any other call, whose deadline may also be that of the guard.
    struct initiate_acquire : initiate_wait {
        template <class Handler, class... More>
        void operator()(Handler&& handler, time_point deadline, detail::lane_number lane, std::uint8_t kind,
                        More... more) const {
            detail::check_executor_of_handler<Handler>(this->self->serves_any_handler_);
            detail::guard_state<Strategy, Clock>& state = *this->self->state_;
            const detail::keep_alive kept(state); // an observer may destroy the guard meanwhile
            const executor_type executor = this->self->executor_;
            const auto start = [&](const auto& d, std::size_t permits) {
                detail::with_timing<Clock>(state.end_of_wait(deadline), [&](const auto& timing) {
                    using op = typename initiate_wait::template operation<Handler, decltype(timing), decltype(d)>;
                    op::start(std::forward<Handler>(handler), executor, d, permits, timing);
                });
            };
            with_delivery(delivery{&state, lane, kind}, start, more...);
        }
    };

    // The delivery of a long-lived call's ticket, which never waits.
    struct long_lived_delivery {
        detail::guard_state<Strategy, Clock>* of;
        detail::lane_number of_lane; // in which it does not wait
        bool is_over;

        detail::semaphore_state& state() const noexcept { return *of; }
        detail::lane_number lane() const noexcept { return of_lane; }
        detail::wait_result take() const noexcept { return of->take_long_lived(is_over); }
        void release(std::size_t) const noexcept { of->finish(of->long_lived(), outcome::ignored); }

        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits, std::chrono::nanoseconds) const {
            std::move(handler)(error, permits != 0 ? ticket(*of, of->long_lived()) : ticket());
        }
    };

    // Like initiate_acquire, for a call that may be long-lived.
    struct initiate_ticket : initiate_acquire {
        template <class Handler>
        void operator()(Handler&& handler, const call_terms& how, bool long_lived) const {
            if (!long_lived)
                return initiate_acquire::operator()(std::forward<Handler>(handler), how.deadline, how.lane, how.kind,
                                                    how.permits, how.flow);
            const flow_guard& guard = *this->self;
            detail::check_executor_of_handler<Handler>(guard.serves_any_handler_);
            detail::wait_operation<std::decay_t<Handler>, asio::any_io_executor, long_lived_delivery>::start_at_once(
                std::forward<Handler>(handler), guard.executor_,
                long_lived_delivery{guard.state_, how.lane, how.is_over()});
        }
    };

    // A call's reference to the guard's state, taken when the call is made. So a call that starts after the guard was
    // destroyed finds that out, and ends.
    class call_reference {
    public:
        explicit call_reference(flow_guard& guard) noexcept : guard_(&guard), state_(guard.state_) {
            state_->add_reference();
        }
        call_reference(call_reference&& other) noexcept
            : guard_(other.guard_), state_(std::exchange(other.state_, nullptr)) {}
        call_reference& operator=(call_reference&&) = delete;
        ~call_reference() {
            if (state_ != nullptr)
                state_->drop_references(1);
        }

        detail::guard_state<Strategy, Clock>& state() const noexcept { return *state_; }
        flow_guard& guard() const noexcept { return *guard_; } // exists, unless the state is orphaned

        // Returns a ticket if its permits are free. They then take over this reference.
        template <class Terms>
        FLOWGUARD_DETAIL_EACH_CALL ticket take(const Terms& how) noexcept {
            if (!state_->take(how.lane, how.permits, false))
                return ticket();
            return admitted(*std::exchange(state_, nullptr), how);
        }

        // The latest time at which a call may get its permit, if it begins to wait now.
        template <class Terms, class Form>
        FLOWGUARD_DETAIL_EACH_CALL time_point end_of_wait(const Terms& how, const Form& form) const noexcept {
            return state_->end_of_wait((std::min)(how.deadline, form.template end_of_wait<Clock>()));
        }

        // Rejects a call that found no permit, and may not wait for one until `end` either: so it pays for no
        // operation. Returns no error if it may wait.
        template <class Terms>
        FLOWGUARD_DETAIL_EACH_CALL error_code reject_before_wait(const Terms& how, time_point end) const noexcept {
            const auto why_not = detail::why_not_wait(*state_, how.lane, detail::has_passed<Clock>(end));
            return why_not ? reject(how, *why_not) : error_code();
        }

        // Counts a call that is not admitted, and returns its error. May destroy the guard.
        template <class Terms>
        error_code reject(const Terms& how, detail::wait_result why) const noexcept {
            if (state_->is_orphaned())
                return asio::error::operation_aborted;
            state_->reject(*detail::rejection_of(why), how.lane.partition());
            return detail::to_error_code(why);
        }

        // Rejects a call that never waits, and found no permit.
        template <class Terms>
        error_code reject_attempt(const Terms& how) const noexcept {
            return reject(how, state_->is_closed() ? detail::wait_result::closed : detail::wait_result::no_permit);
        }

        // Returns the ticket of a long-lived call, whose place takes over this reference; or rejects the call.
        ticket take_long_lived(const call_terms& how, error_code& why_not) noexcept {
            const detail::wait_result result = state_->take_long_lived(how.is_over(), false);
            if (result != detail::wait_result::granted) {
                why_not = reject(how, result);
                return ticket();
            }
            detail::guard_state<Strategy, Clock>& state = *std::exchange(state_, nullptr);
            return ticket(state, state.long_lived());
        }

    private:
        flow_guard* guard_;
        detail::guard_state<Strategy, Clock>* state_;
    };

    // How long an attempt may wait.
    template <class Duration>
    static detail::attempt_form<detail::waits_for<Duration>> waits_for(Duration longest) noexcept {
        return {{.longest = longest}};
    }

    // Makes the coroutine of a call.
    template <class Form, class F, class... Rest>
    auto call(Form form, F&& f, Rest&&... rest) {
        detail::reject_owning_temporaries<F, Rest...>();
        if constexpr (detail::call_with_arguments<F, Rest...>)
            return admit(form, detail::bind_task(std::forward<F>(f), std::forward<Rest>(rest)...), default_classifier{},
                         plain_terms{}, state_->timeout());
        else if constexpr (sizeof...(Rest) == 0)
            return admit(form, maker(std::forward<F>(f)), default_classifier{}, plain_terms{}, state_->timeout());
        else
            return admit(form, maker(std::forward<F>(f)), std::decay_t<Rest>(std::forward<Rest>(rest))...,
                         plain_terms{}, state_->timeout());
    }

    // The same with options.
    template <class Form, class Options, class F, class... Args>
    auto call_with(Form form, Options&& options, F&& f, Args&&... args) {
        detail::reject_owning_temporaries<Options, F, Args...>();
        if constexpr (sizeof...(Args) == 0)
            return told(form, maker(std::forward<F>(f)), std::forward<Options>(options));
        else
            return told(form, detail::bind_task(std::forward<F>(f), std::forward<Args>(args)...),
                        std::forward<Options>(options));
    }

    template <class Form, class F, class Options>
    auto told(Form form, F make_task, Options&& options) {
        if (options.bypass)
            return unguarded(form, call_reference(*this), std::move(make_task));
        const call_terms how = terms_of(options);
        if (options.long_lived)
            return beside_limit(form, call_reference(*this), std::move(make_task), how);
        const duration timeout = timeout_of(options);
        return admit(form, std::move(make_task), std::forward<Options>(options).classify, how, timeout);
    }

    // The coroutine is made outside any co_await expression, so that g++ before 13 destroys its arguments once.
    template <class Form, class F, class Classifier, class Terms>
    FLOWGUARD_DETAIL_EACH_CALL auto admit(Form form, F&& make_task, Classifier&& classify, Terms how,
                                          duration timeout) {
        using task = std::invoke_result_t<std::decay_t<F>&>;
        if constexpr (!detail::has_context<typename detail::awaited<task>::executor>)
            if (timeout != (duration::max)())
                throw std::invalid_argument("flowguard: a task with a time-out needs an executor that has a context, "
                                            "for its timer");
        return guarded(form, call_reference(*this), std::decay_t<F>(std::forward<F>(make_task)),
                       std::decay_t<Classifier>(std::forward<Classifier>(classify)), how, timeout);
    }

    // Makes the task of a call, and its time-out, if it has one. The latter sets `is_late`.
    template <class F, class Task = std::invoke_result_t<F&>>
    FLOWGUARD_DETAIL_EACH_CALL static Task start(F& make_task, duration timeout, bool& is_late) {
        return timeout == (duration::max)() ? make_task() : start_timed<F, Task>(make_task, timeout, is_late);
    }
    template <class F, class Task>
    FLOWGUARD_DETAIL_RARE static Task start_timed(F& make_task, duration timeout, bool& is_late) {
        if constexpr (detail::has_context<typename detail::awaited<Task>::executor>)
            return detail::run_in_time<Clock>(make_task, detail::saturated_cast<typename Clock::duration>(timeout),
                                              is_late);
        else
            std::terminate(); // admit() has rejected the call
    }

    // Admits the call, runs its task, and reports the outcome, all in one coroutine: another frame and another
    // resumption would be a large part of a call's cost.
    template <class Form, class F, class Classifier, class Terms, class Task = std::invoke_result_t<F&>>
    static auto guarded(Form form, call_reference self, F make_task, Classifier classify, Terms how, duration timeout)
        -> detail::call_of_form<Form, Task> {
        using result_type = typename detail::awaited<Task>::result;
        static_assert(detail::classifies_task<Classifier, result_type>,
                      "the classifier must take the task's result or a std::exception_ptr, and return an outcome");
        if (how.is_over())
            co_return Form::template rejected<result_type>(self.reject(how, detail::wait_result::timed_out));
        ticket t = self.take(how);
        if (!t) {
            error_code why_not;
            if constexpr (Form::waits) {
                const time_point end = self.end_of_wait(how, form);
                why_not = self.reject_before_wait(how, end);
                if (!why_not)
                    t = co_await self.guard().wait(how, end, use_awaitable<Task>(why_not));
                if (t && how.is_over()) { // the guard may have gone meanwhile
                    state_of(t).withdraw(t.membership_);
                    why_not = error::wait_timeout;
                }
            } else {
                why_not = self.reject_attempt(how);
            }
            if (why_not) {
                if constexpr (Form::throws)
                    throw system_error(why_not); // here: the fewer functions an exception leaves, the less it costs
                else
                    co_return Form::template rejected<result_type>(why_not);
            }
        }
        bool is_late = false; // whether the task took longer than its time-out
        std::exception_ptr exception;
        try {
            if constexpr (std::is_void_v<result_type>) {
                co_await detail::checked(start(make_task, timeout, is_late));
                finish(std::move(t), is_late, classify);
                co_return Form::done();
            } else {
                auto result = co_await detail::checked(start(make_task, timeout, is_late));
                if constexpr (detail::with_code<result_type> && detail::is_judged_by_default<Classifier, result_type>)
                    if (!is_late && detail::is_cancellation(detail::code_of(result)) &&
                        !is_cancelled(co_await cancellation()))
                        finish_ticket(t, outcome::dropped);
                finish(std::move(t), is_late, classify, std::as_const(result));
                co_return Form::done(std::move(result));
            }
        } catch (...) {
            if (!t) // it was the classifier that threw, or the result's move
                throw;
            exception = std::current_exception();
        }
        // Here, as a coroutine cannot wait in a handler.
        const bool caller_is_cancelled = is_cancelled(co_await cancellation());
        if (finish_failed(std::move(t), is_late, caller_is_cancelled, classify, exception))
            co_return Form::template failed<result_type>(error::task_timeout);
        std::rethrow_exception(std::move(exception));
    }

    template <class Form, class F, class Task = std::invoke_result_t<F&>>
    static auto unguarded(Form, call_reference self, F make_task) -> detail::call_of_form<Form, Task> {
        using result_type = typename detail::awaited<Task>::result;
        if (self.state().is_orphaned())
            co_return Form::template rejected<result_type>(asio::error::operation_aborted);
        self.state().count_bypass();
        if constexpr (std::is_void_v<result_type>) {
            co_await detail::checked(make_task());
            co_return Form::done();
        } else {
            co_return Form::done(co_await detail::checked(make_task()));
        }
    }

    // Runs a long-lived task. The ticket's destructor returns its place, however the task ends.
    template <class Form, class F, class Task = std::invoke_result_t<F&>>
    static auto beside_limit(Form, call_reference self, F make_task, call_terms how)
        -> detail::call_of_form<Form, Task> {
        using result_type = typename detail::awaited<Task>::result;
        error_code why_not;
        const ticket t = self.take_long_lived(how, why_not);
        if (!t)
            co_return Form::template rejected<result_type>(why_not);
        if constexpr (std::is_void_v<result_type>) {
            co_await detail::checked(make_task());
            co_return Form::done();
        } else {
            co_return Form::done(co_await detail::checked(make_task()));
        }
    }

    template <class Form, class F, class Options>
    auto block(F& f, Options& options) -> typename Form::template returned<std::invoke_result_t<F&>> {
        using result_type = std::invoke_result_t<F&>;
        static_assert(!detail::task<result_type>, "f must be an ordinary function: a coroutine needs run()");
        static_assert(detail::classifies_task<decltype(options.classify), result_type>,
                      "the classifier must take the result of f or a std::exception_ptr, and return an outcome");
        if (options.bypass) {
            state_->count_bypass();
            return block_in<Form>(f);
        }
        const call_terms how = terms_of(options);
        const duration timeout = timeout_of(options);
        call_reference self(*this);
        error_code why_not;
        ticket t = options.long_lived ? self.take_long_lived(how, why_not) : block_for_ticket(self, how, why_not);
        if (!t)
            return Form::template rejected<result_type>(why_not);
        if (options.long_lived)
            return block_in<Form>(f); // the ticket's destructor returns its place
        return block_task<Form>(f, std::move(t), timeout, options.classify);
    }

    // Calls f() without a report.
    template <class Form, class F>
    static auto block_in(F& f) -> typename Form::template returned<std::invoke_result_t<F&>> {
        if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
            f();
            return Form::done();
        } else {
            return Form::done(f());
        }
    }

    // Takes the permits, or waits for them. Returns an empty ticket and an error if the call is rejected.
    static ticket block_for_ticket(call_reference& self, const call_terms& how, error_code& why_not) {
        if (how.is_over()) {
            why_not = self.reject(how, detail::wait_result::timed_out);
            return ticket();
        }
        if (ticket t = self.take(how))
            return t;
        const time_point end = self.end_of_wait(how, detail::throwing_form{});
        why_not = self.reject_before_wait(how, end);
        if (why_not)
            return ticket();
        detail::guard_state<Strategy, Clock>& state = self.state();
        std::optional<detail::wait_start> not_queued;
        std::chrono::nanoseconds enqueued_at{};
        const detail::wait_result result = detail::wait_in_thread<Clock>(
            state, how.permits, how.lane, how.flow, end,
            typename detail::guard_state<Strategy, Clock>::thread_watch(state), not_queued, enqueued_at);
        if (result != detail::wait_result::granted) {
            why_not = not_queued ? self.reject(how, detail::result_of(*not_queued)) : detail::to_error_code(result);
            return ticket();
        }
        ticket t(state, state.admit_waiter(how.lane, how.kind, how.permits, enqueued_at));
        if (how.is_over()) {
            state_of(t).withdraw(t.membership_);
            why_not = error::wait_timeout;
        }
        return t;
    }

    // Runs the function of a call that is admitted, and reports how it ended.
    template <class Form, class F, class Classifier>
    static auto block_task(F& f, ticket t, duration timeout, Classifier& classify) ->
        typename Form::template returned<std::invoke_result_t<F&>> {
        using result_type = std::invoke_result_t<F&>;
        const time_point end = detail::end_after<Clock>(timeout);
        std::exception_ptr exception;
        try {
            if constexpr (std::is_void_v<result_type>) {
                f();
                finish(std::move(t), detail::has_passed<Clock>(end), classify);
                return Form::done();
            } else {
                result_type result = f();
                const bool is_late = detail::has_passed<Clock>(end);
                if constexpr (detail::with_code<result_type> && detail::is_judged_by_default<Classifier, result_type>)
                    if (!is_late && detail::is_cancellation(detail::code_of(result)))
                        t.drop(); // nobody has cancelled it: a time-out of its own
                finish(std::move(t), is_late, classify, std::as_const(result));
                return Form::done(std::forward<result_type>(result)); // moves it, unless it is a reference
            }
        } catch (...) {
            if (!t) // it was the classifier that threw, or the result's move
                throw;
            exception = std::current_exception();
        }
        if (finish_failed(std::move(t), detail::has_passed<Clock>(end), false, classify, exception))
            return Form::template failed<result_type>(error::task_timeout);
        std::rethrow_exception(std::move(exception));
    }

    static auto cancellation() noexcept { return asio::this_coro::cancellation_state; }
    static bool is_cancelled(const asio::cancellation_state& state) noexcept {
        return state.cancelled() != asio::cancellation_type::none;
    }

    // What a ticket of this guard does, without a virtual call. state_of() empties the ticket.
    template <class Terms>
    FLOWGUARD_DETAIL_EACH_CALL static ticket admitted(detail::guard_state<Strategy, Clock>& state,
                                                      const Terms& how) noexcept {
        return ticket(state, state.admit(how.lane.partition(), how.kind, how.permits));
    }
    FLOWGUARD_DETAIL_EACH_CALL static detail::guard_state<Strategy, Clock>& state_of(ticket& t) noexcept {
        return static_cast<detail::guard_state<Strategy, Clock>&>(*std::exchange(t.issuer_, nullptr));
    }
    FLOWGUARD_DETAIL_EACH_CALL static void finish_ticket(ticket& t, outcome how) noexcept {
        if (t)
            state_of(t).finish(t.membership_, how);
    }

    // Called for a task that took longer than its time-out.
    static void time_out(ticket& t) noexcept {
        static_cast<detail::guard_state<Strategy, Clock>&>(*t.issuer_).count_task_timeout();
        finish_ticket(t, outcome::dropped);
    }

    // Reports the end of a task without an exception. If the classifier throws, the ticket's destructor reports the
    // task as ignored.
    template <class Classifier, class... Result>
    static void finish(ticket t, bool is_late, Classifier& classify, const Result&... result) {
        if (is_late)
            time_out(t);
        if (t) // else it is reported already
            finish_ticket(t, detail::classify_by(classify, result...));
    }

    // The same for a task that ended with an exception. Returns whether the call ends with `error::task_timeout`.
    template <class Classifier>
    static bool finish_failed(ticket t, bool is_late, bool caller_is_cancelled, Classifier& classify,
                              const std::exception_ptr& exception) {
        if (is_late)
            time_out(t); // the ticket is empty now: what follows only decides what the caller gets
        outcome how = is_late ? outcome::dropped : detail::classify_by(classify, exception);
        const bool by_default = detail::is_judged_by_default<Classifier, std::exception_ptr>;
        if (is_late || (how == outcome::ignored && by_default && !caller_is_cancelled)) {
            const std::optional<error_code> code = detail::code_of(exception);
            if (code && detail::is_cancellation(*code)) {
                finish_ticket(t, outcome::dropped);
                return is_late && !caller_is_cancelled;
            }
        }
        finish_ticket(t, how);
        return false;
    }

    // The callable that makes a task, from a copy of it, or from a task that exists already.
    template <class F>
    static auto maker(F&& f) {
        if constexpr (detail::task<F>)
            return [task = detail::checked(std::forward<F>(f))]() mutable { return std::move(task); };
        else
            return std::decay_t<F>(std::forward<F>(f));
    }

    template <class Terms, class Token>
    auto acquire(const Terms& how, Token& token) {
        return asio::async_initiate<Token, void(error_code, ticket)>(initiate_acquire{this}, token, how.deadline,
                                                                     how.lane, how.kind);
    }

    // Continues the wait of a coroutine. The error is a value.
    template <class Terms, class Token>
    auto wait(const Terms& how, time_point end, Token token) {
        if constexpr (std::is_same_v<Terms, call_terms>)
            return asio::async_initiate<Token, void(error_code, ticket)>(initiate_wait{this}, token, end, how.lane,
                                                                         how.kind, how.permits, how.flow);
        else
            return asio::async_initiate<Token, void(error_code, ticket)>(initiate_wait{this}, token, end, how.lane,
                                                                         how.kind);
    }

    // The token with which a coroutine that runs a task of that type waits. The error is a value.
    template <class Task>
    static auto use_awaitable(error_code& error) {
        return asio::redirect_error(asio::use_awaitable_t<typename detail::awaited<Task>::executor>(), error);
    }

    // Does not touch *this when observers may have been called: one of them may destroy the guard.
    template <class Terms>
    ticket take_or_shed(const Terms& how) noexcept {
        detail::guard_state<Strategy, Clock>& state = *state_;
        if (state.take_at_once(how.lane, how.permits))
            return admitted(state, how);
        const detail::keep_alive kept(state);
        if (state.take_after_look(how.lane, how.permits))
            return admitted(state, how);
        state.reject(state.is_closed() ? rejection::closed : rejection::no_permit, how.lane.partition());
        return ticket();
    }

    asio::any_io_executor executor_;
    bool serves_any_handler_ = false; // whether an executor was given
    detail::guard_state<Strategy, Clock>* state_; // shared with tickets, waiters and contexts
};

} // namespace flowguard

#endif
