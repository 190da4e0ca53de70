// flow_guard_forms_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// How a caller may pass a task, its arguments, its classifier and its options to run() and try_run(); what a call owns,
// and for how long. AddressSanitizer sees what is destroyed twice.

#include "flowguard/flow_guard.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/manual_clock.hpp"
#include "support/scripted_strategy.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::fixed_limit;
using flowguard::flow_guard;
using flowguard::outcome;
using flowguard::rejection;
using support::gate;
using support::manual_clock;
using support::poll;
using support::start;

using guard_type = flow_guard<fixed_limit, manual_clock>;
using options = flowguard::run_options<flowguard::default_classifier, manual_clock>;

const std::string text = "a text that is too long to be stored without the heap";

asio::awaitable<std::size_t> length(std::string s) {
    co_return s.size();
}

asio::awaitable<std::size_t> sum(std::string s, std::unique_ptr<int> number) {
    co_return s.size() + static_cast<std::size_t>(*number);
}

asio::awaitable<void> count(int& calls) {
    ++calls;
    co_return;
}

// Suspends, so that the caller's temporaries live on meanwhile.
asio::awaitable<std::size_t> later(const std::string& s) {
    co_await asio::post(asio::use_awaitable);
    co_return s.size();
}

// An executor without a context, such as one of another framework.
struct bare_executor {
    asio::io_context* context;

    template <class F>
    void execute(F f) const {
        const asio::any_io_executor executor = context->get_executor();
        asio::require(executor, asio::execution::blocking.never).execute(std::move(f));
    }
    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
        return asio::execution::blocking.never;
    }
    bare_executor require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
    bool operator==(const bare_executor&) const noexcept = default;
};

class owner {
public:
    explicit owner(std::string s) : text_(std::move(s)) {}
    asio::awaitable<std::size_t> operator()() const { return length(text_); }
    asio::awaitable<std::size_t> plus(std::size_t n) const { return length(text_ + std::string(n, '+')); }

private:
    std::string text_;
};

} // namespace

TEST_CASE("What a callable, a classifier or an argument owns is destroyed once") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    std::optional<guard_type::ticket> busy;
    SECTION("with a permit free") {}
    SECTION("after a wait") {
        busy = guard.try_acquire();
    }

    auto caller = [&]() -> asio::awaitable<std::size_t> {
        std::size_t n = 0;
        n += co_await guard.run(length, text);
        n += co_await guard.run(length, std::string(text));
        n += co_await guard.run(sum, std::string(text), std::make_unique<int>(1));
        n += co_await guard.run(later, std::string(text));
        n += co_await guard.run(owner{text});
        n += co_await guard.run(&owner::plus, owner{text}, 2U);
        n += co_await guard.run(std::bind_front(length, text));
        n += co_await guard.run([&] { return length(text); });
        const auto named = [s = text] { return length(s); };
        n += co_await guard.run(named);
        auto moves_only = [p = std::make_unique<std::string>(text)] { return length(*p); };
        n += co_await guard.run(std::ref(moves_only));
        const auto judge = [s = text](const std::size_t& size) {
            return size == s.size() ? outcome::success : outcome::dropped;
        };
        n += co_await guard.run(length(text), judge);
        n += co_await guard.run(named, judge);
        const flowguard::run_options<std::decay_t<decltype(judge)>, manual_clock> how{.classify = judge};
        n += co_await guard.run(length(text), how);
        n += co_await guard.run(how, length, std::string(text));
        n += co_await guard.run({.priority = flowguard::priority::sheddable}, length, std::string(text));
        n += *co_await guard.try_run(length, std::string(text));
        n += *co_await guard.try_run({.partition = 0}, length, std::string(text));
        n += *co_await guard.try_run(how, length, std::string(text));
        n += *co_await guard.try_run(named, judge);
        n += *co_await guard.try_run(length(text));
        n += *co_await guard.try_run(length(text), judge);
        n += *co_await guard.try_run(length(text), how);
        n += *co_await guard.try_run_for(1s, length(text));
        n += *co_await guard.try_run_for(1s, length(text), how);
        co_return n;
    };
    const auto end = start(context, caller());
    poll(context);
    busy.reset();
    poll(context);
    REQUIRE(end->succeeded());
    CHECK(*end->value == 24 * text.size() + 3);
    CHECK(guard.stats().succeeded == 24);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("A call keeps the function and its arguments, and calls the function after the admission") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    auto busy = guard.try_acquire();
    const auto watched = std::make_shared<int>(0);
    const auto use = [](std::shared_ptr<int> p) -> asio::awaitable<void> {
        ++*p;
        co_return;
    };
    const auto waits = start(context, guard.run(use, std::shared_ptr<int>(watched)));
    CHECK(watched.use_count() == 2);
    poll(context);
    CHECK(*watched == 0);
    CHECK(watched.use_count() == 2);
    busy.success();
    poll(context);
    CHECK(waits->succeeded());
    CHECK(*watched == 1);
    CHECK(watched.use_count() == 1);
}

