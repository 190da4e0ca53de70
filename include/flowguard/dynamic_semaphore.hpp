// dynamic_semaphore.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DYNAMIC_SEMAPHORE_HPP
#define FLOWGUARD_DYNAMIC_SEMAPHORE_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/check.hpp"
#include "flowguard/detail/semaphore_state.hpp"
#include "flowguard/detail/wait_operation.hpp"
#include "flowguard/permit.hpp"

namespace flowguard {

/// A counting semaphore for Asio whose limit can change while it is in use.
///
///     flowguard::dynamic_semaphore connections{io_context, 10};
///
///     asio::awaitable<void> query() {
///         flowguard::permit p = co_await connections.acquire(); // waits if all ten are in use
///         co_await run_query();
///     }                                                         // p goes back here
///
///     connections.set_limit(4); // at once: nobody is admitted until in_flight() is below 4
///
/// Waiters are served first in, first out, and no newcomer overtakes them. With an uncontended permit
/// every operation is one compare-and-swap.
///
/// *Thread safety.* Distinct objects: safe. Shared objects: safe, except for construction and
/// destruction. All operations are lock-free: none blocks or spins on another thread. There are two exceptions, which
/// take short locks: the first wait of each execution context at a semaphore (Asio's lock to find a service, and one of
/// O(1)), and the destruction of a semaphore, or of its last permit (one of O(1) for each such context).
///
/// *Completion.* A handler is called through its associated executor, by default the semaphore's,
/// as if by `asio::post`; never from inside the initiating call, release() or set_limit(). (Where Asio
/// has associated immediate executors, 1.28 and newer, a handler that has one is called through that
/// if its operation completes at once.) Work is outstanding on its executor while it waits.
///
/// *Memory.* A waiter is one block of 160 bytes with a handler of 8, on 64-bit machines, from the handler's
/// associated allocator, freed before the handler is called. With a deadline, its timer's operation comes
/// besides; with a connected cancellation slot, 24 bytes, which are freed when the slot is used again or its signal
/// goes, and not before the waiter. A waiter is posted from memory inside the block where the executor takes an
/// allocator.
///
/// If an initiating function fails to allocate, it throws std::bad_alloc; then its handler is never called, and it
/// holds no permit. (A strand of Asio that fails to post is stuck from then on, for others too.) If a waiter cannot
/// be posted later, because its executor takes no allocator, or needs more than one piece of memory as a strand does,
/// std::terminate is called: nobody would be left to be told.
///
/// *Cancellation.* Operations support all types of per-operation cancellation: terminal, partial and
/// total. A cancelled waiter completes with `asio::error::operation_aborted` and has not consumed a
/// permit; one that has been granted its permit already completes with it.
///
/// A slot is used by the initiating function alone; the operation does not touch it later. So its signal may be
/// emitted, used for another operation or destroyed at any time after that function has returned: while the operation
/// completes on another thread, after it has completed, and after its semaphore or its execution context has gone. As
/// always in Asio, two threads may not use one signal or its slot at the same time. An emission is then like any
/// other use of the semaphore: it may complete waiters of others, never from inside.
///
/// *Deadlines* are kept by a timer in the context of the handler's executor. One that has no context, such
/// as a promise's, waits and completes through the semaphore's, which then has to run.
///
/// *Lifetime.* Destroying the semaphore ends its waiters with `operation_aborted`. Permits may outlive
/// it. An execution context may be destroyed before or after the semaphore; handlers that wait in it
/// are then destroyed uncalled, while other threads, and callers of other contexts, go on using the semaphore. What
/// must not happen meanwhile is the usual in Asio: no thread starts or cancels an operation of the context that is
/// being destroyed. A context that was used keeps no semaphore in memory.
///
/// *Liveness.* A waiter that is granted its permits is posted to its executor before the operation that granted them
/// returns, or within one round, of at most 64 grants, of the thread that serves the queue at that moment. A thread
/// that serves the queue for others hands that on after a bounded time, however many operations arrive.
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

