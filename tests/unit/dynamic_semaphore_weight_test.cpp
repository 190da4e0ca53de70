// dynamic_semaphore_weight_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Calls that take several permits at once.

#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;
using support::poll;
using support::start;

// Starts 100 waits for one permit. Each waiter releases its permit at once, and is counted in `served`.
void start_light_waiters(dynamic_semaphore& semaphore, int& served) {
    for (int i = 0; i < 100; ++i)
        semaphore.async_acquire([&](error_code e) {
            served += e ? 0 : 1;
            semaphore.release();
        });
}

} // namespace

TEST_CASE("Several permits are taken and released together") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 5};
    CHECK(semaphore.try_acquire_n(3));
    CHECK(semaphore.in_flight() == 3);
    CHECK_FALSE(semaphore.try_acquire_n(3)); // all or none
    CHECK(semaphore.available_permits() == 2);
    CHECK(semaphore.try_acquire_n(2));
    semaphore.release(5);
    CHECK(semaphore.available_permits() == 5);
}

TEST_CASE("A permit knows how many it holds, and releases all of them") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 5};
    permit three = semaphore.try_acquire_permit_n(3);
    REQUIRE(three);
    CHECK(three.count() == 3);
    CHECK(semaphore.available_permits() == 2);
    permit moved = std::move(three);
    CHECK_FALSE(three);
    CHECK(three.count() == 0);
    CHECK(moved.count() == 3);
    permit two = semaphore.try_acquire_permit_n(2);
    swap(two, moved);
    CHECK(two.count() == 3);
    CHECK_FALSE(semaphore.try_acquire_permit());
    two.release();
    CHECK(two.count() == 0);
    CHECK(semaphore.available_permits() == 3);
    moved = permit();
    CHECK(semaphore.available_permits() == 5);
}

TEST_CASE("A permit can be split, and its parts are released apart") {
    asio::io_context context;
    auto semaphore = std::make_unique<dynamic_semaphore>(context, 5U);
    permit five = semaphore->try_acquire_permit_n(5);
    permit two = five.split(2);
    CHECK(five.count() == 3);
    CHECK(two.count() == 2);
    CHECK(semaphore->in_flight() == 5);
    permit three = five.split(3);
    CHECK_FALSE(five);
    CHECK(three.count() == 3);
    CHECK_THROWS_MATCHES(static_cast<void>(three.split(4)), std::invalid_argument,
                         Catch::Message("flowguard: n is 4, must be in [1, 3]"));
    CHECK_THROWS_MATCHES(static_cast<void>(three.split(0)), std::invalid_argument,
                         Catch::Message("flowguard: n is 0, must be in [1, 3]"));
    CHECK_THROWS_MATCHES(static_cast<void>(five.split(1)), std::invalid_argument,
                         Catch::Message("flowguard: an empty permit cannot be split"));
    CHECK(three.count() == 3);
    two.release();
    CHECK(semaphore->available_permits() == 2);
    semaphore.reset();
    two = three.split(1); // permits outlive their semaphore
    three.release();
    CHECK(two.count() == 1);
}

TEST_CASE("A waiter for several permits waits until they come together, and is not overtaken meanwhile") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 3};
    REQUIRE(semaphore.try_acquire_n(3));
    std::string order;
    semaphore.async_acquire_n(3, [&](error_code) { order += 'h'; });
    semaphore.async_acquire([&](error_code) { order += 'l'; });
    semaphore.release();
    semaphore.release();
    context.poll();
    CHECK(order.empty());
    CHECK_FALSE(semaphore.try_acquire());
    CHECK(semaphore.available_permits() == 0);
    CHECK(semaphore.in_flight() == 1);
    CHECK(semaphore.waiting() == 2);
    semaphore.release();
    context.poll();
    CHECK(order == "h");
    semaphore.release(2); // the light waiter takes one, and one is left
    context.poll();
    CHECK(order == "hl");
    CHECK(semaphore.available_permits() == 1);
    semaphore.release(2);
    CHECK(semaphore.available_permits() == 3);
}

TEST_CASE("A release of several permits serves several waiters, and smaller releases add up") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 4};
    permit four = semaphore.try_acquire_permit_n(4);
    std::vector<permit> served;
    const auto keep = [&](error_code error, permit p) {
        CHECK_FALSE(error);
        served.push_back(std::move(p));
    };
    semaphore.async_acquire_permit_n(1, keep);
    semaphore.async_acquire_permit_n(2, keep);
    semaphore.async_acquire_permit_n(2, keep);
    four.release();
    context.poll();
    REQUIRE(served.size() == 2);
    CHECK(served[0].count() == 1);
    CHECK(served[1].count() == 2);
    CHECK(semaphore.in_flight() == 3);
    served[0].release();
    context.restart();
    context.poll();
    REQUIRE(served.size() == 3);
    CHECK(served[2].count() == 2);
    served.clear();
    CHECK(semaphore.available_permits() == 4);
}