TEST_CASE("Arguments are destroyed when the call is shed, or never starts") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto busy = guard.try_acquire();
    const auto watched = std::make_shared<int>(0);
    const auto use = [](const std::shared_ptr<int>& p) -> asio::awaitable<void> {
        ++*p;
        co_return;
    };
    const auto shed = start(context, guard.try_run(use, watched));
    poll(context);
    CHECK(shed->value == false);
    {
        const auto never_started = guard.run(use, watched);
    }
    CHECK(*watched == 0);
    CHECK(watched.use_count() == 1);
}

TEST_CASE("The awaitable of an attempt that is shed is destroyed, and never starts") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto busy = guard.try_acquire();
    const auto watched = std::make_shared<int>(0);
    const auto use = [](std::shared_ptr<int> p) -> asio::awaitable<void> {
        ++*p;
        co_return;
    };
    const auto shed = start(context, guard.try_run(use(watched)));
    const auto late = start(context, guard.try_run_for(0s, use(watched)));
    CHECK(watched.use_count() == 3);
    poll(context);
    CHECK(shed->value == false);
    CHECK(late->value == false);
    CHECK(*watched == 0);
    CHECK(watched.use_count() == 1);
}

TEST_CASE("Arguments are moved into the function, and std::ref passes a reference") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    int calls = 0;
    const auto end = start(context, guard.run(count, std::ref(calls)));
    const auto moved = start(context, guard.run(sum, text, std::make_unique<int>(7)));
    const owner mine{text};
    const auto member = start(context, guard.run(&owner::plus, &mine, 3U));
    poll(context);
    CHECK(end->succeeded());
    CHECK(calls == 1);
    CHECK(*moved->value == text.size() + 7);
    CHECK(*member->value == text.size() + 3);
}

TEST_CASE("Options come before a callable with arguments") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto busy = guard.try_acquire();
    int calls = 0;
    const auto past = start(context, guard.run({.deadline = manual_clock::now()}, count, std::ref(calls)));
    const auto at_once = start(context, guard.run({.bypass = true}, count, std::ref(calls)));
    const auto tried = start(context, guard.try_run({.bypass = true}, count, std::ref(calls)));
    const auto without_arguments = start(context, guard.run({.bypass = true}, [&] { return count(calls); }));
    const auto shed = start(context, guard.try_run(options{}, count, std::ref(calls)));
    poll(context);
    CHECK(past->code() == flowguard::error::wait_timeout);
    CHECK(at_once->succeeded());
    CHECK(tried->value == true);
    CHECK(without_arguments->succeeded());
    CHECK(shed->value == false);
    CHECK(calls == 3);
}

TEST_CASE("A second argument is a classifier if it can be one, and otherwise an argument") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto by_default = [](int value = 1) -> asio::awaitable<int> { co_return value; };
    const auto argument = start(context, guard.run(by_default, 5));
    const auto classified = start(context, guard.run(by_default, [](const int&) { return outcome::dropped; }));
    poll(context);
    CHECK(*argument->value == 5);
    CHECK(*classified->value == 1);
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.stats().dropped == 1);

    // A callable that needs an argument gets it, even one that could be a classifier.
    const auto apply = [](const auto& f) -> asio::awaitable<outcome> { co_return f(0); };
    const auto given = start(context, guard.run(apply, [](const int&) { return outcome::dropped; }));
    poll(context);
    CHECK(*given->value == outcome::dropped);
    CHECK(guard.stats().succeeded == 2);
}

TEST_CASE("A call that starts after its guard was destroyed ends with operation_aborted, without starting its task") {
    asio::io_context context;
    std::optional<guard_type> guard{std::in_place, fixed_limit{1}};
    int calls = 0;
    const auto watched = std::make_shared<int>(0);
    const auto task = start(context, guard->run(count(calls)));
    const auto made = start(context, guard->run([&] { return count(calls); }));
    const auto tried = start(context, guard->try_run([&] { return count(calls); }));
    const auto bypassing = start(context, guard->run(count(calls), {.bypass = true}));
    const auto past = start(context, guard->run(count(calls), {.deadline = manual_clock::now()}));
    const auto owning =
        start(context, guard->run([](const std::shared_ptr<int>&) -> asio::awaitable<void> { co_return; }, watched));
    guard.reset();
    poll(context);
    CHECK(task->code() == asio::error::operation_aborted);
    CHECK(made->code() == asio::error::operation_aborted);
    CHECK(tried->code() == asio::error::operation_aborted);
    CHECK(bypassing->code() == asio::error::operation_aborted);
    CHECK(past->code() == asio::error::operation_aborted);
    CHECK(owning->code() == asio::error::operation_aborted);
    CHECK(calls == 0);
    CHECK(watched.use_count() == 1);
}

