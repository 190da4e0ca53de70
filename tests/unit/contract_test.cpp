// contract_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What types promise about copies, moves and exceptions. Compiling this file checks most of it.

#include <catch2/catch.hpp>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "flowguard/dynamic_semaphore.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/permit.hpp"
#include "flowguard/strategies/vegas_strategy.hpp"
#include "support/asio.hpp"
#include "support/manual_clock.hpp"

namespace {

using flowguard::basic_dynamic_semaphore;
using flowguard::dynamic_semaphore;
using flowguard::flow_guard;
using flowguard::limit_strategy;
using flowguard::permit;
using flowguard::plan;
using flowguard::vegas_strategy;
using flowguard::window;

// A type that is the only owner of something, and whose moves cannot fail.
template <class T>
concept unique_holder =
    std::is_nothrow_default_constructible_v<T> && std::is_nothrow_move_constructible_v<T> &&
    std::is_nothrow_move_assignable_v<T> && std::is_nothrow_swappable_v<T> && std::is_nothrow_destructible_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

// A type that can be neither copied nor moved. Its move constructor is there for the compiler's message alone: see
// compile_fail/moved_guard.cpp.
template <class T>
concept pinned = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && !std::is_move_assignable_v<T> &&
                 !std::movable<T> && std::is_nothrow_destructible_v<T>;

// A type that converts to bool only explicitly, and so never to an int.
template <class T>
concept explicit_truth = std::constructible_from<bool, const T&> && !std::convertible_to<const T&, bool> &&
                         noexcept(static_cast<bool>(std::declval<const T&>()));

// permit

static_assert(unique_holder<permit>);
static_assert(explicit_truth<permit>);
static_assert(noexcept(std::declval<permit&>().release()));
static_assert(noexcept(std::declval<permit&>().swap(std::declval<permit&>())));
static_assert(!std::is_convertible_v<flowguard::detail::semaphore_state*, permit>);

// dynamic_semaphore

static_assert(pinned<dynamic_semaphore>);
static_assert(pinned<basic_dynamic_semaphore<asio::io_context::executor_type>>);
static_assert(std::is_same_v<dynamic_semaphore, basic_dynamic_semaphore<asio::any_io_executor>>);
static_assert(std::is_same_v<dynamic_semaphore::executor_type, asio::any_io_executor>);
static_assert(std::is_same_v<dynamic_semaphore::rebind_executor<asio::io_context::executor_type>::other,
                             basic_dynamic_semaphore<asio::io_context::executor_type>>);
static_assert(!std::is_default_constructible_v<dynamic_semaphore>);
static_assert(std::is_constructible_v<dynamic_semaphore, asio::io_context&, std::size_t>);
static_assert(std::is_constructible_v<dynamic_semaphore, asio::any_io_executor, std::size_t>);
static_assert(std::is_constructible_v<dynamic_semaphore, asio::io_context::executor_type, std::size_t>);
static_assert(!std::is_constructible_v<dynamic_semaphore, asio::io_context&>);
static_assert(!std::is_constructible_v<dynamic_semaphore, std::size_t>);

template <class Semaphore>
consteval void check_semaphore(Semaphore* s = nullptr) {
    static_assert(noexcept(s->try_acquire()) && std::same_as<decltype(s->try_acquire()), bool>);
    static_assert(noexcept(s->try_acquire_permit()) && std::same_as<decltype(s->try_acquire_permit()), permit>);
    static_assert(!noexcept(s->try_acquire_n(2)) && std::same_as<decltype(s->try_acquire_n(2)), bool>);
    static_assert(!noexcept(s->try_acquire_permit_n(2)) && std::same_as<decltype(s->try_acquire_permit_n(2)), permit>);
    static_assert(noexcept(s->close()));
    static_assert(!noexcept(s->release()) && !noexcept(s->set_limit(1)) && !noexcept(s->cancel()));
    const Semaphore* c = s;
    static_assert(noexcept(c->current_limit()) && std::same_as<decltype(c->current_limit()), std::size_t>);
    static_assert(noexcept(c->available_permits()) && std::same_as<decltype(c->available_permits()), std::size_t>);
    static_assert(noexcept(c->in_flight()) && std::same_as<decltype(c->in_flight()), std::size_t>);
    static_assert(noexcept(c->waiting()) && std::same_as<decltype(c->waiting()), std::size_t>);
    static_assert(noexcept(c->get_executor()));
    using waiting_for_permit = asio::awaitable<permit, typename Semaphore::executor_type>;
    static_assert(std::same_as<decltype(s->acquire()), waiting_for_permit>);
    static_assert(std::same_as<decltype(s->acquire(2)), waiting_for_permit>);
    static_assert(std::same_as<decltype(s->acquire_for({}, 2)), waiting_for_permit>);
    static_assert(std::same_as<decltype(s->acquire_until({}, 2)), waiting_for_permit>);
}

// flow_guard

using guard_type = flow_guard<>;
using ticket = guard_type::ticket;

static_assert(std::is_same_v<guard_type, flow_guard<vegas_strategy, std::chrono::steady_clock>>);
static_assert(std::is_same_v<guard_type::strategy_type, vegas_strategy>);
static_assert(std::is_same_v<guard_type::clock_type, std::chrono::steady_clock>);
static_assert(std::is_same_v<guard_type::executor_type, asio::any_io_executor>);
static_assert(pinned<guard_type>);
static_assert(std::is_default_constructible_v<guard_type>);
static_assert(std::is_constructible_v<guard_type, vegas_strategy, flowguard::guard_options>);
static_assert(std::is_constructible_v<guard_type, asio::any_io_executor, vegas_strategy, flowguard::guard_options>);
static_assert(std::is_constructible_v<guard_type, asio::io_context::executor_type>);
static_assert(!std::is_convertible_v<vegas_strategy, guard_type>);

struct without_default {
    explicit without_default(std::size_t) {}
    std::size_t current_limit() const { return 1; }
    std::size_t update(const window&) { return 1; }
};

static_assert(!std::is_default_constructible_v<flow_guard<without_default>>);
static_assert(!std::is_constructible_v<flow_guard<without_default>, asio::any_io_executor>);
static_assert(std::is_constructible_v<flow_guard<without_default>, without_default>);
static_assert(std::is_constructible_v<flow_guard<without_default>, asio::any_io_executor, without_default>);

static_assert(unique_holder<ticket>);
static_assert(explicit_truth<ticket>);

template <class Guard>
consteval void check_guard(Guard* g = nullptr, typename Guard::ticket* t = nullptr) {
    static_assert(noexcept(g->try_acquire()) && std::same_as<decltype(g->try_acquire()), typename Guard::ticket>);
    static_assert(noexcept(g->close()));
    const Guard* c = g;
    static_assert(noexcept(c->current_limit()) && std::same_as<decltype(c->current_limit()), std::size_t>);
    static_assert(noexcept(c->available_permits()) && std::same_as<decltype(c->available_permits()), std::size_t>);
    static_assert(noexcept(c->in_flight()) && std::same_as<decltype(c->in_flight()), std::size_t>);
    static_assert(noexcept(c->waiting()) && std::same_as<decltype(c->waiting()), std::size_t>);
    static_assert(noexcept(c->stats()) && std::same_as<decltype(c->stats()), flowguard::guard_stats>);
    static_assert(noexcept(c->get_executor()));
    static_assert(noexcept(t->success()) && noexcept(t->ignore()) && noexcept(t->drop()));
    static_assert(noexcept(t->finish(flowguard::outcome::dropped)));

    // The result of each call, by the result of its task.
    using executor = asio::io_context::executor_type;
    using to_int = asio::awaitable<int> (*)();
    using to_void = asio::awaitable<void> (*)();
    using to_int_there = asio::awaitable<int, executor> (*)();
    using to_unique = asio::awaitable<std::unique_ptr<int>> (*)();
    static_assert(std::same_as<decltype(g->run(to_int{})), asio::awaitable<int>>);
    static_assert(std::same_as<decltype(g->run(to_int{}())), asio::awaitable<int>>);
    static_assert(std::same_as<decltype(g->run(to_void{})), asio::awaitable<void>>);
    static_assert(std::same_as<decltype(g->run(to_int_there{}())), asio::awaitable<int, executor>>);
    static_assert(std::same_as<decltype(g->run(to_unique{})), asio::awaitable<std::unique_ptr<int>>>);
    using error_and_int = std::tuple<flowguard::error_code, std::optional<int>>;
    static_assert(std::same_as<decltype(g->run_as_tuple(to_int{})), asio::awaitable<error_and_int>>);
    static_assert(std::same_as<decltype(g->run_as_tuple(to_int{}())), asio::awaitable<error_and_int>>);
    static_assert(std::same_as<decltype(g->run_as_tuple(to_int_there{}())), asio::awaitable<error_and_int, executor>>);
    static_assert(
        std::same_as<decltype(g->run_as_tuple(to_void{})), asio::awaitable<std::tuple<flowguard::error_code>>>);
    static_assert(
        std::same_as<decltype(g->try_run_for(std::chrono::seconds(1), to_int{})), asio::awaitable<std::optional<int>>>);
    static_assert(std::same_as<decltype(g->try_run_for(std::chrono::seconds(1), to_void{})), asio::awaitable<bool>>);
    static_assert(std::same_as<decltype(g->try_run(to_int{})), asio::awaitable<std::optional<int>>>);
    static_assert(std::same_as<decltype(g->try_run(to_void{})), asio::awaitable<bool>>);
    static_assert(std::same_as<decltype(g->try_run(to_int_there{})), asio::awaitable<std::optional<int>, executor>>);
}

template <class Task>
concept can_run = requires(guard_type& g, Task&& task) { g.run(std::forward<Task>(task)); };

static_assert(can_run<asio::awaitable<int>>);
static_assert(can_run<asio::awaitable<int> (*)()>);
static_assert(!can_run<asio::awaitable<int>&>); // must be moved
static_assert(!can_run<int>);
static_assert(!can_run<int (*)()>);
static_assert(!can_run<asio::awaitable<int> (*)(int)>);

// limit_strategy

struct minimal {
    std::size_t current_limit() const { return 1; }
    std::size_t update(const window&) { return 1; }
};

struct with_plan : minimal {
    plan update(const window&) { return {1, 2, 3}; }
};

struct takes_a_copy : minimal {
    std::size_t update(window) { return 1; }
};

struct only_movable : minimal {
    std::unique_ptr<int> state;
};

struct without_update {
    std::size_t current_limit() const { return 1; }
};

struct without_limit {
    std::size_t update(const window&) { return 1; }
};

struct limit_not_const {
    std::size_t current_limit() { return 1; }
    std::size_t update(const window&) { return 1; }
};

struct limit_of_another_type : minimal {
    int current_limit() const { return 1; }
};

struct without_answer : minimal {
    void update(const window&) {}
};

struct with_another_answer : minimal {
    std::optional<std::size_t> update(const window&) { return 1; }
};

struct wants_to_change_the_window : minimal {
    std::size_t update(window&) { return 1; }
};

struct not_movable : minimal {
    not_movable() = default;
    not_movable(const not_movable&) = delete;
    not_movable& operator=(const not_movable&) = delete;
};

struct not_assignable : minimal {
    const int parameter = 1;
};

static_assert(limit_strategy<vegas_strategy>);
static_assert(limit_strategy<minimal>);
static_assert(limit_strategy<with_plan>);
static_assert(limit_strategy<takes_a_copy>);
static_assert(limit_strategy<only_movable>);
static_assert(!limit_strategy<without_update>);
static_assert(!limit_strategy<without_limit>);
static_assert(!limit_strategy<limit_not_const>);
static_assert(!limit_strategy<limit_of_another_type>);
static_assert(!limit_strategy<without_answer>);
static_assert(!limit_strategy<with_another_answer>);
static_assert(!limit_strategy<wants_to_change_the_window>);
static_assert(!limit_strategy<not_movable>);
static_assert(!limit_strategy<not_assignable>);
static_assert(!limit_strategy<int>);
static_assert(!limit_strategy<const minimal>);

// plan, window, error

static_assert(std::is_convertible_v<std::size_t, plan>);
static_assert(!std::is_default_constructible_v<plan>);
static_assert(plan(5) == plan(5, 0, 0));
static_assert(plan(5, 6, 7) != plan(5, 6));
static_assert(std::is_nothrow_copy_constructible_v<plan>);
static_assert(std::is_nothrow_default_constructible_v<window> && std::is_nothrow_copy_constructible_v<window>);
static_assert(std::is_convertible_v<flowguard::error, flowguard::error_code>);
static_assert(noexcept(make_error_code(flowguard::error::closed)));

// Deduction

template <class Guard, class Strategy>
constexpr bool is_guard_of = std::is_same_v<Guard, flow_guard<Strategy, std::chrono::steady_clock>>;

static_assert(is_guard_of<decltype(flow_guard{vegas_strategy{10}}), vegas_strategy>);
static_assert(is_guard_of<decltype(flow_guard{minimal{}}), minimal>);
static_assert(is_guard_of<decltype(flow_guard{minimal{}, flowguard::guard_options{.min_window = 5}}), minimal>);
static_assert(is_guard_of<decltype(flow_guard{asio::any_io_executor(), minimal{}}), minimal>);
static_assert(is_guard_of<decltype(flow_guard{only_movable{}}), only_movable>);

} // namespace

