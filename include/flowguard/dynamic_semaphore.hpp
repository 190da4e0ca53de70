// dynamic_semaphore.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DYNAMIC_SEMAPHORE_HPP
#define FLOWGUARD_DYNAMIC_SEMAPHORE_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/misuse.hpp"
#include "flowguard/detail/base/point_in_time.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/detail/semaphore/thread_wait.hpp"
#include "flowguard/detail/semaphore/wait_operation.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/permit.hpp"

namespace flowguard {

/// A counting semaphore for Asio whose limit can change while it is in use.
///
///     flowguard::dynamic_semaphore connections{io_context, 10};
///
///     asio::awaitable<void> query() {
///         flowguard::permit p = co_await connections.acquire(); // waits if all ten are in use
///         co_await run_query();
///     }                                                         // p is released here
///
///     connections.set_limit(4); // at once: no caller is admitted until in_flight() is below 4
///
/// Waiters are served first in, first out. No newcomer overtakes a waiter, except a waiter for more permits than the
/// limit. While no caller waits, to acquire and to release is one compare-and-swap each.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: safe, except for construction and destruction. All
/// operations but acquire_blocking() and acquire_blocking_for() are lock-free: no operation blocks or spins on another
/// thread. Three exceptions take short locks. The first wait of each execution context at a semaphore, and the first
/// with a timeout, takes Asio's lock to find a service, and one for O(1). The destruction of a semaphore, or of its
/// last permit, takes one for O(1) for each such context. To end the wait of a blocked thread takes that thread's own
/// mutex for O(1).
///
/// *Completion.* A handler is called through its associated executor, by default the semaphore's, as if by
/// `asio::post`. It is never called from inside the initiating call, release() or set_limit(). (Asio 1.28 and newer has
/// associated immediate executors. A handler that has one is called through it if its operation completes at once.)
/// Work is outstanding on the handler's executor while it waits. If that executor takes no posts, as that of an
/// `any_completion_handler` and Asio's `inline_executor`, the operation waits and completes through the semaphore's
/// executor, and the handler is dispatched from there to its own.
///
/// *Memory.* A waiter is one block from the handler's associated allocator: 160 bytes with a handler of 8, on 64-bit
/// machines. It is freed before the handler is called. A deadline adds its timer's operation. A connected cancellation
/// slot adds 24 bytes; they are freed when the slot is used again or its signal is destroyed, and not before the
/// waiter. If the executor takes an allocator, a waiter is posted from memory inside its block.
///
/// A waiter's block comes from the memory that Asio keeps for a thread's next operation, unless the handler has an
/// allocator of its own. Asio takes coroutine frames and posts of an any_io_executor from such memory, too, but keeps
/// only two blocks for each purpose. While several coroutines hold permits, more are free at a time, and Asio allocates
/// them anew. If ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE is 8 in the whole program, it does not.
///
/// If an initiating function fails to allocate, it throws std::bad_alloc. Its handler is then never called, and it
/// holds no permit. (A strand of Asio that fails to post is stuck from then on, for other users too.) A waiter may also
/// fail to be posted later, because its executor takes no allocator, or needs more than one piece of memory, as a
/// strand does. Then std::terminate is called, since no caller is left that could be told.
///
/// *Cancellation.* Operations support all types of per-operation cancellation: terminal, partial and total. A cancelled
/// waiter completes with `asio::error::operation_aborted`, and has consumed no permit. A waiter that has already been
/// granted its permit completes with the permit.
///
/// Only the initiating function uses the slot; the operation does not touch it later. So the signal may be emitted,
/// used for another operation, or destroyed at any time after that function has returned: while the operation completes
/// on another thread, after it has completed, and after its semaphore or execution context is destroyed. As always in
/// Asio, two threads must not use one signal or its slot at the same time. An emission is like any other use of the
/// semaphore: it may complete other waiters, but never calls their handlers from inside.
///
/// *Deadlines* are kept by a timer in the context of the handler's executor. If that executor has no context, such as a
/// promise's, the operation waits and completes through the semaphore's executor, whose context must then run.
///
/// *Lifetime.* Destroying the semaphore ends its waiters with `operation_aborted`. Permits may outlive it. An awaitable
/// or deferred operation must start while the semaphore exists. An execution context may be destroyed before or after
/// the semaphore, while other threads and callers of other contexts use the semaphore. Handlers whose calls wait in
/// that context are destroyed uncalled. As always in Asio, no thread may start or cancel an operation of a context that
/// is being destroyed. A context that was used keeps no semaphore in memory.
///
/// *Liveness.* A waiter that is granted its permits is posted to its executor before the operation that granted them
/// returns. If another thread serves the queue at that moment, it is posted within one round of that thread, of at most
/// 64 grants. A thread that serves the queue for other threads hands the queue on after a bounded time, however many
/// operations arrive.
template <class Executor>
class basic_dynamic_semaphore {
public:
    using executor_type = Executor;
    using default_token = asio::default_completion_token_t<Executor>;

