// guard_registry_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_registry.hpp"
#include "flowguard/metrics/metrics.hpp"
#include "flowguard/metrics/prometheus.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"
#include "support/rejection.hpp"

namespace {

using flowguard::fixed_limit;
using flowguard::guard_registry_options;
using flowguard::guard_stats;
using support::at_nine;
using support::manual_clock;
using namespace std::chrono_literals;

using guard_type = flowguard::flow_guard<fixed_limit, manual_clock>;
using registry_type = flowguard::guard_registry<std::string, guard_type>;

// A registry of guards with a limit of 1.
struct hosts : at_nine, registry_type {
    explicit hosts(guard_registry_options options) : registry_type(fixed_limit{1}, {}, options) {}

    // Asks for a key, and uses the guard no longer.
    void ask_for(const std::string& key) { get(key); }

    // The keys of the given ones that have a guard.
    std::string among(std::string_view keys) const {
        std::string found;
        for (const char key : keys)
            if (find(std::string(1, key)) != nullptr)
                found += key;
        return found;
    }
};

asio::awaitable<int> done() {
    co_return 1;
}

} // namespace

TEST_CASE("A registry has one guard for each key") {
    hosts h({});
    const auto a = h.get("a");
    REQUIRE(a != nullptr);
    CHECK(a->current_limit() == 1);
    CHECK(h.get("a") == a);
    CHECK(h.get("b") != a);
    CHECK(h.try_get("a") == a);
    CHECK(h.find("a") == a);
    CHECK(h.find("c") == nullptr);
    CHECK(h.size() == 2);
    CHECK(h.stats().made == 2);
}

TEST_CASE("A registry of strings takes a key in whatever form it comes") {
    hosts h({});
    const auto a = h.get("a");
    CHECK(h.get(std::string("a")) == a);
    CHECK(h.get(std::string_view("ab").substr(0, 1)) == a);
    CHECK(h.try_get(std::string_view("a")) == a);
    CHECK(h.find(std::string_view("a")) == a);
}

TEST_CASE("A key may be of any type that has a hash") {
    flowguard::guard_registry<int, guard_type> ports{fixed_limit{1}};
    const auto web = ports.get(80);
    CHECK(ports.get(80) == web);
    CHECK(ports.find(443) == nullptr);
}

TEST_CASE("A guard that was not in use for long is forgotten when any guard is asked for") {
    hosts h({.idle_after = 1min});
    h.ask_for("a");
    manual_clock::at += 30s;
    h.ask_for("b");
    manual_clock::at += 30s - 1ns;
    h.ask_for("b");
    CHECK(h.among("ab") == "ab");
    manual_clock::at += 1ns;
    h.ask_for("b"); // a guard that exists
    CHECK(h.among("ab") == "b");
    manual_clock::at += 1min;
    h.ask_for("c"); // one that is made
    CHECK(h.among("abc") == "c");
    CHECK(h.stats().forgotten == 2);
}

TEST_CASE("Only asking for a guard makes it stay") {
    hosts h({.idle_after = 1min});
    h.ask_for("a");
    manual_clock::at += 59s;
    h.ask_for("a");
    manual_clock::at += 59s;
    CHECK(h.forget_idle() == 0);
    h.find("a"); // NOLINT(bugprone-unused-return-value)
    manual_clock::at += 1s;
    CHECK(h.forget_idle() == 1);
    CHECK(h.size() == 0);
}

TEST_CASE("A guard that is made again knows nothing of the one before") {
    hosts h({.idle_after = 1min});
    h.get("a")->try_acquire().success();
    CHECK(h.get("a")->stats().succeeded == 1);
    manual_clock::at += 1min;
    CHECK(h.forget_idle() == 1);
    CHECK(h.get("a")->stats().succeeded == 0);
}

