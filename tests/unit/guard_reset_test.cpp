// guard_reset_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A guard that forgets what it has learnt.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_guard.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::duration;
using flowguard::flow_guard;
using flowguard::guard_options;
using flowguard::plan;
using support::manual_clock;
using support::use_up;

// Each window adds 10 to the limit. Its copies are counted, and may throw.
class counting_strategy {
public:
    explicit counting_strategy(plan first) : first_(first), limit_(first.then != 0 ? first.then : first.limit) {}
    counting_strategy(const counting_strategy& other)
        : first_(other.first_), limit_(other.limit_), windows_(other.windows_) {
        if (copies_fail)
            throw std::runtime_error("no copy");
    }
    counting_strategy(counting_strategy&&) noexcept = default;
    counting_strategy& operator=(const counting_strategy&) = default;
    counting_strategy& operator=(counting_strategy&&) noexcept = default;

    std::size_t current_limit() const noexcept { return limit_; }
    plan first_plan() const noexcept { return first_; }
    plan update(const flowguard::window& w) {
        windows_->push_back(w);
        if (in_update)
            std::exchange(in_update, nullptr)();
        return {limit_ += 10, 20};
    }
    duration baseline() const noexcept { return duration(limit_); }
    const char* reason() const noexcept { return "ten more"; }

    static inline bool copies_fail = false;
    static inline std::function<void()> in_update; // is called once, as another thread could do just then

    const std::vector<flowguard::window>& windows() const { return *windows_; }

private:
    plan first_;
    std::size_t limit_;
    std::shared_ptr<std::vector<flowguard::window>> windows_ = std::make_shared<std::vector<flowguard::window>>();
};

using guard_type = flow_guard<counting_strategy, manual_clock>;

template <class Guard>
constexpr bool can_reset = requires(Guard& g) { g.reset(); };

struct immovable_memory {
    std::unique_ptr<int> owned;

    static std::size_t current_limit() noexcept { return 10; }
    static std::size_t update(const flowguard::window&) noexcept { return 10; }
};

static_assert(can_reset<flow_guard<>>);
static_assert(flowguard::limit_strategy<immovable_memory>);
static_assert(!can_reset<flow_guard<immovable_memory>>);

} // namespace

TEST_CASE("After a reset the limit is the first one at once, and the strategy begins anew") {
    const counting_strategy strategy(plan(10, 20));
    manual_clock::at = 9h;
    guard_type guard{strategy, {.min_window = 1}};
    use_up(guard, 40);
    REQUIRE(guard.current_limit() == 30);
    use_up(guard, 5);
    guard.reset();
    CHECK(guard.current_limit() == 10);
    use_up(guard, 19);
    CHECK(guard.current_limit() == 10);
    CHECK(strategy.windows().size() == 2);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 20);
    REQUIRE(strategy.windows().size() == 3);
    CHECK(strategy.windows().back().limit == 10);
    CHECK(strategy.windows().back().admitted == 20);
}

TEST_CASE("A reset of a guard that was never used changes nothing") {
    const counting_strategy strategy(plan(10, 20));
    guard_type guard{strategy, {.min_window = 1}};
    guard.reset();
    CHECK(guard.current_limit() == 10);
    use_up(guard, 20);
    REQUIRE(strategy.windows().size() == 1);
    CHECK(strategy.windows().front().limit == 10);
    CHECK(guard.current_limit() == 20);
}

TEST_CASE("A reset needs no task that ends") {
    const counting_strategy strategy(plan(10, 20));
    guard_type guard{strategy, {.min_window = 1}};
    use_up(guard, 20);
    std::vector<guard_type::ticket> hung;
    for (int i = 0; i < 20; ++i)
        hung.push_back(guard.try_acquire());
    REQUIRE(guard.current_limit() == 20);
    guard.reset();
    CHECK(guard.current_limit() == 10);
    CHECK(guard.in_flight() == 20);
    hung.resize(5);
    use_up(guard, 20);
    CHECK(guard.current_limit() == 20);
    REQUIRE(strategy.windows().size() == 2);
    CHECK(strategy.windows().back().admitted == 20);
    hung.clear(); // of a window that was discarded: no effect
    CHECK(strategy.windows().size() == 2);
}

TEST_CASE("A reset keeps the counters, and tells of itself") {
    guard_type guard{counting_strategy(plan(10, 20)), {.min_window = 1}};
    use_up(guard, 45);
    REQUIRE(guard.stats().baseline_rtt == 30ns);
    REQUIRE(guard.stats().limit_reason == std::string("ten more"));
    manual_clock::at = 10h;
    guard.reset();
    CHECK(guard.stats().succeeded == 45);
    CHECK(guard.stats().windows == 2);
    CHECK(guard.stats().limit == 10);
    CHECK(guard.stats().limit_reason == std::string("reset by hand"));
    REQUIRE(guard.trace().size() == 3);
    CHECK(guard.trace().back().at == 10h);
    CHECK(guard.trace().back().before == 30);
    CHECK(guard.trace().back().limit == 10);
    CHECK(guard.trace().back().reason == std::string("reset by hand"));
    use_up(guard, 1);
    CHECK(guard.stats().baseline_rtt == 0ns);
    use_up(guard, 19);
    CHECK(guard.stats().windows == 3);
    CHECK(guard.stats().limit_reason == std::string("ten more"));
}