    /// The same semaphore for another executor, as used by `as_default_on` of completion tokens.
    template <class OtherExecutor>
    struct rebind_executor {
        using other = basic_dynamic_semaphore<OtherExecutor>;
    };

    /// A semaphore of `limit` permits, in [0, max_limit]; else throws std::invalid_argument. With 0 it is a *signal*,
    /// now and after set_limit(): release() makes permits, and each of them lets one waiter through.
    basic_dynamic_semaphore(Executor executor, std::size_t limit)
        : executor_(std::move(executor)),
          is_signal_(limit == 0),
          state_(new detail::semaphore_state(detail::check_range("limit", limit, 0, max_limit))) {}

    /// The same, with the executor of an execution context, such as an io_context.
    template <class Context>
        requires std::derived_from<Context, asio::execution_context>
    basic_dynamic_semaphore(Context& context, std::size_t limit)
        : basic_dynamic_semaphore(Executor(context.get_executor()), limit) {}

    /// Rejected by the compiler, with a sentence: a semaphore stays where it is.
    template <std::same_as<basic_dynamic_semaphore> Semaphore>
    // NOLINTNEXTLINE(bugprone-forwarding-reference-overload,google-explicit-constructor)
    basic_dynamic_semaphore(Semaphore&& other)
        : executor_(other.executor_), is_signal_(other.is_signal_), state_(other.state_) {
        detail::reject_move<Semaphore>();
    }

    basic_dynamic_semaphore(const basic_dynamic_semaphore&) = delete;
    basic_dynamic_semaphore& operator=(const basic_dynamic_semaphore&) = delete;

    ~basic_dynamic_semaphore() { state_->orphan(); }

    executor_type get_executor() const noexcept { return executor_; }

    // ---- Waiting ----
    //
    // `n` is how many permits the caller wants, all at once, in [1, max_limit]. Otherwise std::invalid_argument is
    // thrown, before anything else happens.
    //
    // A waiter for many permits is served in its turn: no other waiter, and no newcomer, overtakes it while it waits
    // for enough of them. A waiter for more permits than the limit lets all others pass. It is served first as soon as
    // the limit is raised. (The permits of a signal come from release() alone, and each waiter has its turn.)
    //
    // Functions with `_for` or `_until` in their names end with `error::wait_timeout` when no permit has come in time.
    // `timeout` counts from the start of the wait: from the co_await of an awaitable, or of a deferred operation.

    /// Waits for permits, and returns them: `permit p = co_await s.acquire();`. Does not suspend if they are free.
    /// Resumes on the calling coroutine's executor. Throws system_error with `operation_aborted` if it is cancelled,
    /// and with `error::closed` if the semaphore is closed.
    asio::awaitable<permit, Executor> acquire(std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::without_deadline{});
    }

