// wait_operation.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_WAIT_OPERATION_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_WAIT_OPERATION_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/completion_executor.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/post_attempt.hpp"
#include "flowguard/detail/base/rare.hpp"
#include "flowguard/detail/queue/flow_waiter.hpp"
#include "flowguard/detail/queue/lane_number.hpp"
#include "flowguard/detail/queue/shared_claim.hpp"
#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/context_service.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

inline error_code to_error_code(wait_result result) noexcept {
    switch (result) {
    case wait_result::granted:
        return {};
    case wait_result::timed_out:
        return error::wait_timeout;
    case wait_result::closed:
        return error::closed;
    case wait_result::shed:
    case wait_result::overdue:
    case wait_result::no_permit:
        return error::shed;
    case wait_result::aborted:
    case wait_result::abandoned:
        break;
    }
    return asio::error::operation_aborted;
}

// For a caller that was not queued.
inline wait_result result_of(wait_start why_not) noexcept {
    return why_not == wait_start::full ? wait_result::shed : wait_result::closed;
}

// Why a caller that found no permit may not wait for one; nothing if it may. `is_over`: its deadline has passed.
FLOWGUARD_DETAIL_EACH_CALL inline std::optional<wait_result> why_not_wait(const semaphore_state& state,
                                                                          lane_number lane, bool is_over) noexcept {
    if (is_over)
        return state.is_closed() ? wait_result::closed : wait_result::timed_out;
    if (const wait_start start = state.would_wait(lane); start != wait_start::queued)
        return result_of(start);
    return std::nullopt;
}

// The handler in a waiter's cancellation slot.
class canceller {
public:
    canceller() noexcept = default;
    canceller(const canceller&) = delete;
    canceller& operator=(const canceller&) = delete;
    ~canceller() {
        if (claim_ != nullptr)
            claim_->drop_reference();
    }

    void share(shared_claim& claim) noexcept {
        claim.add_reference();
        claim_ = &claim;
    }

    // Every type of cancellation is supported: a cancelled wait leaves the semaphore as if it had never begun.
    void operator()(asio::cancellation_type_t type) noexcept {
        if (type != asio::cancellation_type::none && claim_ != nullptr && claim_->claim())
            claim_->state().cancel_claimed(claim_->claimed_waiter(), wait_result::aborted);
    }

private:
    shared_claim* claim_ = nullptr; // null if the wait could not be started
};

// A Delivery of calls that belong to a flow. Only their waiters have memory for that.
template <class Delivery>
concept tells_flow = requires(const Delivery& d) {
    { d.flow() } -> std::same_as<std::uint64_t>;
};

// A waiter that is an Asio operation. It has a handler, outstanding work that keeps the context of the handler's
// executor running, and a Delivery, which passes permits on to the handler. The completion is posted to the handler's
// executor. If that executor takes no posts, the completion is posted to the semaphore's executor and dispatched from
// there, as Asio's own operations are.
//
// Members of a Delivery:
// - `state()`: the semaphore. `lane()`: where to wait.
// - `take(n)`: takes permits at once, with their reference. `release(n)`: returns permits, with their reference.
// - `deliver(handler, error, permits, enqueued_at)`: calls the handler, and passes the permits on to it, with their
//   reference, in whatever form; if there is an error, there are no permits. `enqueued_at` is that of the waiter.
// - `wait(w)`: puts the waiter in line, if that is not what semaphore_state::wait() does. The waiter is then a drain. A
//   Delivery may lack it.
// - `flow()`: the flow that the waiter belongs to. A Delivery may lack it.
// - `watch(executor)`: keeps a timer for the semaphore. `prepare_watch(executor)`: prepares the executor's context for
//   that. `watch_in_vain()`: called in place of `watch()` if no timer can be had. A Delivery may lack these three.
//
// The cancellation slot is filled before the wait is published, and never touched again: see shared_claim.
template <class Handler, class Executor, class Delivery, class Timing = without_deadline>
class wait_operation final : public std::conditional_t<tells_flow<Delivery>, flow_waiter, waiter> {
    using base = std::conditional_t<tells_flow<Delivery>, flow_waiter, waiter>;

public:
    using base::claim;
    using base::enqueued_at;
    using base::lane;
    using base::make_cancellable;
    using base::result;
    using base::share_claim;
    using base::wanted;

    // Starts a wait. If this throws (no memory), the handler is never called, and no permit is taken.
    static void start(Handler handler, const Executor& default_executor, Delivery delivery, std::size_t permits,
                      const Timing& timing = {}) {
        pointer op{create(handler, default_executor, delivery, permits, timing)};
        if (delivery.take(permits)) {
            op->result = wait_result::granted;
            op.release()->complete_immediately(default_executor);
            return;
        }
        bool is_over = false;
        if constexpr (has_deadline)
            is_over = op->deadline_.has_passed();
        if (const auto why_not = why_not_wait(op->delivery_.state(), op->lane, is_over))
            return reject(std::move(op), default_executor, *why_not);
        enqueue(std::move(op), default_executor);
    }

