// guard_tests.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Tasks to guard, and other helpers of the tests of guards.

#ifndef FLOWGUARD_SUPPORT_GUARD_TESTS_HPP
#define FLOWGUARD_SUPPORT_GUARD_TESTS_HPP

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"

namespace support {

inline asio::awaitable<int> give(int value) {
    co_return value;
}

inline asio::awaitable<void> nothing() {
    co_return;
}

inline asio::awaitable<int> fail(std::exception_ptr exception) {
    std::rethrow_exception(exception);
    co_return 0;
}

template <class E>
asio::awaitable<int> fail_with(E exception) {
    return fail(std::make_exception_ptr(std::move(exception)));
}

// The result of a task that can only be moved, and has no default constructor.
class rows {
public:
    explicit rows(int n) : n_(std::make_unique<int>(n)) {}
    int count() const { return *n_; }

private:
    std::unique_ptr<int> n_;
};

inline asio::awaitable<int> held(gate& g, int value = 0) {
    co_await g.pass();
    co_return value;
}

// Never ends by itself. Its frame owns `watched`, so that a test sees when the frame is destroyed.
inline asio::awaitable<void> never_ends(std::shared_ptr<int> watched) {
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    ++*watched;
}

// Sets the clock, so that each test starts at the same time.
struct at_nine {
    at_nine() { manual_clock::at = std::chrono::hours(9); }
};

// Checks that no call is in flight or waiting, and that all permits of the limit are available.
template <class Guard>
void check_idle(const Guard& guard) {
    CHECK(guard.in_flight() == 0);
    CHECK(guard.waiting() == 0);
    CHECK(guard.available_permits() == guard.current_limit());
}

template <class Guard>
void use_up(Guard& guard, std::size_t admissions) {
    for (std::size_t i = 0; i < admissions; ++i)
        guard.try_acquire().success();
}

inline std::string message_of(std::exception_ptr exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& e) {
        return e.what();
    }
}

} // namespace support

#endif
