// test_waiter.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_TEST_WAITER_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_TEST_WAITER_HPP

#include <atomic>
#include <cstddef>

#include "flowguard/detail/waiter.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

// A waiter whose executor is a flag: to complete it is a release, as a post is, and its handler acquires.
class test_waiter final : public flowguard::detail::waiter {
public:
    test_waiter(std::size_t permits, flowguard::detail::lane_number where, asio::execution_context* context)
        : waiter(permits), context_(context) {
        lane = where;
    }

    void complete() noexcept override { end(ending::completed); }
    void destroy() noexcept override { end(ending::destroyed); }
    asio::execution_context* context() override { return context_; }

    // wait() did not take it.
    void end_refused() noexcept {
        result = flowguard::detail::wait_result::closed;
        complete();
    }

    bool has_ended() const noexcept { return ending_.load(std::memory_order_acquire) != ending::none; }

    // The rest is for after the end.

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

    asio::execution_context* const context_;
    int ends_ = 0;
    std::atomic<ending> ending_{ending::none};
};

} // namespace memory_model

#endif
