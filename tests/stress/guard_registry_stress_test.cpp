// guard_registry_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Threads that use more keys than their registry has room for, so that guards are made and forgotten all the time. Run
// these tests with ThreadSanitizer, and with AddressSanitizer and UBSan.

#include <atomic>
#include <barrier>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_registry.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/wait_order.hpp"
#include "support/asio.hpp"

namespace {

using guard_type = flowguard::flow_guard<flowguard::fixed_limit>;
using registry_type = flowguard::guard_registry<std::string, guard_type>;
using namespace std::chrono_literals;

constexpr std::size_t threads = 4;

template <class Work>
void on_threads(Work work) {
    std::vector<std::thread> crew;
    for (std::size_t i = 0; i < threads; ++i)
        crew.emplace_back([&, i] { work(i); });
    for (std::thread& t : crew)
        t.join();
}

// A thread that calls a function again and again until it is destroyed.
class meanwhile {
public:
    template <class F>
    explicit meanwhile(F f)
        : thread_([this, f] {
              while (!done_)
                  f();
          }) {}
    meanwhile(const meanwhile&) = delete;
    meanwhile& operator=(const meanwhile&) = delete;
    ~meanwhile() {
        done_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> done_{false};
    std::thread thread_;
};

} // namespace

TEST_CASE("Threads that ask for a new key at the same time get one guard") {
    std::barrier together(threads);
    std::optional<registry_type> registry;
    std::vector<std::shared_ptr<guard_type>> got(threads);
    std::atomic<int> errors{0};
    on_threads([&](std::size_t i) {
        for (int round = 0; round < 300; ++round) {
            if (i == 0)
                registry.emplace(flowguard::fixed_limit{1});
            together.arrive_and_wait();
            got[i] = registry->get("a");
            together.arrive_and_wait();
            errors += got[i] == got[0] && got[i] != nullptr ? 0 : 1;
            together.arrive_and_wait();
        }
    });
    CHECK(errors == 0);
}

TEST_CASE("A guard that is in use stays the guard of its key while others are forgotten") {
    registry_type registry{flowguard::fixed_limit{1000}, {}, {.max_guards = 6, .idle_after = 0ns, .max_named = 0}};
    std::atomic<int> errors{0};
    std::atomic<std::uint64_t> succeeded{0};
    {
        const meanwhile look([&] {
            registry.forget_idle();
            registry.for_each([](const std::string&, guard_type& guard) {
                guard.pin_limit(1000);
                guard.unpin_limit(); // a pinned guard is never forgotten
            });
            registry.stats();
        });
        on_threads([&](std::size_t i) {
            for (std::size_t n = 0; n < 3000; ++n) {
                const std::string key = std::to_string((n * 7 + i) % 12);
                auto guard = registry.try_get(key);
                if (guard == nullptr)
                    continue;
                errors += registry.find(key) == guard ? 0 : 1;
                auto ticket = guard->try_acquire();
                const guard_type* const same = guard.get();
                guard.reset(); // the task alone keeps it in use
                errors += registry.get(key).get() == same ? 0 : 1;
                ticket.success();
                ++succeeded;
            }
        });
    }
    CHECK(errors == 0);
    registry.forget_idle(); // none is in use any more
    const auto stats = registry.stats();
    CHECK(stats.others.succeeded == succeeded);
    CHECK(stats.others.in_flight == 0);
    CHECK(stats.guards == 0);
    CHECK(stats.made >= 6);
    CHECK(stats.forgotten == stats.made);
}

namespace {

// Makes one call after the other. While it waits for a permit, and while it has one, it holds no pointer to the guard.
class caller {
public:
    caller(registry_type& registry, asio::io_context& context, std::size_t key) noexcept
        : registry_(registry), context_(context), key_(key) {}

    void next() {
        if (left == 0)
            return;
        if (const auto guard = registry_.try_get(std::to_string(++key_ % 5)))
            guard->async_acquire(asio::bind_executor(
                context_, [this](flowguard::error_code error, guard_type::ticket t) { end(error, std::move(t)); }));
        else
            asio::post(context_, [this] { next(); });
    }

    int left = 100;
    int errors = 0;

private:
    void end(flowguard::error_code error, guard_type::ticket t) {
        asio::post(context_, [this, error, held = std::move(t)]() mutable {
            held.success();
            errors += error ? 1 : 0;
            --left;
            next();
        });
    }

    registry_type& registry_;
    asio::io_context& context_;
    std::size_t key_;
};

} // namespace

TEST_CASE("No caller that waits loses its guard") {
    registry_type registry{flowguard::fixed_limit{1},
                           {.order = flowguard::wait_order::fifo}, // sheds nobody
                           {.max_guards = 3, .idle_after = 0ns}};
    std::atomic<int> errors{0};
    {
        const meanwhile look([&] { registry.forget_idle(); });
        on_threads([&](std::size_t i) {
            asio::io_context context{1};
            std::vector<caller> callers;
            for (std::size_t c = 0; c < 8; ++c)
                callers.emplace_back(registry, context, c + i);
            for (caller& c : callers)
                c.next();
            context.run();
            for (const caller& c : callers)
                errors += c.errors + c.left;
        });
    }
    CHECK(errors == 0);
    registry.forget_idle(); // none is in use any more
    CHECK(registry.stats().made >= 3);
    CHECK(registry.stats().forgotten == registry.stats().made);
}