    /// `limit` permits, in [0, max_limit]; else throws std::invalid_argument. With 0 it is a signal: each
    /// release() lets one waiter through.
    basic_dynamic_semaphore(Executor executor, std::size_t limit)
        : executor_(std::move(executor)),
          state_(new detail::semaphore_state(detail::check_range("limit", limit, 0, max_limit))) {}

    /// The same, with the executor of an execution context, say an io_context.
    template <class Context>
        requires std::derived_from<Context, asio::execution_context>
    basic_dynamic_semaphore(Context& context, std::size_t limit)
        : basic_dynamic_semaphore(Executor(context.get_executor()), limit) {}

    basic_dynamic_semaphore(const basic_dynamic_semaphore&) = delete;
    basic_dynamic_semaphore& operator=(const basic_dynamic_semaphore&) = delete;

    ~basic_dynamic_semaphore() { state_->orphan(); }

    executor_type get_executor() const noexcept { return executor_; }

    // ---- Waiting ----
    //
    // `n`, where there is one, is how many permits are wanted, all at once, in [1, max_limit]; else
    // std::invalid_argument is thrown, before anything else. A waiter for many permits is served in its turn: no
    // other waiter, and no newcomer, overtakes it while the permits for it come together. A waiter for more permits
    // than the limit lets all others pass, until the limit is raised, or that many permits are available because
    // some were released beyond the limit; then it has its turn, first. (With a limit of 0 permits come from
    // release() alone, and each waiter has its turn.) What has `_for` or `_until` in its name ends with
    // `error::wait_timeout` when no permit has come in time.