TEST_CASE("Several resets in a row are one") {
    guard_type guard{counting_strategy(plan(10, 20)), {.min_window = 1}};
    use_up(guard, 20);
    guard.reset();
    guard.reset();
    use_up(guard, 1);
    guard.reset();
    CHECK(guard.current_limit() == 10);
    use_up(guard, 20);
    CHECK(guard.current_limit() == 20);
}

TEST_CASE("A reset leaves a pin and bounds in force") {
    guard_type guard{counting_strategy(plan(10, 20)), {.min_window = 1}};
    use_up(guard, 40);
    guard.pin_limit(7);
    guard.reset();
    CHECK(guard.current_limit() == 7);
    guard.unpin_limit();
    CHECK(guard.current_limit() == 10);
    guard.set_limit_bounds(12, 15);
    guard.reset();
    CHECK(guard.current_limit() == 12);
    use_up(guard, 20);
    CHECK(guard.current_limit() == 15);
    guard.set_limit_bounds(1, flowguard::max_limit);
    CHECK(guard.current_limit() == 20);
}

TEST_CASE("After a reset, a first plan that is a probe has its ordinary limit") {
    const counting_strategy strategy(plan(2, 20, 10, 1h));
    guard_type guard{strategy, {.min_window = 1}};
    CHECK(guard.current_limit() == 2);
    use_up(guard, 20);
    CHECK(guard.current_limit() == 20);
    guard.reset();
    CHECK(guard.current_limit() == 10);
    use_up(guard, 15);
    CHECK(strategy.windows().back().limit == 10);
}

TEST_CASE("What a strategy answers while the guard is reset has no effect") {
    const counting_strategy strategy(plan(10, 20));
    guard_type guard{strategy, {.min_window = 1}};
    use_up(guard, 39);
    counting_strategy::in_update = [&] {
        guard.reset();
        CHECK(guard.current_limit() == 10);
    };
    use_up(guard, 1);
    CHECK(strategy.windows().size() == 2);
    CHECK(guard.current_limit() == 10);
    use_up(guard, 19);
    CHECK(guard.current_limit() == 10);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 20);
}

TEST_CASE("What a strategy answers while the limit is pinned has an effect afterwards") {
    guard_type guard{counting_strategy(plan(10, 20)), {.min_window = 1}};
    use_up(guard, 19);
    counting_strategy::in_update = [&] { guard.pin_limit(7); };
    use_up(guard, 1);
    CHECK(guard.current_limit() == 7);
    use_up(guard, 100);
    CHECK(guard.stats().windows == 1);
    guard.unpin_limit();
    CHECK(guard.current_limit() == 20);

    counting_strategy::in_update = [&] {
        guard.pin_limit(7);
        guard.unpin_limit();
        CHECK(guard.current_limit() == 20);
    };
    use_up(guard, 20);
    CHECK(guard.stats().windows == 2);
    CHECK(guard.current_limit() == 30);
    use_up(guard, 20);
    CHECK(guard.current_limit() == 40);
}

TEST_CASE("An observer of decisions may reset the guard") {
    std::optional<guard_type> guard;
    bool resets = true;
    guard.emplace(counting_strategy(plan(10, 20)), guard_options{.min_window = 1, .on_decision = [&](const auto&) {
                                                                     if (std::exchange(resets, false))
                                                                         guard->reset();
                                                                 }});
    use_up(*guard, 20);
    CHECK(guard->current_limit() == 10);
    use_up(*guard, 19);
    CHECK(guard->current_limit() == 10);
    use_up(*guard, 1);
    CHECK(guard->current_limit() == 20);
}

TEST_CASE("What a strategy throws for its first plan, the guard's constructor throws") {
    struct undecided {
        std::size_t current_limit() const { return 1; }
        std::size_t update(const flowguard::window&) { return 1; }
        plan first_plan() const { throw std::domain_error("undecided"); }
    };
    CHECK_THROWS_AS(flow_guard{undecided{}}, std::domain_error);
}

TEST_CASE("A copy that throws leaves everything as it was") {
    guard_type guard{counting_strategy(plan(10, 20)), {.min_window = 1}};
    use_up(guard, 39);
    counting_strategy::copies_fail = true;
    CHECK_THROWS_AS(guard.reset(), std::runtime_error);
    counting_strategy::copies_fail = false;
    CHECK(guard.current_limit() == 20);
    use_up(guard, 1);
    CHECK(guard.current_limit() == 30);
}

TEST_CASE("vegas_strategy finds the limit of another service after a reset") {
    manual_clock::at = 9h;
    flow_guard<flowguard::vegas_strategy, manual_clock> guard{flowguard::vegas_strategy{8}};
    support::make_rounds(guard, 20, 10ms);
    REQUIRE(guard.stats().baseline_rtt >= 9ms);
    REQUIRE(guard.stats().baseline_rtt <= 11ms);
    guard.reset();
    CHECK(guard.current_limit() == 8);
    support::make_rounds(guard, 20, 70ms);
    CHECK(guard.stats().baseline_rtt >= 65ms);
    CHECK(guard.stats().baseline_rtt <= 75ms);
}
