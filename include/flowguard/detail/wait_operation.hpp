// wait_operation.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_WAIT_OPERATION_HPP
#define FLOWGUARD_DETAIL_WAIT_OPERATION_HPP

#include <memory>
#include <utility>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/context_service.hpp"
#include "flowguard/detail/semaphore_state.hpp"
#include "flowguard/detail/waiter.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

inline error_code to_error_code(wait_result result) noexcept {
    switch (result) {
    case wait_result::granted:
        return {};
    case wait_result::aborted:
        return asio::error::operation_aborted;
    case wait_result::closed:
        break;
    }
    return error::closed;
}

// A waiter that is an Asio operation: a handler, the work that keeps its executor's context running,
// and how to hand over what it waited for.
//
// Delivery: `state()`, the semaphore; `take()`, whether a permit can be had at once, with a
// reference; `deliver(handler, error, granted)`, which passes permit and reference on to the handler,
// in whatever form.
//
// The operation lives until its posted completion runs on the handler's executor, and only there is
// the cancellation slot cleared, for that is where it may be touched. So an emission which comes late
// still finds the operation, and loses against its result.
template <class Handler, class Executor, class Delivery>
class wait_operation final : public waiter {
public:
    // Starts a wait. If this throws (no memory), nothing was promised and no permit taken.
    static void start(Handler handler, const Executor& default_executor, Delivery delivery) {
        pointer op{create(handler, default_executor, delivery)};
        semaphore_state& state = op->delivery_.state();
        if (op->delivery_.take()) {
            op->result = wait_result::granted;
            op.release()->complete_immediately(default_executor);
            return;
        }
        if (op->context != nullptr)
            link_context(state, *op->context);
        auto slot = asio::get_associated_cancellation_slot(op->handler_);
        if (slot.is_connected())
            slot.template emplace<canceller>(state, *op);
        // From here on others may complete it: not to be touched any more.
        wait_operation* published = op.release();
        if (!state.wait(*published)) {
            published->result = wait_result::closed;
            published->complete_immediately(default_executor);
        }
    }

    void complete() noexcept override {
        // The work moves out first, for the operation may be gone as soon as it is posted. A failure
        // to allocate here has nobody left to go to, and terminates.
        const auto outstanding = std::move(work_);
        asio::post(executor_in(outstanding), completion{this});
    }

    void destroy() noexcept override {
        if (result == wait_result::granted)
            delivery_.state().give_with_reference();
        deleter{}(this);
    }

private:
    using handler_executor = asio::associated_executor_t<Handler, Executor>;

    // Not executor_work_guard, which does not compile for, say, strand<any_io_executor> in Asio 1.22.
    static auto track(const handler_executor& executor) {
        if constexpr (asio::execution::is_executor<handler_executor>::value)
            return asio::prefer(executor, asio::execution::outstanding_work.tracked);
        else
            return asio::executor_work_guard<handler_executor>(executor);
    }
    using work = decltype(track(std::declval<const handler_executor&>()));

    static decltype(auto) executor_in(const work& w) {
        if constexpr (asio::execution::is_executor<handler_executor>::value)
            return (w);
        else
            return w.get_executor();
    }

    // By default the memory that Asio keeps for the next operation of a thread.
    using handler_allocator = asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>;
    using allocator = typename std::allocator_traits<handler_allocator>::template rebind_alloc<wait_operation>;

    static handler_allocator allocator_of(const Handler& handler) noexcept {
        return asio::get_associated_allocator(handler, asio::recycling_allocator<void>());
    }

    struct deleter {
        void operator()(wait_operation* op) const noexcept { deallocate(op, allocator{allocator_of(op->handler_)}); }
    };
    using pointer = std::unique_ptr<wait_operation, deleter>;

    // What is posted. Destroyed without being called, with its context, it gives the permit back.
    class completion {
    public:
        using allocator_type = handler_allocator;

        explicit completion(wait_operation* op) noexcept : op_(op) {}
        completion(completion&& other) noexcept : op_(std::exchange(other.op_, nullptr)) {}
        completion& operator=(completion&&) = delete;
        ~completion() {
            if (op_ != nullptr)
                op_->destroy();
        }

        allocator_type get_allocator() const noexcept { return allocator_of(op_->handler_); }

        void operator()() { std::exchange(op_, nullptr)->invoke(); }

    private:
        wait_operation* op_;
    };

#if defined(FLOWGUARD_HAS_IMMEDIATE_EXECUTOR)
    // Goes on from the immediate executor to the handler's, as Asio's own operations do.
    class immediate_completion : public completion {
    public:
        using executor_type = handler_executor;

        immediate_completion(wait_operation* op, const handler_executor& executor) noexcept
            : completion(op), executor_(executor) {}

        executor_type get_executor() const noexcept { return executor_; }

    private:
        handler_executor executor_;
    };
#endif

    class canceller {
    public:
        canceller(semaphore_state& state, wait_operation& op) noexcept : state_(&state), op_(&op) {}

        // Every type of cancellation leaves the semaphore as if the wait had not been.
        void operator()(asio::cancellation_type_t type) noexcept {
            // Unless claimed, it waits, and so the state exists.
            if (type != asio::cancellation_type::none && op_->claim())
                state_->cancel_claimed(*op_);
        }

    private:
        semaphore_state* state_;
        wait_operation* op_;
    };

    wait_operation(Handler&& handler, const Executor& default_executor, Delivery delivery)
        : handler_(std::move(handler)),
          delivery_(std::move(delivery)),
          work_(track(asio::get_associated_executor(handler_, default_executor))) {
        context = context_of(executor_in(work_));
    }
    ~wait_operation() = default;

    static wait_operation* create(Handler& handler, const Executor& default_executor, Delivery& delivery) {
        allocator memory{allocator_of(handler)};
        wait_operation* place = std::allocator_traits<allocator>::allocate(memory, 1);
        try {
            return ::new (static_cast<void*>(place))
                wait_operation(std::move(handler), default_executor, std::move(delivery));
        } catch (...) {
            std::allocator_traits<allocator>::deallocate(memory, place, 1);
            throw;
        }
    }

    static void deallocate(wait_operation* op, allocator memory) noexcept {
        op->~wait_operation();
        std::allocator_traits<allocator>::deallocate(memory, op, 1);
    }

    // Completes from within the initiating call: by a post, or as the handler asks for by its
    // associated immediate executor.
    void complete_immediately([[maybe_unused]] const Executor& default_executor) {
#if defined(FLOWGUARD_HAS_IMMEDIATE_EXECUTOR)
        auto executor = asio::get_associated_executor(handler_, default_executor);
        auto immediate = asio::get_associated_immediate_executor(handler_, executor);
        const auto tracked = std::move(work_);
        asio::dispatch(immediate, immediate_completion{this, executor});
#else
        complete();
#endif
    }

    // The memory goes before the handler is called, so that the handler's next operation finds it free.
    void invoke() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected())
            slot.clear();
        allocator memory{allocator_of(handler_)};
        Handler handler(std::move(handler_));
        Delivery delivery(std::move(delivery_));
        const wait_result how = result;
        deallocate(this, memory);
        delivery.deliver(handler, to_error_code(how), how == wait_result::granted);
    }

    Handler handler_;
    Delivery delivery_;
    work work_;
};

} // namespace flowguard::detail

#endif