    /// Waits for permits and holds them: `permit p = co_await s.acquire();`. Does not suspend when they
    /// are free. Resumes on the calling coroutine's executor. Throws system_error with
    /// `operation_aborted` when cancelled, `error::closed` when closed.
    asio::awaitable<permit, Executor> acquire(std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::without_deadline{});
    }

    /// The same, until so much time has passed; then throws system_error with `error::wait_timeout`. A
    /// permit that is free is taken even if the time is over already. With a timer in the waiter's own
    /// operation: no other coroutine, and O(log w) for w timers of the context.
    asio::awaitable<permit, Executor> acquire_for(std::chrono::steady_clock::duration timeout, std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::after<std::chrono::steady_clock>(timeout));
    }
    asio::awaitable<permit, Executor> acquire_until(std::chrono::steady_clock::time_point time, std::size_t n = 1) {
        return acquire_checked(check_wanted(n), detail::until<std::chrono::steady_clock>{time});
    }

    /// Waits for permits and holds them.
    ///
    /// Completion signature: `void(error_code, permit)`; the permit is empty if there is an error. A
    /// permit that is granted and then not wanted (by `awaitable_operators::operator||`, say, which
    /// drops the loser's result) goes back by itself: prefer these to async_acquire.
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
            token, 1, detail::after<std::chrono::steady_clock>(timeout));
    }
    template <asio::completion_token_for<void(error_code, permit)> Token = default_token>
    auto async_acquire_permit_until(std::chrono::steady_clock::time_point time, Token&& token = Token()) {
        return initiate<void(error_code, permit), permit_delivery, Token>(
            token, 1, detail::until<std::chrono::steady_clock>{time});
    }

    /// Waits for permits that the caller gives back with release().
    ///
    /// Completion signature: `void(error_code)`; without an error, the caller has them.
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
                                                                detail::after<std::chrono::steady_clock>(timeout));
    }
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_acquire_until(std::chrono::steady_clock::time_point time, Token&& token = Token()) {
        return initiate<void(error_code), bare_delivery, Token>(token, 1,
                                                                detail::until<std::chrono::steady_clock>{time});
    }

    // ---- Not waiting ----

    /// Takes a permit that the caller gives back with release(); false if none is available, if
    /// somebody waits or is just being served, or after close().
    [[nodiscard]] bool try_acquire() noexcept { return state_->try_take(1, false); }

    /// The same for `n` permits, all or none, in [1, max_limit]; else throws std::invalid_argument.
    [[nodiscard]] bool try_acquire_n(std::size_t n) { return state_->try_take(check_wanted(n), false); }

    /// The same, held by a permit, which is empty instead of false.
    [[nodiscard]] permit try_acquire_permit() noexcept { return try_acquire_checked(1); }
    [[nodiscard]] permit try_acquire_permit_n(std::size_t n) { return try_acquire_checked(check_wanted(n)); }

    /// Adds `n` permits: those taken by async_acquire or try_acquire, or, as with
    /// std::counting_semaphore, more. In [1, max_limit], and at most max_limit may be available
    /// afterwards; else throws std::invalid_argument and changes nothing. Serves waiters; O(1) each.
    void release(std::size_t n = 1) {
        detail::check_range("n", n, 1, max_limit);
        if (!state_->give(n))
            throw std::invalid_argument("flowguard: n is " + std::to_string(n) + ", must leave at most " +
                                        std::to_string(max_limit) + " permits available");
    }

    /// Changes how many permits exist, in [1, max_limit]; else throws std::invalid_argument. More than
    /// before are available, or granted to waiters, at once. If fewer, no holder loses its permit:
    /// what is in flight above the limit is debt, which releases pay before anyone is admitted. Lock-free; O(1) for each
    /// waiter that is granted permits.
    void set_limit(std::size_t limit) { state_->set_limit(detail::check_range("limit", limit, 1, max_limit)); }

    /// How many permits exist. Any of these four counters may be out of date when it is returned, and
    /// does not show what calls that other threads are in have not finished yet.
    std::size_t current_limit() const noexcept { return state_->limit(); }

    /// How many permits try_acquire() could take now; 0 while a caller waits for no more than the limit.
    std::size_t available_permits() const noexcept { return state_->available(); }

    /// How many permits are held, or on their way to a waiter: at some instant during this call, exactly. Permits that
    /// were released beyond the limit hide as many that are held.
    std::size_t in_flight() const noexcept { return state_->in_flight(); }

    /// How many callers wait.
    std::size_t waiting() const noexcept { return state_->waiting(); }

    /// Ends everybody who waits now with `operation_aborted`. Those who come later wait as usual.
    void cancel() { state_->cancel_all(); }

    /// Ends everybody who waits, and whoever tries to acquire a permit later, with `error::closed`.
    /// Permits that are held stay so. Idempotent.
    void close() noexcept { state_->close(); }

private:
    struct permit_delivery {
        detail::semaphore_state* of;

        detail::semaphore_state& state() const noexcept { return *of; }
        static detail::lane_number lane() noexcept { return detail::lane_number(); }
        bool take(std::size_t permits) const noexcept { return of->try_take(permits, true); }
        void give_back(std::size_t permits) const noexcept { of->give_with_reference(permits); }

        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits) const {
            std::move(handler)(error, permits != 0 ? permit(*of, permits) : permit());
        }
    };

    struct bare_delivery : permit_delivery {
        template <class Handler>
        void deliver(Handler& handler, error_code error, std::size_t permits) const {
            if (permits != 0)
                this->of->drop_references(1); // the caller has the permits, and this semaphore
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
            detail::wait_operation<std::decay_t<Handler>, Executor, Delivery, Timing>::start(
                std::forward<Handler>(handler), self->executor_, Delivery{self->state_}, n, timing);
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

    permit try_acquire_checked(std::size_t n) noexcept {
        return state_->try_take(n, true) ? permit(*state_, n) : permit();
    }

    static std::size_t check_wanted(std::size_t n) { return detail::check_range("n", n, 1, max_limit); }

    Executor executor_;
    detail::semaphore_state* state_; // shared with permits, waiters and contexts: see permit_word
};

/// The semaphore for any executor.
using dynamic_semaphore = basic_dynamic_semaphore<asio::any_io_executor>;

} // namespace flowguard

#endif