TEST_CASE("A waiter behind one for several permits goes on when that one is cancelled") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 2};
    const permit one = semaphore.try_acquire_permit();
    asio::cancellation_signal signal;
    const auto heavy = start(context, semaphore.acquire(2), &signal);
    const auto light = start(context, semaphore.acquire());
    poll(context);
    CHECK_FALSE(light->done);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    CHECK(heavy->code() == asio::error::operation_aborted);
    CHECK(light->succeeded());
}

TEST_CASE("A waiter for more permits than the limit waits until the limit is raised") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const auto heavy = start(context, semaphore.acquire(3));
    poll(context);
    CHECK_FALSE(heavy->done);
    semaphore.set_limit(2);
    poll(context);
    CHECK_FALSE(heavy->done);
    semaphore.set_limit(3);
    poll(context);
    REQUIRE(heavy->succeeded());
    CHECK(heavy->value->count() == 3);
    CHECK(semaphore.in_flight() == 3);
}

TEST_CASE("An impossible number of permits is rejected before anything is started") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 1};
    const std::string range = ", must be in [1, " + std::to_string(flowguard::max_limit) + "]";
    const auto message_of = [](auto f) -> std::string {
        try {
            f();
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
        return "no error";
    };
    const std::string none = "flowguard: n is 0" + range;
    CHECK(message_of([&] { static_cast<void>(semaphore.acquire(0)); }) == none);
    CHECK(message_of([&] { static_cast<void>(semaphore.acquire_for({}, 0)); }) == none);
    CHECK(message_of([&] { static_cast<void>(semaphore.acquire_until({}, 0)); }) == none);
    CHECK(message_of([&] { semaphore.async_acquire_n(0, [](error_code) {}); }) == none);
    CHECK(message_of([&] { semaphore.async_acquire_permit_n(0, [](error_code, permit) {}); }) == none);
    CHECK(message_of([&] { static_cast<void>(semaphore.try_acquire_n(0)); }) == none);
    const std::size_t more = flowguard::max_limit + 1;
    CHECK(message_of([&] { static_cast<void>(semaphore.try_acquire_permit_n(more)); }) ==
          "flowguard: n is " + std::to_string(more) + range);
    CHECK(semaphore.available_permits() == 1);
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A waiter that wants more than the limit does not keep the others from being served") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 4};
    bool heavy = false;
    semaphore.async_acquire_n(5, [&](error_code e) { heavy = !e; });
    int light = 0;
    start_light_waiters(semaphore, light);
    poll(context);
    CHECK(light == 100);
    CHECK(semaphore.waiting() == 1);
    // And it does not keep callers from taking a permit that is free.
    CHECK(semaphore.available_permits() == 4);
    REQUIRE(semaphore.try_acquire());
    semaphore.set_limit(5);
    poll(context);
    CHECK_FALSE(heavy); // it is next, but a permit is still held
    CHECK_FALSE(semaphore.try_acquire());
    semaphore.release();
    poll(context);
    CHECK(heavy);
    CHECK(semaphore.in_flight() == 5);
    CHECK(semaphore.waiting() == 0);
}

TEST_CASE("A limit that falls below what the first waiter wants lets the others go on") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 10};
    REQUIRE(semaphore.try_acquire_n(3));
    bool heavy = false;
    semaphore.async_acquire_n(8, [&](error_code e) { heavy = !e; });
    int light = 0;
    start_light_waiters(semaphore, light);
    poll(context);
    CHECK(light == 0); // they wait behind it
    semaphore.set_limit(4);
    poll(context);
    CHECK(light == 100);
    CHECK_FALSE(heavy);
    semaphore.set_limit(10);
    semaphore.release(3);
    poll(context);
    CHECK(heavy);
}

TEST_CASE("A waiter that wants more than the limit of a signal is served with permits that are released beyond it") {
    asio::io_context context;
    dynamic_semaphore semaphore{context, 0};
    semaphore.set_limit(1);
    bool heavy = false;
    semaphore.async_acquire_n(2, [&](error_code e) { heavy = !e; });
    poll(context);
    CHECK_FALSE(heavy);
    semaphore.release();
    poll(context);
    CHECK(heavy);
}
