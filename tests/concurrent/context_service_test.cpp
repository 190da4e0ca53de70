// context_service_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Semaphores, and the contexts in which callers have waited for them. Either may be destroyed first, and frees its
// memory.

#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/detail/semaphore/context_links.hpp"
#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/rejection.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/counting_new.hpp"

namespace {

using flowguard::dynamic_semaphore;
using flowguard::error_code;
using flowguard::permit;
using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;

// A caller waits in the context. It gets its permit, and returns it, before this function returns.
void wait_once(dynamic_semaphore& semaphore, asio::io_context& context) {
    permit held = semaphore.try_acquire_permit();
    bool granted = false;
    semaphore.async_acquire_permit(asio::bind_executor(context, [&](error_code, const permit&) { granted = true; }));
    held.release();
    context.restart();
    context.poll();
    REQUIRE(granted);
}

void wait_once(guard_type& guard, asio::io_context& context) {
    auto held = guard.try_acquire();
    bool granted = false;
    guard.async_acquire(asio::bind_executor(context, [&](error_code, const guard_type::ticket&) { granted = true; }));
    held.ignore();
    context.restart();
    context.poll();
    REQUIRE(granted);
}

} // namespace

TEST_CASE("A destroyed guard destroys its observer at once, even if its context lives on") {
    asio::io_context context{1};
    auto observed = std::make_shared<int>();
    std::weak_ptr<int> seen = observed;
    {
        guard_type guard{
            context.get_executor(), flowguard::fixed_limit{1}, {.on_rejection = [observed](flowguard::rejection) {}}};
        observed.reset();
        wait_once(guard, context);
        CHECK_FALSE(seen.expired());
    }
    CHECK(seen.expired());
}

TEST_CASE("A guard destroys an observer that owns the application") {
    struct application {
        asio::io_context context{1};
        std::optional<guard_type> guard;
    };
    auto app = std::make_shared<application>();
    std::weak_ptr<application> seen = app;
    app->guard.emplace(app->context.get_executor(), flowguard::fixed_limit{1},
                       flowguard::guard_options{.on_rejection = [app](flowguard::rejection) {}});
    wait_once(*app->guard, app->context);
    SECTION("which is destroyed later") {
        app->guard.reset();
        CHECK_FALSE(seen.expired());
        app.reset();
        CHECK(seen.expired());
    }
    SECTION("which is destroyed with the guard") {
        // The observer is the last owner of the context. So the context is destroyed while the guard's state is being
        // destroyed.
        auto guard =
            std::make_unique<guard_type>(app->context.get_executor(), flowguard::fixed_limit{1},
                                         flowguard::guard_options{.on_rejection = [app](flowguard::rejection) {}});
        wait_once(*guard, app->context);
        app->guard.reset();
        app.reset();
        CHECK_FALSE(seen.expired());
        guard.reset();
        CHECK(seen.expired());
    }
}

TEST_CASE("Making and destroying semaphores does not use up a context's memory") {
    asio::io_context context{1};
    const auto one = [&] {
        dynamic_semaphore semaphore{context, 1};
        const std::uint64_t before = support::allocations.load();
        wait_once(semaphore, context);
        return support::allocations.load() - before;
    };
    one(); // makes the service
    CHECK(one() <= 3);
    std::uint64_t of_first = one();
    std::vector<std::unique_ptr<dynamic_semaphore>> living;
    for (int i = 0; i < 1000; ++i) {
        living.push_back(std::make_unique<dynamic_semaphore>(context, 1));
        wait_once(*living.back(), context);
    }
    CHECK(one() == of_first);
    // Destroys the semaphores in the middle, then the others, and at last the context.
    for (std::size_t i = 100; i < 900; ++i)
        living[i].reset();
    CHECK(one() == of_first);
    living.clear();
    CHECK(one() == of_first);
}

TEST_CASE("Making and destroying contexts does not use up a semaphore's memory") {
    asio::io_context home{1};
    dynamic_semaphore semaphore{home, 1};
    std::optional<asio::io_context> context;
    const auto one = [&] {
        context.emplace(1);
        const std::uint64_t before = support::allocations.load();
        wait_once(semaphore, *context);
        return support::allocations.load() - before;
    };
    const std::uint64_t with_link = one();
    const std::uint64_t without_link = one();
    CHECK(with_link == without_link + 1); // the second context reuses the link of the first
    for (int i = 0; i < 100; ++i)
        CHECK(one() == without_link);
}

TEST_CASE("A context may be destroyed before, between and after its semaphores, with waiters in each") {
    auto left = std::make_shared<int>();
    const auto waiter = [left](error_code) { FAIL("its context has gone"); };
    std::optional<asio::io_context> context{std::in_place, 1};
    std::optional<asio::io_context> other{std::in_place, 1};
    std::vector<std::unique_ptr<dynamic_semaphore>> semaphores;
    for (int i = 0; i < 10; ++i) {
        semaphores.push_back(std::make_unique<dynamic_semaphore>(*other, 0));
        semaphores.back()->async_acquire(asio::bind_executor(*context, waiter));
        semaphores.back()->async_acquire(asio::bind_executor(*context, waiter));
        semaphores.back()->async_acquire([](error_code) {});
    }
    semaphores.resize(5); // posts their waiters' handlers, which never run
    CHECK(semaphores[0]->waiting() == 3);
    context.reset();
    CHECK(left.use_count() == 2); // held by `left` and by `waiter`
    CHECK(semaphores[0]->waiting() == 1);

    context.emplace(1); // perhaps at the same address
    bool told = false;
    semaphores[0]->async_acquire(asio::bind_executor(*context, [&told](error_code) { told = true; }));
    semaphores[0]->cancel();
    context->run();
    CHECK(told);
}