TEST_CASE("A guard that is in use is not forgotten, and then only when it was idle for long") {
    hosts h({.idle_after = 1min});
    asio::io_context context;
    auto held = h.get("a");
    auto ticket = h.get("b")->try_acquire();
    auto stream = h.get("c")->try_acquire({.long_lived = true});
    std::optional<guard_type::ticket> granted;
    auto first = h.get("d")->try_acquire();
    h.get("d")->async_acquire(
        asio::bind_executor(context, [&](flowguard::error_code, guard_type::ticket t) { granted = std::move(t); }));
    first.success();
    REQUIRE(h.get("d")->in_flight() == 1); // the waiter has its permit, and does not know yet
    h.ask_for("e");

    manual_clock::at += 1h;
    CHECK(h.forget_idle() == 1);
    CHECK(h.among("abcde") == "abcd");
    support::poll(context);
    held.reset();
    ticket.success();
    stream.success();
    granted.reset();
    manual_clock::at += 1min - 1ns; // since they were seen in use
    CHECK(h.forget_idle() == 0);
    manual_clock::at += 1ns;
    CHECK(h.forget_idle() == 4);
}

TEST_CASE("A guard that was closed, pinned or bounded by hand is not forgotten") {
    hosts h({.max_guards = 5, .idle_after = 1min});
    h.get("a")->close();
    h.get("b")->pin_limit(7);
    h.get("c")->set_limit_bounds(2, flowguard::max_limit);
    h.get("d")->set_limit_bounds(1, 9);
    h.ask_for("e");
    manual_clock::at += 1h;
    CHECK(h.forget_idle() == 1);
    CHECK(h.among("abcde") == "abcd");
    CHECK(h.get("b")->current_limit() == 7);
    h.get("a")->reopen();
    h.get("b")->unpin_limit();
    h.get("c")->set_limit_bounds(1, flowguard::max_limit);
    h.get("d")->set_limit_bounds(1, flowguard::max_limit);
    manual_clock::at += 1h;
    CHECK(h.forget_idle() == 4);
}

TEST_CASE("A caller that waits keeps its guard in use") {
    hosts h({.idle_after = 0ns});
    asio::io_context context;
    auto t = h.get("a")->try_acquire();
    const auto call = support::start(context, h.get("a")->run(done()));
    support::poll(context);
    CHECK(h.forget_idle() == 0);
    t.success();
    CHECK(h.forget_idle() == 0);
    support::poll(context);
    CHECK(call->succeeded());
    CHECK(h.forget_idle() == 1);
}

TEST_CASE("If there are as many guards as may be, the one that was asked for least recently gives way") {
    hosts h({.max_guards = 3});
    h.ask_for("a");
    h.ask_for("b");
    h.ask_for("c");
    h.ask_for("a");
    h.ask_for("d");
    CHECK(h.among("abcd") == "acd");
    const auto c = h.get("c");
    const auto d = h.get("d");
    h.ask_for("e");
    CHECK(h.among("abcde") == "cde");
    h.ask_for("f");
    CHECK(h.among("abcdef") == "cdf");
    CHECK(h.stats().rejected == 0);
}

TEST_CASE("If all guards are in use, and there are as many as may be, no other guard is made") {
    hosts h({.max_guards = 2, .idle_after = 0ns});
    const auto a = h.get("a");
    auto b = h.get("b");
    CHECK(h.try_get("c") == nullptr);
    try {
        h.get("c");
        FAIL("a guard beyond the bound was made");
    } catch (const asio::system_error& e) {
        CHECK(e.code() == flowguard::error::shed);
    }
    CHECK(h.get("a") == a);
    CHECK(h.size() == 2);
    CHECK(h.stats().rejected == 2);
    b.reset();
    CHECK(h.get("c") != nullptr);
    CHECK(h.among("abc") == "ac");
}

