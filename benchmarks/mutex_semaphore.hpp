// mutex_semaphore.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The simplest way to write a semaphore: a mutex, a count, and a list of waiters.

#ifndef FLOWGUARD_BENCHMARKS_MUTEX_SEMAPHORE_HPP
#define FLOWGUARD_BENCHMARKS_MUTEX_SEMAPHORE_HPP

#include <asio/any_io_executor.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/execution/outstanding_work.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

class mutex_semaphore {
public:
    static constexpr const char* name = "mutex_and_list";
    static constexpr bool is_thread_safe = true;
    static constexpr std::int64_t most_cancelled = 1'000'000;

    mutex_semaphore(asio::any_io_executor executor, std::size_t permits)
        : executor_(std::move(executor)), permits_(permits) {}

    template <class Token>
    auto async_acquire(Token&& token) {
        return asio::async_initiate<Token, void(asio::error_code)>(
            [this](auto handler) { this->start(std::move(handler)); }, token);
    }

    void release() {
        std::unique_ptr<waiter> next;
        {
            const std::lock_guard lock(mutex_);
            if (waiters_.empty()) {
                ++permits_;
                return;
            }
            next = std::move(waiters_.front());
            waiters_.pop_front();
        }
        next->complete({});
    }

private:
    struct waiter {
        virtual ~waiter() = default;
        virtual void complete(asio::error_code error) = 0;
    };
    using place = std::list<std::unique_ptr<waiter>>::iterator;

    template <class Handler>
    class waiter_with final : public waiter {
    public:
        waiter_with(Handler handler, const asio::any_io_executor& executor)
            : work_(asio::prefer(asio::any_io_executor(asio::get_associated_executor(handler, executor)),
                                 asio::execution::outstanding_work.tracked)),
              handler_(std::move(handler)) {}

        auto slot() const { return asio::get_associated_cancellation_slot(handler_); }

        void complete(asio::error_code error) override {
            auto work = std::move(work_);
            asio::post(work, [handler = std::move(handler_), error]() mutable {
                if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
                    slot.clear();
                std::move(handler)(error);
            });
        }

    private:
        asio::any_io_executor work_;
        Handler handler_;
    };

    template <class Handler>
    void start(Handler handler) {
        auto w = std::make_unique<waiter_with<Handler>>(std::move(handler), executor_);
        auto slot = w->slot();
        {
            const std::lock_guard lock(mutex_);
            if (permits_ == 0) {
                waiters_.push_back(std::move(w));
                if (slot.is_connected())
                    slot.assign([this, at = std::prev(waiters_.end())](asio::cancellation_type) { cancel(at); });
                return;
            }
            --permits_;
        }
        w->complete({});
    }

    void cancel(place at) {
        std::unique_ptr<waiter> cancelled;
        {
            const std::lock_guard lock(mutex_);
            cancelled = std::move(*at);
            waiters_.erase(at);
        }
        cancelled->complete(asio::error::operation_aborted);
    }

    asio::any_io_executor executor_;
    std::mutex mutex_;
    std::size_t permits_;
    std::list<std::unique_ptr<waiter>> waiters_;
};

#endif