    // The same for a caller that has just found no permit, and that it may wait for one.
    static void wait(Handler handler, const Executor& default_executor, Delivery delivery, std::size_t permits,
                     const Timing& timing) {
        enqueue(pointer{create(handler, default_executor, delivery, permits, timing)}, default_executor);
    }

    // The same for a call that never waits. `delivery.take()` takes a permit, with its reference, and returns
    // wait_result::granted; or it returns why there is none.
    static void start_at_once(Handler handler, const Executor& default_executor, Delivery delivery) {
        pointer op{create(handler, default_executor, delivery, 1, without_deadline{})};
        if (const wait_result result = delivery.take(); result != wait_result::granted)
            return reject(std::move(op), default_executor, result);
        op->result = wait_result::granted;
        op.release()->complete_immediately(default_executor);
    }

    // With a deadline, there is always a context: the timer's.
    asio::execution_context* context() override {
        if constexpr (has_deadline && !timer_is_handlers)
            return detail::context_of(deadline_.get_executor());
        else
            return executor_.context();
    }

    void watch() noexcept override {
        if constexpr (watches) {
            try {
                if constexpr (has_watch_executor)
                    return delivery_.watch(watch_executor());
            } catch (...) { // no memory
            }
            delivery_.watch_in_vain();
        }
    }

    void complete() noexcept override {
        if (deadline_.completion_through())
            post();
    }

    void destroy() noexcept override {
        if (deadline_.completion_through())
            destroy_now();
    }

private:
    static constexpr bool has_deadline = !std::is_same_v<Timing, without_deadline>;
    static constexpr bool watches = requires(const Delivery& d) { d.watch_in_vain(); };
    static constexpr bool is_a_drain = requires(const Delivery& d, waiter& w) { d.wait(w); };

    using handler_executor = asio::associated_executor_t<Handler, Executor>;

    static constexpr bool dispatches = !takes_posts<handler_executor>;
    using posting_executor = std::conditional_t<dispatches, Executor, handler_executor>;

    // Whether the timer uses the handler's executor. Some executors, such as a promise's, have no context for a timer.
    static constexpr bool timer_is_handlers = !dispatches && has_context<handler_executor>;
    using timer_executor = std::conditional_t<timer_is_handlers, handler_executor, Executor>;

    // The executor on which the semaphore keeps a timer of its own, and whether there is one.
    static constexpr bool has_watch_executor = watches && (has_deadline || has_context<posting_executor>);
    auto watch_executor() {
        if constexpr (has_deadline)
            return deadline_.get_executor();
        else
            return executor_.get_executor();
    }

    // By default, an operation uses the memory that Asio keeps for a thread's next operation.
    using handler_allocator = asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>;
    using allocator = typename std::allocator_traits<handler_allocator>::template rebind_alloc<wait_operation>;

    static handler_allocator allocator_of(const Handler& handler) noexcept {
        return asio::get_associated_allocator(handler, asio::recycling_allocator<void>());
    }

    struct deleter {
        void operator()(wait_operation* op) const noexcept { deallocate(op, allocator{allocator_of(op->handler_)}); }
    };
    using pointer = std::unique_ptr<wait_operation, deleter>;

    // The function that is posted. If it is destroyed uncalled, with its context, it releases the permits.
    class completion {
    public:
        using allocator_type = completion_allocator<void>;

        explicit completion(wait_operation* op) noexcept : op_(op) {}
        completion(completion&& other) noexcept : op_(std::exchange(other.op_, nullptr)) {}
        completion& operator=(completion&&) = delete;
        ~completion() {
            if (op_ != nullptr)
                destroy_uncalled(op_);
        }

        allocator_type get_allocator() const noexcept { return op_->executor_.get_allocator(); }

        void operator()() { release()->run_posted(); }

    protected:
        wait_operation* release() noexcept { return std::exchange(op_, nullptr); }

    private:
        FLOWGUARD_DETAIL_RARE static void destroy_uncalled(wait_operation* op) noexcept {
            post_attempt::gone(op);
            op->destroy_now();
        }

        wait_operation* op_;
    };

    // The function that is dispatched from a posted one.
    class dispatched_completion : public completion {
    public:
        using completion::completion;

        void operator()() { this->release()->invoke(); }
    };

    // The timer's handler.
    class expiry {
    public:
        using allocator_type = handler_allocator;
        using executor_type = asio::associated_executor_t<Handler, timer_executor>;