TEST_CASE("Guards and semaphores keep their contracts with every executor and clock") {
    check_semaphore<dynamic_semaphore>();
    check_semaphore<basic_dynamic_semaphore<asio::io_context::executor_type>>();
    check_guard<flow_guard<>>();
    check_guard<flow_guard<minimal, support::manual_clock>>();
}

TEST_CASE("A guard deduces its type from its strategy") {
    asio::io_context context;
    const flow_guard guard{vegas_strategy{10}};
    CHECK(guard.current_limit() == 10);
    const flow_guard with_options{vegas_strategy{11}, {.min_window = 5}};
    CHECK(with_options.current_limit() == 11);
    const flow_guard with_executor{context.get_executor(), vegas_strategy{12}, {.min_window = 5}};
    CHECK(with_executor.current_limit() == 12);
    CHECK(with_executor.get_executor() == context.get_executor());
    const flow_guard by_default;
    CHECK(by_default.current_limit() == vegas_strategy{}.current_limit());
    const flow_guard with_only_movable{only_movable{{}, std::make_unique<int>(1)}};
    CHECK(with_only_movable.current_limit() == 1);
    const flow_guard<vegas_strategy> with_an_executor_alone{context.get_executor()};
    CHECK(with_an_executor_alone.current_limit() == vegas_strategy{}.current_limit());
}

TEST_CASE("Errors of FlowGuard have a category and a text") {
    const flowguard::error_code closed = flowguard::error::closed;
    CHECK(closed);
    CHECK(closed == flowguard::error::closed);
    CHECK(std::string(closed.category().name()) == "flowguard");
    CHECK(closed.message() == "closed");
    CHECK(flowguard::make_error_code(flowguard::error::wait_timeout).message() == "no permit came in time");
    CHECK(&closed.category() == &flowguard::error_category());
    CHECK(flowguard::error_category().message(99) == "unknown flowguard error");
}