    /// The same, but waits at most for `timeout`, or until `time`; then throws system_error with `error::wait_timeout`.
    /// A permit that is free is taken even if the time is over already. The timer is part of the waiter's own
    /// operation: there is no other coroutine. Complexity: O(log w) for w timers of the context.
    asio::awaitable<permit, Executor> acquire_for(std::chrono::steady_clock::duration timeout, std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::within<std::chrono::steady_clock>{timeout});
    }
    asio::awaitable<permit, Executor> acquire_until(detail::point_in_time<std::chrono::steady_clock> time,
                                                    std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::until<std::chrono::steady_clock>{time});
    }

    /// Waits for permits, and passes them to the handler.
    ///
    /// Completion signature: `void(error_code, permit)`; the permit is empty if there is an error. Prefer these to
    /// async_acquire: a permit releases itself if its handler drops it, or if `awaitable_operators::operator||` drops
    /// it, as the result of the operation that lost.
    template <asio::completion_token_for<void(error_code, permit)> Token = default_token>
    auto async_acquire_permit(Token&& token = Token()) {
        return initiate<void(error_code, permit), permit_delivery, Token>(token, 1, detail::without_deadline{});
    }
    template <asio::completion_token_for<void(error_code, permit)> Token = default_token>
    auto async_acquire_permit_n(std::size_t n, Token&& token = Token()) {
        return initiate<void(error_code, permit), permit_delivery, Token>(token, check_wanted(n),
                                                                          detail::without_deadline{});
    }
    template <asio::completion_token_for<void(error_code, permit)> Token = default_token>
    auto async_acquire_permit_for(std::chrono::steady_clock::duration timeout, Token&& token = Token()) {
        return initiate<void(error_code, permit), permit_delivery, Token>(
            token, 1, detail::within<std::chrono::steady_clock>{timeout});
    }
    template <asio::completion_token_for<void(error_code, permit)> Token = default_token>
    auto async_acquire_permit_until(detail::point_in_time<std::chrono::steady_clock> time, Token&& token = Token()) {
        return initiate<void(error_code, permit), permit_delivery, Token>(
            token, 1, detail::until<std::chrono::steady_clock>{time});
    }

    /// Waits for permits that the caller returns with release().
    ///
    /// Completion signature: `void(error_code)`; without an error, the caller has the permits.
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_acquire(Token&& token = Token()) {
        return initiate<void(error_code), bare_delivery, Token>(token, 1, detail::without_deadline{});
    }
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_acquire_n(std::size_t n, Token&& token = Token()) {
        return initiate<void(error_code), bare_delivery, Token>(token, check_wanted(n), detail::without_deadline{});
    }
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_acquire_for(std::chrono::steady_clock::duration timeout, Token&& token = Token()) {
        return initiate<void(error_code), bare_delivery, Token>(token, 1,
                                                                detail::within<std::chrono::steady_clock>{timeout});
    }
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_acquire_until(detail::point_in_time<std::chrono::steady_clock> time, Token&& token = Token()) {
        return initiate<void(error_code), bare_delivery, Token>(token, 1,
                                                                detail::until<std::chrono::steady_clock>{time});
    }

    // ---- Blocking ----

    /// Blocks the calling thread until it has `n` permits, in [1, max_limit]; else throws std::invalid_argument. For
    /// threads of your own. **Never call it on a thread that runs an executor**, such as one that runs an io_context:
    /// the coroutines that would release the permits may need that very thread.
    ///
    /// Blocked threads, coroutines and handlers wait in one line. The executor need not run. Nothing is allocated.
    /// Throws system_error with `operation_aborted` after cancel() or if the semaphore is destroyed, and with
    /// `error::closed` if the semaphore is closed. To grant a permit to a blocked thread takes a short lock that only
    /// that thread uses, too.
    permit acquire_blocking(std::size_t n = 1) {
        return block(check_wanted(n), (std::chrono::steady_clock::time_point::max)());
    }

    /// The same, but blocks at most for `timeout`; then throws system_error with `error::wait_timeout`. A permit that
    /// is free is taken even if `timeout` is 0 or less. A permit that is granted just as the time ends is returned
    /// to the caller.
    permit acquire_blocking_for(std::chrono::steady_clock::duration timeout, std::size_t n = 1) {
        return block(check_wanted(n), detail::after<std::chrono::steady_clock>(timeout).time);
    }

    // ---- Not waiting ----

    /// Takes a permit that the caller returns with release(). Returns false if no permit is available, if a caller
    /// waits or is just being served, or after close().
    [[nodiscard]] bool try_acquire() noexcept { return state_->try_take(1, false); }

    /// The same for `n` permits, all or none, in [1, max_limit]; else throws std::invalid_argument.
    [[nodiscard]] bool try_acquire_n(std::size_t n) { return state_->try_take(check_wanted(n), false); }

    /// The same, but returns a permit object, which is empty instead of false.
    [[nodiscard]] permit try_acquire_permit() noexcept { return try_acquire_checked(1); }
    [[nodiscard]] permit try_acquire_permit_n(std::size_t n) { return try_acquire_checked(check_wanted(n)); }

    /// Releases `n` permits that async_acquire or try_acquire took. `n` is in [1, max_limit], and no more than are
    /// taken and not released; else throws std::invalid_argument and changes nothing. So an error of the program that
    /// would raise the limit for good is found, at the latest when all permits are back. To raise the limit, use
    /// set_limit().
    ///
    /// A signal adds `n` permits, as std::counting_semaphore does. At most max_limit permits may be available
    /// afterwards; else throws std::invalid_argument and changes nothing.
    ///
    /// Serves waiters. Complexity: O(1) for each of them.
    void release(std::size_t n = 1) {
        detail::check_range("n", n, 1, max_limit);
        if (!state_->release(n, is_signal_))
            throw std::invalid_argument(
                "flowguard: n is " + std::to_string(n) +
                (is_signal_ ? ", must leave at most " + std::to_string(max_limit) + " permits available"
                            : ", must not be more than the permits that are taken"));
    }

    /// Changes how many permits exist, in [0, max_limit]; else throws std::invalid_argument. If there are more than
    /// before, they are available, or granted to waiters, at once. If there are fewer, no holder loses its permit: the
    /// excess is absorbed as permits are released, and no caller is admitted until then. Lock-free. Complexity: O(1)
    /// for each waiter that is granted permits.
    ///
    /// A limit of 0 pauses the semaphore: callers wait, in their order, until the limit is raised. (For a signal,
    /// release() still lets a waiter through.)
    void set_limit(std::size_t limit) { state_->set_limit(detail::check_range("limit", limit, 0, max_limit)); }

    /// How many permits exist. Each of these four counters may be out of date when it is returned. It does not show
    /// what calls on other threads have not finished yet.
    std::size_t current_limit() const noexcept { return state_->limit(); }

    /// How many permits try_acquire() could take now; 0 while a caller waits for no more than the limit.
    std::size_t available_permits() const noexcept { return state_->available(); }

    /// How many permits are held, or on their way to a waiter. Exact for some instant during this call. For a signal,
    /// this is what was taken beyond what was released, or 0.
    std::size_t in_flight() const noexcept { return state_->in_flight(); }

    /// How many callers wait.
    std::size_t waiting() const noexcept { return state_->waiting(); }

    /// Ends all present waits with `operation_aborted`. Later callers wait as usual. May throw std::bad_alloc; then
    /// nothing has changed.
    void cancel() { state_->cancel_all(); }

    /// The same for the waits of one execution context, such as an io_context: for a part of a program that goes away
    /// while other parts go on using the semaphore.
    ///
    ///     semaphore.cancel(context); // a stopped context would keep the permits that it is granted
    ///
    /// A wait belongs to the context in which it completes: that of its handler's executor, or of the semaphore's
    /// executor where that takes its place (see *Completion* and *Deadlines*). A strand belongs to the context that it
    /// runs on. A blocked thread, and a handler whose executor has no context, belong to none.
    ///
    /// The waits that have begun before this call end. A wait that begins at the same time may end or go on; later ones
    /// go on. A waiter that is granted its permit at the same time completes with the permit. No handler is called from
    /// inside this call.
    ///
    /// May be called on any thread. `context` must exist until this returns. Lock-free, except for an allocation: may
    /// throw std::bad_alloc; then nothing has changed. Complexity: linear in the number of all waiters.
    void cancel(asio::execution_context& context) { state_->cancel_all_of(context); }

    /// Ends all present waits, and every later attempt to acquire a permit until reopen(), with `error::closed`.
    /// Permits that are held stay valid. Idempotent.
    void close() noexcept { state_->close(); }

    /// Ends what close() began: later callers take permits and wait as usual. Waits that close() has begun to end are
    /// not saved. Has no effect on a semaphore that is not closed. May throw std::bad_alloc; then nothing has changed.
    void reopen() { state_->reopen(); }

    /// Whether close() was called, and reopen() was not called after it. May be out of date when it is returned.
    bool is_closed() const noexcept { return state_->is_closed(); }