        explicit expiry(wait_operation* op) noexcept : op_(op) {}
        expiry(expiry&& other) noexcept : op_(other.op_), is_alive_(std::exchange(other.is_alive_, false)) {}
        expiry& operator=(expiry&&) = delete;
        ~expiry() {
            if (is_alive_ && op_->deadline_.timer_through([] {})) // uncalled, with its context
                op_->destroy_now();
        }

        allocator_type get_allocator() const noexcept { return allocator_of(op_->handler_); }
        executor_type get_executor() const noexcept {
            return asio::get_associated_executor(op_->handler_, op_->deadline_.get_executor());
        }

        void operator()(const error_code&) {
            is_alive_ = false;
            wait_operation* op = op_;
            if (!op->deadline_.timer_through([op] { op->time_out(); }))
                return;
            op->invoke(); // on its executor, after the initiating call: as good as posted
        }

    private:
        wait_operation* op_; // kept by a move: after a failure, Asio asks a moved-from handler for its allocator
        bool is_alive_ = true;
    };

#if defined(FLOWGUARD_HAS_IMMEDIATE_EXECUTOR)
    // Dispatched to the immediate executor, and from there to the handler's executor, as in Asio's own operations.
    class immediate_completion : public completion {
    public:
        using executor_type = handler_executor;

        immediate_completion(wait_operation* op, const handler_executor& executor) noexcept
            : completion(op), op_(op), executor_(executor) {}

        executor_type get_executor() const noexcept { return executor_; }

        void operator()() {
            post_attempt::gone(op_); // if this runs inside the attempt, the handler may throw
            this->release()->invoke();
        }

    private:
        wait_operation* op_;
        handler_executor executor_;
    };
#endif

    // `own` is the handler's executor. It is asked for once: a copy of an any_io_executor costs two indirect calls.
    wait_operation(Handler&& handler, const handler_executor& own, const Executor& default_executor, Delivery delivery,
                   std::size_t permits, const Timing& timing)
        : base(permits, is_a_drain ? queue_message::kind::drain : queue_message::kind::enqueue),
          delivery_(delivery),
          executor_(one_of<dispatches>(default_executor, own)),
          dispatch_executor_(own),
          deadline_(timing, one_of<timer_is_handlers>(own, default_executor)),
          handler_(std::move(handler)) {
        lane = delivery.lane();
        if constexpr (tells_flow<Delivery>)
            this->set_flow(delivery.flow());
    }
    ~wait_operation() = default;

    template <bool First, class A, class B>
    static const auto& one_of(const A& first, const B& second) noexcept {
        if constexpr (First)
            return first;
        else
            return second;
    }

    static wait_operation* create(Handler& handler, const Executor& default_executor, Delivery delivery,
                                  std::size_t permits, const Timing& timing) {
        allocator memory{allocator_of(handler)};
        wait_operation* storage = std::allocator_traits<allocator>::allocate(memory, 1);
        try {
            const auto& own = asio::get_associated_executor(handler, default_executor);
            return ::new (static_cast<void*>(storage))
                wait_operation(std::move(handler), own, default_executor, delivery, permits, timing);
        } catch (...) {
            std::allocator_traits<allocator>::deallocate(memory, storage, 1);
            throw;
        }
    }

    static void deallocate(wait_operation* op, allocator memory) noexcept {
        op->~wait_operation();
        std::allocator_traits<allocator>::deallocate(memory, op, 1);
    }

    // Called outside the initiating call. If the executor takes no allocator, this may fail for lack of memory. No
    // caller is left then that could be told, so std::terminate is called, as for any handler that cannot be posted.
    void post() noexcept { executor_.post(completion(this)); }

    // Completes from within the initiating call: by a post, or through the handler's associated immediate executor.
    void complete_immediately([[maybe_unused]] const Executor& default_executor) {
#if defined(FLOWGUARD_HAS_IMMEDIATE_EXECUTOR)
        try_to([&] {
            const auto& own = asio::get_associated_executor(handler_, default_executor);
            auto immediate =
                asio::get_associated_immediate_executor(handler_, one_of<dispatches>(default_executor, own));
            asio::dispatch(immediate, immediate_completion{this, own});
        });
#else
        try_to([this] { executor_.post(completion(this)); });
#endif
    }

    // Posts or dispatches from within the initiating call, and passes on what that throws. A completion that is
    // destroyed releases the permits. If the failed post has left it in an executor's queue instead, its permits and
    // handler are taken from it.
    template <class F>
    void try_to(F post_or_dispatch) {
        const post_attempt attempt(this);
        try {
            post_or_dispatch();
        } catch (...) {
            if (attempt.operation_exists())
                strip();
            throw;
        }
    }