TEST_CASE("A call looks at few guards, and the next calls at others") {
    hosts h({.max_guards = 40});
    std::vector<std::shared_ptr<guard_type>> held;
    for (int i = 0; i < 40; ++i)
        held.push_back(h.get(std::to_string(i)));
    held.pop_back(); // the one that was asked for most recently
    CHECK(h.try_get("x") == nullptr);
    CHECK(h.try_get("x") == nullptr);
    CHECK(h.try_get("x") != nullptr);
    CHECK(h.find("39") == nullptr);
    CHECK(h.size() == 40);
}

TEST_CASE("A factory makes a guard for its key, and is not asked again") {
    std::string asked;
    registry_type registry{[&](const std::string& key) {
        asked += key + " ";
        return std::make_shared<guard_type>(fixed_limit{key.size()});
    }};
    CHECK(registry.get("a")->current_limit() == 1);
    CHECK(registry.get("bbb")->current_limit() == 3);
    CHECK(registry.get("a")->current_limit() == 1);
    CHECK(asked == "a bbb ");
}

TEST_CASE("A factory may use its registry") {
    std::optional<registry_type> registry;
    registry.emplace([&](const std::string& key) {
        const std::size_t limit = key.size() == 1 ? 5 : registry->get(key.substr(1))->current_limit() - 1;
        return std::make_shared<guard_type>(fixed_limit{limit});
    });
    CHECK(registry->get("aaa")->current_limit() == 3);
    CHECK(registry->size() == 3);
    auto same = registry->get("aaa");
    registry.emplace([&](const std::string& key) {
        static_cast<void>(key.size() == 1 && registry->get(key + "x"));
        return std::make_shared<guard_type>(fixed_limit{1});
    });
    CHECK(registry->get("a") != same);
    CHECK(registry->size() == 2);
}

TEST_CASE("If another guard was made for the key meanwhile, that one is taken") {
    std::optional<registry_type> registry;
    int made = 0;
    std::shared_ptr<guard_type> of_another_caller;
    registry.emplace([&](const std::string& key) {
        if (++made == 1)
            of_another_caller = registry->get(key);
        return std::make_shared<guard_type>(fixed_limit{1});
    });
    CHECK(registry->get("a") == of_another_caller);
    CHECK(made == 2);
    CHECK(registry->stats().made == 1);
}

TEST_CASE("If the last room was taken meanwhile, no guard is made") {
    std::optional<registry_type> registry;
    std::shared_ptr<guard_type> of_another_caller;
    registry.emplace(
        [&](const std::string& key) {
            if (key == "a")
                of_another_caller = registry->get("b");
            return std::make_shared<guard_type>(fixed_limit{1});
        },
        guard_registry_options{.max_guards = 1});
    CHECK(registry->try_get("a") == nullptr);
    CHECK(registry->find("b") == of_another_caller);
}

TEST_CASE("A factory that throws, or makes nothing, leaves a registry without a guard for the key") {
    int asked = 0;
    registry_type registry{[&](const std::string&) -> std::shared_ptr<guard_type> {
        if (++asked == 1)
            throw std::runtime_error("no such host");
        if (asked == 2)
            return nullptr;
        return std::make_shared<guard_type>(fixed_limit{1});
    }};
    CHECK_THROWS_WITH(registry.get("a"), "no such host");
    CHECK(registry.size() == 0);
    CHECK(support::rejection_of([&] { registry.get("a"); }) ==
          "flowguard: the factory of a guard_registry returned null, must return a guard");
    CHECK(registry.size() == 0);
    CHECK(registry.get("a") != nullptr);
}

