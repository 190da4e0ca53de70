// test_waiter.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_TEST_WAITER_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_TEST_WAITER_HPP

#include <atomic>
#include <cstddef>

#include "flowguard/detail/queue/waiter.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

// Stands for an execution context, of which a semaphore knows only the address. Completing a waiter reads the context,
// as a post does. So a completion that comes too late is noticed.
struct test_context {
    asio::execution_context* address() noexcept { return reinterpret_cast<asio::execution_context*>(this); }

    int plain = 0;
};

// A waiter whose executor is a flag. Completing the waiter is a release, as a post is; its handler acquires.
class test_waiter : public flowguard::detail::waiter {
public:
    // The context, if there is one, must exist until abandon() has returned.
    test_waiter(std::size_t permits, flowguard::detail::lane_number where_it_waits, test_context* context,
                flowguard::detail::queue_message::kind arrival = flowguard::detail::queue_message::kind::enqueue)
        : waiter(permits, arrival), context_(context) {
        lane = where_it_waits;
    }
    virtual ~test_waiter() = default;

    void complete() noexcept override {
        if (context_ != nullptr && context_->plain != 0)
            fail("a context is not as it was");
        end(ending::completed);
    }
    void destroy() noexcept override { end(ending::destroyed); }
    void watch() noexcept override {}
    asio::execution_context* context() override { return context_ == nullptr ? nullptr : context_->address(); }

    // Called if wait() has rejected the waiter.
    void end_rejected(flowguard::detail::semaphore_state& state, flowguard::detail::wait_start why) noexcept {
        using flowguard::detail::wait_result;
        result = why == flowguard::detail::wait_start::full ? wait_result::shed : wait_result::closed;
        state.reject(*flowguard::detail::rejection_of(result), lane.partition());
        complete();
    }

    bool has_ended() const noexcept { return ending_.load(std::memory_order_acquire) != ending::none; }

    // The next two functions are for the time after the end.

    bool was_granted() const {
        if (ends_ != 1)
            fail("a waiter ended twice");
        const bool is_destroyed = ending_.load(std::memory_order_relaxed) == ending::destroyed;
        if (is_destroyed != (result == flowguard::detail::wait_result::abandoned))
            fail("destroyed, but not abandoned, or the other way round");
        return result == flowguard::detail::wait_result::granted;
    }

    const char* name_of_result() const noexcept {
        using flowguard::detail::wait_result;
        switch (result) {
        case wait_result::granted:
            return "granted";
        case wait_result::aborted:
            return "aborted";
        case wait_result::timed_out:
            return "timed out";
        case wait_result::closed:
            return "closed";
        case wait_result::shed:
            return "shed";
        case wait_result::overdue:
            return "overdue";
        case wait_result::no_permit:
            return "no permit";
        case wait_result::abandoned:
            return "abandoned";
        }
        return "";
    }

private:
    enum class ending { none, completed, destroyed };

    void end(ending how) noexcept {
        ++ends_;
        ending_.store(how, std::memory_order_release);
    }

    test_context* const context_;
    int ends_ = 0;
    std::atomic<ending> ending_{ending::none};
};

} // namespace memory_model

#endif