private:
    struct permit_delivery {
        detail::semaphore_state* of;

        detail::semaphore_state& state() const noexcept { return *of; }
        static detail::lane_number lane() noexcept { return detail::lane_number(); }
        bool take(std::size_t permits) const noexcept { return of->try_take(permits, true); }
        void release(std::size_t permits) const noexcept { of->release_with_reference(permits); }

        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits, std::chrono::nanoseconds) const {
            std::move(handler)(error, permits != 0 ? permit(*of, permits) : permit());
        }
    };

    struct bare_delivery : permit_delivery {
        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits, std::chrono::nanoseconds) const {
            if (permits != 0)
                this->of->drop_references(1); // the caller has the permits, and keeps the semaphore
            std::move(handler)(error);
        }
    };

    template <class Delivery, class Timing>
    struct initiate_acquire {
        using executor_type = Executor;
        basic_dynamic_semaphore* self;

        executor_type get_executor() const noexcept { return self->executor_; }

        template <class Handler>
        void operator()(Handler&& handler, std::size_t n, const Timing& timing) const {
            const auto from_now = detail::timing_from_now(timing);
            detail::wait_operation<std::decay_t<Handler>, Executor, Delivery,
                                   std::remove_const_t<decltype(from_now)>>::start(std::forward<Handler>(handler),
                                                                                   self->executor_,
                                                                                   Delivery{self->state_}, n, from_now);
        }
    };

    template <class Signature, class Delivery, class Token, class Timing>
    auto initiate(Token& token, std::size_t n, const Timing& timing) {
        return asio::async_initiate<Token, Signature>(initiate_acquire<Delivery, Timing>{this}, token, n, timing);
    }

    template <class Timing>
    asio::awaitable<permit, Executor> acquire_checked(std::size_t n, Timing timing) {
        if (permit p = try_acquire_checked(n))
            co_return p;
        asio::use_awaitable_t<Executor> token;
        co_return co_await initiate<void(error_code, permit), permit_delivery, asio::use_awaitable_t<Executor>>(
            token, n, timing);
    }

    permit block(std::size_t n, std::chrono::steady_clock::time_point end) {
        if (permit p = try_acquire_checked(n))
            return p;
        detail::semaphore_state& state = *state_;
        const detail::keep_alive kept(state);
        std::optional<detail::wait_start> why_not;
        std::chrono::nanoseconds enqueued_at{};
        const detail::wait_result result = detail::wait_in_thread<std::chrono::steady_clock>(
            state, n, detail::lane_number(), 0, end, detail::nothing_to_watch{}, why_not, enqueued_at);
        if (result == detail::wait_result::granted)
            return permit(state, n);
        throw system_error(detail::to_error_code(why_not ? detail::result_of(*why_not) : result));
    }

    permit try_acquire_checked(std::size_t n) noexcept {
        return state_->try_take(n, true) ? permit(*state_, n) : permit();
    }

    static std::size_t check_wanted(std::size_t n) { return detail::check_range("n", n, 1, max_limit); }

    Executor executor_;
    bool is_signal_; // more may be released than was taken
    detail::semaphore_state* state_; // shared with permits, waiters and contexts: see permit_word
};

/// The semaphore for any executor.
using dynamic_semaphore = basic_dynamic_semaphore<asio::any_io_executor>;

} // namespace flowguard

#endif
