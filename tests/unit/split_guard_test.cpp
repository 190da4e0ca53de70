// split_guard_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/split_guard.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/strategies/aimd_strategy.hpp"
#include "flowguard/strategies/any_strategy.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "flowguard/strategies/gradient2_strategy.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"
#include "support/guard_tests.hpp"
#include "support/manual_clock.hpp"

namespace {

using namespace std::chrono_literals;
using flowguard::error;
using flowguard::error_code;
using flowguard::fixed_limit;
using flowguard::guard_stats;
using flowguard::max_limit;
using flowguard::split_guard;
using flowguard::ticket;
using flowguard::vegas_options;
using flowguard::vegas_strategy;
using support::at_nine;
using support::gate;
using support::held;
using support::manual_clock;
using support::nothing;
using support::pass;
using support::poll;
using support::start;

using fixed_split = split_guard<fixed_limit, manual_clock>;

template <class Guard>
std::vector<std::size_t> limits_of(const Guard& guard) {
    std::vector<std::size_t> limits;
    for (std::size_t i = 0; i < guard.parts(); ++i)
        limits.push_back(guard.part(i).current_limit());
    return limits;
}

std::string error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "";
}

// How a drain ended.
struct drained {
    int times = 0;
    error_code code;

    bool succeeded() const { return times == 1 && !code; }
    bool ended_with(error_code wanted) const { return times == 1 && code == wanted; }
};

std::shared_ptr<const drained> drain(fixed_split& guard, flowguard::drain_options options = {},
                                     asio::cancellation_slot slot = {}) {
    auto end = std::make_shared<drained>();
    guard.async_drain(options, asio::bind_cancellation_slot(slot, [end](error_code e) {
                          ++end->times;
                          end->code = e;
                      }));
    return end;
}

// Three parts, with limits of 2, 1 and 1.
struct scene {
    explicit scene(const flowguard::guard_options& options = {})
        : guard(std::make_unique<fixed_split>(context.get_executor(), 3, fixed_limit{4}, options)) {}

    at_nine set_clock;
    asio::io_context context;
    gate g{context};
    std::unique_ptr<fixed_split> guard;
};

// What docs/scaling.md shows.

using support::rows;

asio::awaitable<rows> query(int id) {
    co_return rows(id);
}

struct service {
    flowguard::split_guard<> database{8, vegas_strategy{vegas_options{.max_limit = 400}}};

    asio::awaitable<rows> load(int id) { co_return co_await database.local().run(query(id)); }
};

} // namespace

TEST_CASE("A service with a split guard loads rows") {
    service s;
    asio::io_context context;
    const auto call = start(context, s.load(7));
    poll(context);
    REQUIRE(call->succeeded());
    CHECK(call->value->count() == 7);
    CHECK(s.database.stats().succeeded == 1);
    s.database.pin_limit(400);
    CHECK(limits_of(s.database) == std::vector<std::size_t>(8, 50));
}

TEST_CASE("The parts have equal shares of a limit, but for one permit") {
    CHECK(limits_of(split_guard{4, fixed_limit{10}}) == std::vector<std::size_t>{3, 3, 2, 2});
    CHECK(limits_of(split_guard{4, fixed_limit{8}}) == std::vector<std::size_t>{2, 2, 2, 2});
    CHECK(limits_of(split_guard{1, fixed_limit{8}}) == std::vector<std::size_t>{8});
    const split_guard guard{7, fixed_limit{1000}};
    CHECK(guard.current_limit() == 1000);
    CHECK(guard.available_permits() == 1000);
    CHECK(guard.parts() == 7);
}

TEST_CASE("The parts of an adaptive guard start with shares of its first limit, and with at least 1") {
    CHECK(limits_of(split_guard<>{4}) == std::vector<std::size_t>{1, 1, 1, 1});
    CHECK(limits_of(split_guard{4, vegas_strategy{42}}) == std::vector<std::size_t>{11, 11, 10, 10});
    CHECK(limits_of(split_guard{2, flowguard::aimd_strategy{21}}) == std::vector<std::size_t>{11, 10});
    CHECK(limits_of(split_guard{30, flowguard::gradient2_strategy{20}}) == std::vector<std::size_t>(30, 1));
}