    // For an operation that a failed post has left in a queue. Its handler is destroyed at once, because it may hold
    // permits of its own, or the executor whose queue holds the operation.
    void strip() noexcept {
        const std::size_t permits = granted();
        result = wait_result::abandoned;
        if (permits != 0)
            delivery_.release(permits);
        [[maybe_unused]] const Handler dropped(std::move(handler_));
    }

    // Puts the operation in line.
    static void enqueue(pointer op, const Executor& default_executor) {
        semaphore_state& state = op->delivery_.state();
        if constexpr (tells_flow<Delivery>)
            state.prepare_flows();
        if (asio::execution_context* context = op->context())
            op->link(*context);
        op->fill_slot();
        if constexpr (has_deadline) {
            op->make_cancellable();
            op->deadline_.start(expiry(op.get()));
        }
        // From here on another thread may complete and destroy the operation, so it is not touched any more. An
        // operation with a deadline exists until start_through().
        wait_operation* published = op.release();
        const wait_start started = put_in_line(*published, state);
        if constexpr (has_deadline) {
            std::optional<keep_alive> kept; // not if it is queued: then the state may be gone
            if (started != wait_start::queued) {
                kept.emplace(state);
                published->result = result_of(started);
                state.count_rejection(*rejection_of(result_of(started)), published->lane.partition());
                static_cast<void>(published->deadline_.completion_through()); // not the last: start_through() follows
            }
            if (published->deadline_.start_through([&] { published->time_out(); }))
                published->try_to([&] { published->executor_.post(completion(published)); });
            if (kept)
                state.tell_rejection(*rejection_of(result_of(started)));
        } else if (started != wait_start::queued) {
            reject(pointer{published}, default_executor, result_of(started));
        }
    }

    static wait_start put_in_line(wait_operation& op, semaphore_state& state) noexcept {
        if constexpr (is_a_drain)
            return op.delivery_.wait(op);
        else
            return state.wait(op);
    }

    // Makes the context known to the semaphore, and prepares the context for timers if one may be needed there.
    void link(asio::execution_context& context) {
        if constexpr (has_watch_executor)
            link_context(delivery_.state(), context, true, [this] { delivery_.prepare_watch(watch_executor()); });
        else
            link_context(delivery_.state(), context, has_deadline || watches, [] {});
    }

    // Lets the owner of the slot's signal, if there is one, cancel the wait.
    void fill_slot() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (!slot.is_connected())
            return;
        // The canceller has no claim at first. It replaces the canceller of an earlier wait, whose claim is then freed,
        // so that the new claim can use the memory.
        canceller& cancel = slot.template emplace<canceller>();
        shared_claim* shared = shared_claim::create(delivery_.state(), *this);
        share_claim(*shared);
        cancel.share(*shared);
    }

    void time_out() noexcept {
        if (claim())
            delivery_.state().cancel_claimed(*this, wait_result::timed_out);
    }

    // Rejects a call before it waits: tells its caller first, and then the observer. Either may destroy the semaphore.
    static void reject(pointer op, const Executor& default_executor, wait_result why) {
        semaphore_state& state = op->delivery_.state();
        const keep_alive kept(state);
        op->result = why;
        state.count_rejection(*rejection_of(why), op->lane.partition());
        op.release()->complete_immediately(default_executor);
        state.tell_rejection(*rejection_of(why));
    }

    std::size_t granted() const noexcept { return result == wait_result::granted ? wanted : 0; }

    // The rest is for the party that has the operation to itself: see deadline.

    void destroy_now() noexcept {
        if (granted() != 0)
            delivery_.release(granted());
        deleter{}(this);
    }

    void run_posted() {
        if constexpr (dispatches)
            dispatch_executor_.dispatch(dispatched_completion(this));
        else
            invoke();
    }

    // Frees the memory before it calls the handler, so that the handler's next operation can use it.
    void invoke() {
        if (result == wait_result::abandoned)
            return destroy_now();
        Handler handler = take_handler();
        const Delivery delivery = delivery_;
        const error_code error = to_error_code(result);
        const std::size_t permits = granted();
        const std::chrono::nanoseconds since = enqueued_at;
        deallocate(this, allocator{allocator_of(handler)});
        delivery.deliver(handler, error, permits, since);
    }

    Handler take_handler() {
        try {
            return std::move(handler_);
        } catch (...) {
            destroy_now();
            throw;
        }
    }

    // In place of an executor, if the handler's takes posts.
    struct no_dispatch {
        explicit no_dispatch(const handler_executor&) noexcept {}
    };

    const Delivery delivery_;
    completion_executor<posting_executor> executor_;
    [[no_unique_address]] std::conditional_t<dispatches, dispatch_executor<handler_executor>, no_dispatch>
        dispatch_executor_;
    [[no_unique_address]] deadline<Timing, timer_executor> deadline_;
    Handler handler_;
};

} // namespace flowguard::detail

#endif
