// joined_drain.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_JOINED_DRAIN_HPP
#define FLOWGUARD_DETAIL_CONTROL_JOINED_DRAIN_HPP

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/error.hpp"

namespace flowguard::detail {

// The drains of several guards as one operation: calls its handler once, when all of them have ended, with the error
// that came first. Each drain has a part_handler, all of which share this object. If their context is destroyed, so are
// they, and the handler is destroyed uncalled.
template <class Handler, class Executor>
class joined_drain : public std::enable_shared_from_this<joined_drain<Handler, Executor>> {
public:
    joined_drain(Handler handler, const Executor& default_executor, std::size_t drains)
        : handler_(std::move(handler)),
          executor_(asio::get_associated_executor(handler_, default_executor)),
          allocator_(asio::get_associated_allocator(handler_, asio::recycling_allocator<void>())),
          signals_(std::make_unique<asio::cancellation_signal[]>(drains)),
          drains_(drains),
          running_(drains) {}

    // Passes a cancellation of the operation on to all drains. To be called before the first of them starts.
    void pass_on_cancellation() {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected())
            slot.assign([joined = this->weak_from_this()](asio::cancellation_type_t type) {
                if (const auto alive = joined.lock())
                    alive->cancel(type);
            });
    }

    // To be called when a drain has started. A cancellation that came before, as from an observer that the start of an
    // earlier drain has called, did not reach it.
    void has_started(std::size_t index) {
        if (const auto type = cancelled_.load(std::memory_order_relaxed); type != asio::cancellation_type::none)
            signals_[index].emit(type);
    }

    // The handler of one of the drains. It runs where the operation's handler does.
    class part_handler {
    public:
        using executor_type = asio::associated_executor_t<Handler, Executor>;
        using allocator_type = asio::associated_allocator_t<Handler, asio::recycling_allocator<void>>;
        using cancellation_slot_type = asio::cancellation_slot;

        part_handler(std::shared_ptr<joined_drain> joined, std::size_t index) noexcept
            : joined_(std::move(joined)),
              index_(index),
              executor_(joined_->executor_),
              allocator_(joined_->allocator_) {}

        executor_type get_executor() const noexcept { return executor_; }
        allocator_type get_allocator() const noexcept { return allocator_; }
        cancellation_slot_type get_cancellation_slot() const noexcept { return joined_->signals_[index_].slot(); }

        void operator()(error_code error) {
            if (!joined_->end_one(error))
                return;
            Handler handler = std::move(joined_->handler_);
            error = joined_->error_;
            joined_.reset();
            std::move(handler)(error);
        }

    private:
        std::shared_ptr<joined_drain> joined_;
        std::size_t index_;
        executor_type executor_; // of its own, as the allocator: Asio asks a moved-from handler for them
        allocator_type allocator_;
    };

private:
    void cancel(asio::cancellation_type_t type) {
        // Relaxed: has_started() must see it only if this call is made inside the initiating function, and so on the
        // same thread.
        cancelled_.store(type, std::memory_order_relaxed);
        for (std::size_t i = 0; i < drains_; ++i)
            signals_[i].emit(type);
    }

    // Returns whether this was the last drain.
    bool end_one(error_code error) noexcept {
        // Relaxed: it only decides which of several drains, that end on different threads, writes the error.
        if (error && !has_error_.exchange(true, std::memory_order_relaxed))
            error_ = error;
        // Release: the last drain sees the error. Acquire: the last drain reads it, and its handler sees what the tasks
        // did whose ends the other drains waited for.
        return running_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    Handler handler_;
    asio::associated_executor_t<Handler, Executor> executor_;
    asio::associated_allocator_t<Handler, asio::recycling_allocator<void>> allocator_;
    std::unique_ptr<asio::cancellation_signal[]> signals_; // one for each drain
    std::size_t drains_;
    std::atomic<std::size_t> running_; // drains
    std::atomic<asio::cancellation_type_t> cancelled_{asio::cancellation_type::none};
    std::atomic<bool> has_error_{false};
    error_code error_;
};

} // namespace flowguard::detail

#endif