TEST_CASE("The highest limits of the parts make up that of the whole") {
    at_nine set_clock;
    const flowguard::aimd_options options{.initial_limit = 5, .max_limit = 7};
    split_guard<flowguard::aimd_strategy, manual_clock> guard{2, flowguard::aimd_strategy{options}, {.min_window = 1}};
    for (int round = 0; round < 20; ++round)
        for (std::size_t i = 0; i < 2; ++i) {
            std::vector<ticket> all;
            while (ticket t = guard.part(i).try_acquire())
                all.push_back(std::move(t));
            for (ticket& t : all)
                t.success();
        }
    CHECK(guard.stats().windows > 10);
    CHECK(limits_of(guard) == std::vector<std::size_t>{4, 3});
}

TEST_CASE("Each part has a share of the waiters and of the long-lived calls that are allowed") {
    scene s{{.max_waiters = 4, .max_long_lived = 2}};
    std::vector<ticket> all;
    for (std::size_t i = 0; i < 3; ++i)
        while (ticket t = s.guard->part(i).try_acquire())
            all.push_back(std::move(t));
    for (int call = 0; call < 3; ++call)
        for (std::size_t i = 0; i < 3; ++i)
            s.guard->part(i).async_acquire([](error_code, const ticket&) {});
    CHECK(s.guard->part(0).waiting() == 2);
    CHECK(s.guard->part(1).waiting() == 1);
    CHECK(s.guard->part(2).waiting() == 1);
    CHECK(s.guard->waiting() == 4);
    for (std::size_t i = 0; i < 3; ++i) {
        const ticket first = s.guard->part(i).try_acquire({.long_lived = true});
        CHECK(first);
        CHECK_FALSE(s.guard->part(i).try_acquire({.long_lived = true}));
    }
    const split_guard none{2, fixed_limit{2}, {.max_long_lived = 0}};
    CHECK(none.stats().long_lived == 0);
}

TEST_CASE("A bound of 0 is one of 0 for each part") {
    split_guard guard{2, fixed_limit{2}, {.max_waiters = 0, .max_long_lived = 0}};
    asio::io_context context;
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK_FALSE(guard.part(i).try_acquire({.long_lived = true}));
        const ticket holder = guard.part(i).try_acquire();
        CHECK(holder);
        const auto late = start(context, guard.part(i).run(nothing()));
        poll(context);
        CHECK(late->code() == error::shed);
    }
}

TEST_CASE("The errors of a split guard name the argument, its value and its range") {
    CHECK(error_of([] { split_guard<>{0}; }) == "flowguard: the number of parts is 0, must be in [1, 1024]");
    CHECK(error_of([] { split_guard<>{1025}; }) == "flowguard: the number of parts is 1025, must be in [1, 1024]");
    CHECK(error_of([] { split_guard{4, fixed_limit{3}}; }) ==
          "flowguard: fixed_limit's limit is 3, must be in [4, 268435455]");
    CHECK(error_of([] { split_guard{4, vegas_strategy{vegas_options{.max_limit = 3}}}; }) ==
          "flowguard: vegas_options::max_limit is 3, must be in [4, 268435455]");
    CHECK(error_of([] { split_guard{201, flowguard::gradient2_strategy{}}; }) ==
          "flowguard: gradient2_options::max_limit is 200, must be in [201, 268435455]");
    CHECK(error_of([] {
              split_guard{4, flowguard::aimd_strategy{flowguard::aimd_options{.initial_limit = 2, .max_limit = 2}}};
          }) == "flowguard: aimd_options::max_limit is 2, must be in [4, 268435455]");
    CHECK(error_of([] { fixed_limit{3}.part(3, 3); }) == "flowguard: the part is 3, must be in [0, 2]");
    CHECK(error_of([] { vegas_strategy{}.part(0, 0); }) ==
          "flowguard: the number of parts is 0, must be in [1, " +
              std::to_string((std::numeric_limits<std::size_t>::max)()) + "]");

    split_guard guard{4, fixed_limit{9}};
    CHECK(error_of([&] { guard.part(4); }) == "flowguard: the part is 4, must be in [0, 3]");
    CHECK(error_of([&] { std::as_const(guard).part(5); }) == "flowguard: the part is 5, must be in [0, 3]");
    CHECK(error_of([&] { guard.pin_limit(3); }) == "flowguard: limit is 3, must be in [4, 268435455]");
    CHECK(error_of([&] { guard.set_limit_bounds(0, 9); }) == "flowguard: min is 0, must be in [1, 268435455]");
    CHECK(error_of([&] { guard.set_limit_bounds(1, 3); }) == "flowguard: max is 3, must be in [4, 268435455]");
    CHECK(error_of([&] { guard.set_limit_bounds(8, 7); }) == "flowguard: max is 7, must be in [8, 268435455]");
    CHECK(error_of([&] { guard.async_drain({.timeout = -1ns}, [](error_code) {}); }) ==
          "flowguard: drain_options::timeout is -1 ns, must be at least 0");
    CHECK(limits_of(guard) == std::vector<std::size_t>{3, 2, 2, 2});
    CHECK_FALSE(guard.is_closed());
}