TEST_CASE("A handler that is destroyed with its context may begin another wait there") {
    struct waits_again {
        dynamic_semaphore* semaphore;
        asio::io_context* context;
        std::shared_ptr<int> canary;
        waits_again(dynamic_semaphore& s, asio::io_context& c, std::shared_ptr<int> a)
            : semaphore(&s), context(&c), canary(std::move(a)) {}
        waits_again(waits_again&& other) noexcept
            : semaphore(std::exchange(other.semaphore, nullptr)),
              context(other.context),
              canary(std::move(other.canary)) {}
        waits_again& operator=(waits_again&&) = delete;
        ~waits_again() {
            if (semaphore != nullptr)
                semaphore->async_acquire(asio::bind_executor(*context, [kept = canary](error_code) {}));
        }
        void operator()() const {}
    };
    asio::io_context home{1};
    dynamic_semaphore semaphore{home, 0};
    auto canary = std::make_shared<int>();
    {
        asio::io_context context{1};
        semaphore.async_acquire(asio::bind_executor(context, [](error_code) {})); // makes the service
        asio::post(context, waits_again(semaphore, context, canary));
    }
    CHECK(canary.use_count() == 1);
    CHECK(semaphore.waiting() == 0);
}

// It depends on the threads which of the two is destroyed first.
TEST_CASE("A context and its semaphores may be destroyed at the same time on different threads") {
    constexpr int rounds = 300;
    constexpr std::size_t count = 4;
    std::optional<asio::io_context> context;
    std::vector<std::unique_ptr<dynamic_semaphore>> semaphores(count);
    std::barrier<> ready{2};
    std::barrier<> done{2};
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ready.arrive_and_wait();
            context.reset();
            done.arrive_and_wait();
        }
    });
    asio::io_context home{1};
    for (int i = 0; i < rounds; ++i) {
        context.emplace(1);
        for (auto& s : semaphores) {
            s = std::make_unique<dynamic_semaphore>(home, 1);
            wait_once(*s, *context);
        }
        ready.arrive_and_wait();
        for (auto& s : semaphores)
            s.reset();
        done.arrive_and_wait();
    }
    other.join();
}

// A steady clock that the user defines.
struct other_clock {
    using duration = std::chrono::steady_clock::duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<other_clock>;
    static constexpr bool is_steady = true;
    static time_point now() noexcept { return time_point(std::chrono::steady_clock::now().time_since_epoch()); }
};

// Asio has one timer service for each clock, and shuts down the newest service first. Meanwhile no other thread may
// complete a wait, because completing a wait cancels its timer.
TEST_CASE("A context with waits for guards of different clocks may be destroyed while another thread grants permits") {
    constexpr int rounds = 200;
    using steady_guard = flowguard::flow_guard<flowguard::fixed_limit>;
    using other_guard = flowguard::flow_guard<flowguard::fixed_limit, other_clock>;
    std::optional<asio::io_context> context;
    std::barrier<> ready{2};
    std::barrier<> done{2};
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ready.arrive_and_wait();
            context.reset();
            done.arrive_and_wait();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        context.emplace(1);
        steady_guard first{flowguard::fixed_limit{1}};
        other_guard second{flowguard::fixed_limit{1}};
        auto first_permit = first.try_acquire();
        auto second_permit = second.try_acquire();
        for (int w = 0; w < 4; ++w) {
            first.async_acquire({.deadline = std::chrono::steady_clock::now() + std::chrono::hours(1)},
                                asio::bind_executor(*context, [](error_code, const steady_guard::ticket&) {}));
            second.async_acquire({.deadline = other_clock::now() + std::chrono::hours(1)},
                                 asio::bind_executor(*context, [](error_code, const other_guard::ticket&) {}));
        }
        ready.arrive_and_wait();
        first_permit = {};
        second_permit = {};
        done.arrive_and_wait();
        CHECK(first.in_flight() == 0);
        CHECK(second.in_flight() == 0);
    }
    other.join();
}

TEST_CASE("A registry gives up each link once") {
    namespace detail = flowguard::detail;
    asio::io_context context;
    struct : detail::semaphore_state {
        using semaphore_state::semaphore_state;
    } state(1);
    detail::context_link first{context, state};
    detail::context_link second{context, state};
    detail::context_link third{context, state};
    detail::context_registry registry;
    for (auto* link : {&first, &second, &third})
        registry.insert(*link);
    const auto all = [](const detail::context_link&) { return true; };
    SECTION("to the state first") {
        registry.remove(second);
        registry.remove(second);
        CHECK(registry.take_first(all) == &third);
        CHECK(registry.take_first(all) == &first);
        CHECK(registry.take_first(all) == nullptr);
    }
    SECTION("to the context first") {
        CHECK(registry.take_first([&](const detail::context_link& link) { return &link == &second; }) == &second);
        registry.remove(third); // has no effect: take_first() has taken it out, too
        registry.remove(second);
        registry.insert(second);
        registry.remove(first);
        CHECK(registry.take_first(all) == &second);
        CHECK(registry.take_first(all) == nullptr);
    }
}