TEST_CASE("A registry rejects options out of range when it is made") {
    const auto of = [](guard_registry_options options) {
        return support::rejection_of([&] { registry_type{fixed_limit{1}, {}, options}; });
    };
    CHECK(of({.max_guards = 1, .idle_after = 0ns, .max_named = 0}) == "accepted");
    CHECK(of({.max_guards = 0}) == "flowguard: guard_registry_options::max_guards is 0, must be in [1, 268435455]");
    CHECK(of({.max_guards = flowguard::max_limit + 1}) ==
          "flowguard: guard_registry_options::max_guards is 268435456, must be in [1, 268435455]");
    CHECK(of({.idle_after = -1ns}) == "flowguard: guard_registry_options::idle_after is -1 ns, must be at least 0");
    CHECK(of({.max_named = flowguard::max_limit + 1}) ==
          "flowguard: guard_registry_options::max_named is 268435456, must be in [0, 268435455]");
    CHECK(support::rejection_of([] { registry_type{fixed_limit{1}, {.max_wait = -1ns}}; }) ==
          "flowguard: guard_options::max_wait is -1 ns, must be at least 0");
    CHECK(support::rejection_of([] { registry_type{registry_type::factory()}; }) ==
          "flowguard: the factory of a guard_registry is empty, must be a function");
}

TEST_CASE("Guards of a registry call handlers through its executor") {
    asio::io_context context;
    registry_type registry{context.get_executor(), fixed_limit{1}};
    CHECK(registry.get("a")->get_executor() == context.get_executor());
}

TEST_CASE("A guard that somebody holds outlives its registry") {
    at_nine();
    std::optional<registry_type> registry{std::in_place, fixed_limit{1}};
    const auto a = registry->get("a");
    registry.reset();
    a->try_acquire().success();
    CHECK(a->stats().succeeded == 1);
}

TEST_CASE("A registry that is destroyed ends the calls that wait in it") {
    std::optional<registry_type> registry{std::in_place, fixed_limit{1}};
    asio::io_context context;
    auto t = registry->get("a")->try_acquire();
    const auto call = support::start(context, registry->get("a")->run(done()));
    support::poll(context);
    registry.reset();
    support::poll(context);
    CHECK(call->code() == asio::error::operation_aborted);
}

TEST_CASE("All guards of a registry can be visited, for example to close them") {
    hosts h({});
    h.ask_for("a");
    h.ask_for("b");
    std::vector<std::string> keys;
    h.for_each([&](const std::string& key, guard_type& guard) {
        keys.push_back(key);
        guard.close();
    });
    CHECK(keys.size() == 2);
    CHECK_FALSE(h.get("a")->try_acquire());
    CHECK_FALSE(h.get("b")->try_acquire());
}

TEST_CASE("Guards have names as long as few have, and keep them") {
    hosts h({.idle_after = 1min, .max_named = 2});
    const auto names = [&] {
        std::string all;
        for (const auto& [key, stats] : h.stats().named)
            all += key;
        return all;
    };
    CHECK(names().empty());
    for (const char* key : {"b", "a", "c"})
        h.ask_for(key);
    CHECK(names() == "ba");
    manual_clock::at += 30s;
    for (const char* key : {"c", "b"})
        h.ask_for(key);
    manual_clock::at += 30s;
    CHECK(h.forget_idle() == 1); // "a"
    CHECK(names() == "b");
    h.ask_for("d");
    CHECK(names() == "bd");
    CHECK(h.stats().guards == 3);
}

namespace {

// Collects the values of a metric, as numbers.
struct collect_values {
    void operator()(std::uint64_t value, std::initializer_list<flowguard::metric_attribute> = {}) const {
        to->push_back(static_cast<double>(value));
    }
    void operator()(flowguard::duration value, std::initializer_list<flowguard::metric_attribute> = {}) const {
        to->push_back(static_cast<double>(value.count()));
    }
    void operator()(const flowguard::time_histogram& times,
                    std::initializer_list<flowguard::metric_attribute> = {}) const {
        for (const std::uint64_t count : times.counts)
            to->push_back(static_cast<double>(count));
        to->push_back(static_cast<double>(times.sum.count()));
    }

    std::vector<double>* to;
};

} // namespace