TEST_CASE("A function can make the strategy of each part") {
    using flowguard::any_strategy;
    const split_guard guard{3, [](std::size_t index) { return any_strategy{fixed_limit{10 * (index + 1)}}; }};
    CHECK(limits_of(guard) == std::vector<std::size_t>{10, 20, 30});

    asio::io_context context;
    const split_guard with_executor{context.get_executor(), 2, [](std::size_t) { return fixed_limit{5}; }};
    CHECK(with_executor.current_limit() == 10);
    CHECK(with_executor.get_executor() == context.get_executor());
}

TEST_CASE("A strategy of a user's own says what its parts are") {
    struct doubled {
        std::size_t limit;
        std::size_t current_limit() const { return limit; }
        std::size_t update(const flowguard::window&) { return limit *= 2; }
        doubled part(std::size_t index, std::size_t parts) const { return {limit / parts + index}; }
    };
    CHECK(limits_of(split_guard{3, doubled{9}}) == std::vector<std::size_t>{3, 4, 5});
}

TEST_CASE("A thread has always the same part, and the guard of a part runs tasks") {
    scene s;
    auto& mine = s.guard->local();
    CHECK(&mine == &s.guard->local());
    bool is_a_part = false;
    for (std::size_t i = 0; i < s.guard->parts(); ++i)
        is_a_part = is_a_part || &mine == &s.guard->part(i);
    CHECK(is_a_part);
    const auto call = start(s.context, s.guard->local().run(support::give(7)));
    poll(s.context);
    CHECK(call->value == 7);
    CHECK(mine.stats().succeeded == 1);
}

TEST_CASE("The stats of all parts add up") {
    scene s{{.min_window = 1}};
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t n = 0; n < 10 + i; ++n) {
            ticket t = s.guard->part(i).try_acquire();
            manual_clock::at += 3ms;
            t.success();
        }
    s.guard->part(0).try_acquire().drop();
    s.guard->part(2).try_acquire().ignore();
    const ticket first = s.guard->part(0).try_acquire();
    const ticket second = s.guard->part(1).try_acquire();
    const ticket stream = s.guard->part(2).try_acquire({.long_lived = true});
    CHECK_FALSE(s.guard->part(1).try_acquire());
    s.guard->part(1).async_acquire([](error_code, const ticket&) {});

    const guard_stats all = s.guard->stats();
    CHECK(all.succeeded == 33);
    CHECK(all.dropped == 1);
    CHECK(all.ignored == 1);
    CHECK(all.admitted == 37);
    CHECK(all.long_lived == 1);
    CHECK(all.long_lived_admitted == 1);
    CHECK(all.shed == 1);
    CHECK(all.shed_at_once == 1);
    CHECK(all.limit == 4);
    CHECK(all.in_flight == 2);
    CHECK(all.available_permits == 2);
    CHECK(all.waiting == 1);
    CHECK(all.min_limit == 3);
    CHECK(all.max_limit == max_limit);
    CHECK(s.guard->part(1).stats().rtt_mean == 3ms);
    CHECK(all.rtt_mean == 0ms);
    std::uint64_t windows = 0;
    std::uint64_t rtts = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        const guard_stats of_part = s.guard->part(i).stats();
        CHECK(of_part.windows > 0);
        windows += of_part.windows;
        rtts += of_part.rtts.total();
    }
    CHECK(all.windows == windows);
    CHECK(rtts > 10);
    CHECK(all.rtts.total() == rtts);
    CHECK(all.rtts.sum == rtts * 3ms);
    CHECK(s.guard->in_flight() == 2);
    CHECK(s.guard->waiting() == 1);
    CHECK(s.guard->available_permits() == 2);
    CHECK_FALSE(s.guard->is_idle());
}