TEST_CASE("A call that is never started may outlive its guard") {
    int calls = 0;
    std::optional<guard_type> guard{std::in_place, fixed_limit{1}};
    const auto call = guard->run(count(calls));
    guard.reset();
    CHECK(calls == 0);
}

TEST_CASE("An observer may destroy the guard that rejects a call") {
    asio::io_context context;
    std::optional<guard_type> guard;
    guard.emplace(fixed_limit{1}, flowguard::guard_options{.on_rejection = [&](rejection) { guard.reset(); }});
    int calls = 0;
    SECTION("as there is no permit") {
        auto busy = guard->try_acquire();
        const auto shed = start(context, guard->try_run([&] { return count(calls); }));
        poll(context);
        CHECK(shed->value == false);
    }
    SECTION("as its deadline has passed") {
        const auto past = start(context, guard->run(count(calls), {.deadline = manual_clock::now()}));
        poll(context);
        CHECK(past->code() == flowguard::error::wait_timeout);
    }
    CHECK_FALSE(guard.has_value());
    CHECK(calls == 0);
}

TEST_CASE("A classifier is asked once, and if it throws, the task counts as ignored") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    struct undecided {
        int* asked;
        outcome operator()(const std::size_t&) const { return ask(); }
        outcome operator()(std::exception_ptr) const { return ask(); }
        outcome ask() const {
            ++*asked;
            throw std::runtime_error("undecided");
        }
    };
    int asked = 0;
    const auto on_result = start(context, guard.run(length(text), undecided{&asked}));
    const auto on_exception = start(context, guard.run(
                                                 []() -> asio::awaitable<std::size_t> {
                                                     throw std::logic_error("no sense");
                                                     co_return 0;
                                                 },
                                                 undecided{&asked}));
    poll(context);
    CHECK_THROWS_WITH(std::rethrow_exception(on_result->exception), "undecided");
    CHECK_THROWS_WITH(std::rethrow_exception(on_exception->exception), "undecided");
    CHECK(asked == 2);
    CHECK(guard.stats().ignored == 2);
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("With bypass, a task may call its own guard although all permits are held") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto outer = start(context, guard.run([&]() -> asio::awaitable<std::size_t> {
        co_return co_await guard.run(length(text), {.bypass = true});
    }));
    poll(context);
    REQUIRE(outer->succeeded());
    CHECK(*outer->value == text.size());
    CHECK(guard.stats().admitted == 1);
    CHECK(guard.stats().bypassed == 1);
}

#if defined(FLOWGUARD_REJECTS_OWNING_TEMPORARIES)

TEST_CASE("A task may have an executor without a context, but then no time-out") {
    asio::io_context context;
    guard_type guard{fixed_limit{1}};
    const auto task = []() -> asio::awaitable<int, bare_executor> { co_return 7; };
    int value = 0;
    const auto caller = [&]() -> asio::awaitable<void, bare_executor> { value = co_await guard.run(task); };
    std::exception_ptr thrown;
    asio::co_spawn(bare_executor{&context}, caller(), [&](std::exception_ptr e) { thrown = std::move(e); });
    poll(context);
    CHECK(thrown == nullptr);
    CHECK(value == 7);
    CHECK_THROWS_MATCHES(guard.run(task, {.timeout = 30ms}), std::invalid_argument,
                         Catch::Matchers::Message("flowguard: a task with a time-out needs an executor that has a "
                                                  "context, for its timer"));
    CHECK(guard.in_flight() == 0);
}

TEST_CASE("FlowGuard knows the types whose temporaries g++ before 13 may destroy twice") {
    using flowguard::detail::may_be_destroyed_twice;
    struct aggregate {
        std::string s;
    };
    int n = 0;
    auto owning = [s = text] { return s.size(); };
    auto generic = [s = text](auto&& x, std::function<int(int)>) { return x + s.size(); };
    auto by_reference = [&n] { return n; };
    STATIC_REQUIRE(may_be_destroyed_twice<decltype(owning)>);
    STATIC_REQUIRE(may_be_destroyed_twice<const decltype(owning)>);
    STATIC_REQUIRE(may_be_destroyed_twice<decltype(generic)>);
    STATIC_REQUIRE(may_be_destroyed_twice<aggregate>);
    STATIC_REQUIRE(may_be_destroyed_twice<flowguard::run_options<std::function<outcome()>>>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<decltype(owning)&>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<const aggregate&>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<decltype(by_reference)>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<decltype(std::bind_front(owning))>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<std::function<void()>>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<std::shared_ptr<decltype(owning)>>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<owner>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<options>);
    STATIC_REQUIRE_FALSE(may_be_destroyed_twice<int>);
}

#endif