TEST_CASE("Guards without a name are added up, and their counters do not decrease when they are forgotten") {
    hosts h({.idle_after = 1min, .max_named = 1});
    const auto use = [&](const char* key) {
        auto held = h.get(key)->try_acquire();
        CHECK_FALSE(h.get(key)->try_acquire());
        held.success();
        h.get(key)->try_acquire().drop();
        h.get(key)->try_acquire().ignore();
        h.get(key)->try_acquire({.long_lived = true}).success();
        CHECK_FALSE(h.get(key)->try_acquire({.deadline = manual_clock::now()}));
    };
    use("a");
    use("b");
    use("c");
    const auto held = h.get("b")->try_acquire();
    h.get("c")->pin_limit(7);

    const auto before = h.stats();
    REQUIRE(before.named.size() == 1);
    CHECK(before.named[0].key == "a");
    CHECK(before.named[0].stats.succeeded == 1);
    CHECK(before.others.limit == 8);
    CHECK(before.others.in_flight == 1);
    CHECK(before.others.available_permits == 7);
    CHECK(before.others.pinned);

    // Each metric of a kind that adds up is twice that of one guard.
    guard_stats one = before.named[0].stats;
    flowguard::visit_metrics([&](const flowguard::metric& m, auto values) {
        if (m.type == flowguard::metric::kind::gauge || m.name == "flowguard.tasks")
            return;
        INFO(m.name);
        std::vector<double> of_one;
        std::vector<double> of_others;
        values(one, collect_values{&of_one});
        values(before.others, collect_values{&of_others});
        for (double& value : of_one)
            value *= 2;
        CHECK(of_one == of_others);
    });
    CHECK(before.others.succeeded == 2);
    CHECK(before.others.dropped == 2);
    CHECK(before.others.ignored == 2);
    CHECK(before.others.admitted == 7);

    h.get("c")->unpin_limit();
    manual_clock::at += 1min;
    CHECK(h.forget_idle() == 2); // "a" and "c"
    const auto after = h.stats();
    CHECK(after.named.empty());
    CHECK(after.others.limit == 1);
    CHECK_FALSE(after.others.pinned);
    CHECK(after.others.admitted == 7);
    CHECK(after.others.succeeded == 2);
    CHECK(after.others.shed == before.others.shed);
    CHECK(after.others.timed_out == 2);
}

// Observers

TEST_CASE("An observer may use the registry, also when it is destroyed with its guard") {
    support::manual_clock::at = 9h;
    registry_type* registry = nullptr;
    std::vector<std::string> told;
    struct farewell { // tells that the observer is destroyed
        farewell(registry_type** of, std::vector<std::string>* to) : registry(of), told(to) {}
        ~farewell() {
            const bool is_found = (*registry)->find("a") != nullptr;
            told->push_back(is_found ? "destroyed early" : "destroyed");
            (*registry)->get("c");
            (*registry)->forget_idle();
        }
        registry_type** registry;
        std::vector<std::string>* told;
    };
    const auto make = [&](const std::string& key) {
        std::shared_ptr<farewell> last;
        if (key == "a")
            last = std::make_shared<farewell>(&registry, &told);
        return std::make_shared<guard_type>(
            fixed_limit{1}, flowguard::guard_options{.on_rejection = [&registry, &told, last](flowguard::rejection) {
                told.push_back("rejected");
                registry->get("b");
                registry->stats();
                registry->forget_idle();
            }});
    };
    registry_type guards(make, {.idle_after = 1min});
    registry = &guards;
    {
        const auto a = guards.get("a");
        const auto held = a->try_acquire();
        CHECK_FALSE(a->try_acquire());
    }
    CHECK(told == std::vector<std::string>{"rejected"});
    CHECK(guards.find("b") != nullptr);
    support::manual_clock::at += 1min;
    CHECK(guards.forget_idle() == 2);
    CHECK(told == std::vector<std::string>{"rejected", "destroyed"});
    CHECK(guards.find("c") != nullptr);
}