TEST_CASE("A pin reaches all parts, and so does its end") {
    scene s;
    s.guard->pin_limit(20);
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{7, 7, 6});
    CHECK(s.guard->stats().pinned);
    s.guard->pin_limit(3);
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{1, 1, 1});
    s.guard->pin_limit(max_limit);
    CHECK(s.guard->current_limit() == max_limit);
    s.guard->unpin_limit();
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{2, 1, 1});
    CHECK_FALSE(s.guard->stats().pinned);
}

TEST_CASE("Bounds hold for the parts together, and their sums are in the stats") {
    scene s;
    s.guard->set_limit_bounds(10, 1000);
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{4, 3, 3});
    CHECK(s.guard->stats().min_limit == 10);
    CHECK(s.guard->stats().max_limit == 1000);
    s.guard->set_limit_bounds(1, 3);
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{1, 1, 1});
    CHECK(s.guard->stats().max_limit == 3);
    s.guard->set_limit_bounds(1, max_limit);
    CHECK(limits_of(*s.guard) == std::vector<std::size_t>{2, 1, 1});
    CHECK(s.guard->stats().max_limit == max_limit);
}

TEST_CASE("A reset gives each part its first limit back") {
    at_nine set_clock;
    split_guard<flowguard::aimd_strategy, manual_clock> guard{2, flowguard::aimd_strategy{8}, {.min_window = 1}};
    for (std::size_t i = 0; i < 2; ++i)
        for (int n = 0; n < 100; ++n)
            guard.part(i).try_acquire().drop();
    CHECK(guard.current_limit() < 8);
    guard.reset();
    CHECK(limits_of(guard) == std::vector<std::size_t>{4, 4});
}

TEST_CASE("All parts are closed and reopened together, and a context's waiters are cancelled in all of them") {
    scene s;
    s.guard->part(1).close();
    CHECK_FALSE(s.guard->is_closed());
    s.guard->close();
    CHECK(s.guard->is_closed());
    for (std::size_t i = 0; i < 3; ++i)
        CHECK_FALSE(s.guard->part(i).try_acquire());
    s.guard->reopen();
    CHECK_FALSE(s.guard->is_closed());

    std::vector<ticket> all;
    int aborted = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        while (ticket t = s.guard->part(i).try_acquire())
            all.push_back(std::move(t));
        s.guard->part(i).async_acquire(
            [&](error_code e, const ticket&) { aborted += e == asio::error::operation_aborted ? 1 : 0; });
    }
    CHECK(s.guard->waiting() == 3);
    s.guard->cancel_waiting(s.context);
    poll(s.context);
    CHECK(aborted == 3);
    CHECK(all.size() == 4);
}

TEST_CASE("A drain completes once, when all parts are empty, and serves those who wait") {
    scene s;
    const auto running = start(s.context, s.guard->part(0).run(held(s.g, 1)));
    const auto second = start(s.context, s.guard->part(2).run(held(s.g, 2)));
    poll(s.context);
    const auto waiting = start(s.context, s.guard->part(2).run(held(s.g, 3)));
    poll(s.context);
    const auto end = drain(*s.guard);
    CHECK(s.guard->is_closed());
    for (int left = 3; left > 0; --left) {
        poll(s.context);
        CHECK(end->times == 0);
        s.g.let_one();
    }
    poll(s.context);
    CHECK(running->succeeded());
    CHECK(second->succeeded());
    CHECK(waiting->succeeded());
    CHECK(end->succeeded());
    CHECK(s.guard->is_idle());
}

TEST_CASE("The drain of an idle split guard ends soon, but not from inside async_drain") {
    scene s;
    const auto end = drain(*s.guard);
    CHECK(end->times == 0);
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A coroutine waits for the drain of all parts") {
    scene s;
    ticket holder = s.guard->part(1).try_acquire();
    const auto end = start(s.context, s.guard->async_drain(asio::use_awaitable));
    poll(s.context);
    CHECK_FALSE(end->done);
    holder.success();
    poll(s.context);
    CHECK(end->succeeded());
}

TEST_CASE("A drain of all parts times out once") {
    scene s;
    const ticket first = s.guard->part(0).try_acquire();
    const ticket second = s.guard->part(1).try_acquire();
    const auto end = drain(*s.guard, {.timeout = 5s});
    pass(s.context, 4s);
    CHECK(end->times == 0);
    pass(s.context, 1s);
    CHECK(end->ended_with(error::drain_timeout));
}

TEST_CASE("The cancellation of a drain, reopen() and destruction reach all parts") {
    scene s;
    const ticket first = s.guard->part(0).try_acquire();
    const ticket second = s.guard->part(1).try_acquire();
    asio::cancellation_signal signal;
    const auto cancelled = drain(*s.guard, {}, signal.slot());
    poll(s.context);
    signal.emit(asio::cancellation_type::terminal);
    poll(s.context);
    CHECK(cancelled->ended_with(asio::error::operation_aborted));
    CHECK(s.guard->is_closed());
    signal.emit(asio::cancellation_type::terminal); // too late: it has no effect

    const auto reopened = drain(*s.guard);
    s.guard->reopen();
    poll(s.context);
    CHECK(reopened->ended_with(asio::error::operation_aborted));

    const auto destroyed = drain(*s.guard);
    s.guard.reset();
    poll(s.context);
    CHECK(destroyed->ended_with(asio::error::operation_aborted));
}

TEST_CASE("An observer that cancels a drain as it starts cancels it in all parts") {
    asio::cancellation_signal signal;
    scene s{{.on_rejection = [&](flowguard::rejection) { signal.emit(asio::cancellation_type::terminal); }}};
    const ticket runs_in_last = s.guard->part(2).try_acquire();
    const ticket runs_in_middle = s.guard->part(1).try_acquire();
    const auto waits_in_middle = start(s.context, s.guard->part(1).run(nothing()));
    poll(s.context);
    const auto cancelled = drain(*s.guard, {.serves_waiting = false}, signal.slot());
    poll(s.context);
    CHECK(waits_in_middle->code() == error::closed); // and the observer was told
    CHECK(cancelled->ended_with(asio::error::operation_aborted));
}

TEST_CASE("A drain whose context is destroyed is destroyed uncalled") {
    const auto watched = std::make_shared<int>(0);
    std::optional<asio::io_context> context;
    context.emplace();
    fixed_split guard{context->get_executor(), 2, fixed_limit{2}};
    const ticket holder = guard.part(1).try_acquire();
    guard.async_drain([watched](error_code) { ++*watched; });
    context->poll();
    CHECK(watched.use_count() == 2);
    context.reset();
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 0);
}

TEST_CASE("A split guard without an executor drains only for handlers that have one") {
    fixed_split guard{2, fixed_limit{2}};
    CHECK(error_of([&] { guard.async_drain([](error_code) {}); }) ==
          "flowguard: a handler without an associated executor, or with one that takes no posts, needs a guard that "
          "was made with an executor");
    CHECK_FALSE(guard.is_closed());
    asio::io_context context;
    int times = 0;
    guard.async_drain(asio::bind_executor(context, [&](error_code e) { times += e ? 10 : 1; }));
    context.run();
    CHECK(times == 1);
}
