// ways_to_use.cpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The other ways to use FlowGuard, beside basic_usage.cpp: shedding, tickets, the semaphore, and a
// strategy of your own.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

using namespace std::chrono_literals;

struct halve_on_drops {
    std::size_t limit = 10;
    std::size_t current_limit() const { return limit; }
    std::size_t update(const flowguard::window& w) {
        return limit = w.dropped > 0 ? std::max<std::size_t>(limit / 2, 1) : limit + 1;
    }
};

flowguard::any_strategy strategy_by_name(const std::string& name) {
    if (name == "vegas")
        return flowguard::vegas_strategy{};
    if (name == "aimd")
        return flowguard::aimd_strategy{flowguard::aimd_options{.rtt_limit = 200ms}};
    throw std::invalid_argument("strategy is " + name + ", must be vegas or aimd");
}

asio::awaitable<int> query_database() { // stands for anything that takes a while
    asio::steady_timer database(co_await asio::this_coro::executor, std::chrono::milliseconds(10));
    co_await database.async_wait(asio::use_awaitable);
    co_return 1;
}

asio::awaitable<int> query(std::string statement) {
    std::cout << statement << '\n';
    co_return co_await query_database();
}

asio::awaitable<void> insert(std::vector<std::string> rows) {
    std::cout << rows.size() << " rows\n";
    co_await query_database();
}

asio::awaitable<void> watch_for_changes() { // stands for a stream that ends when its client goes
    co_await query_database();
}

struct reply {
    unsigned status = 0;
    std::string body;
};

asio::awaitable<reply> get_orders() { // stands for a client of HTTP
    co_await query_database();
    co_return reply{200, "two orders"};
}

template <class Callback>
void start_query(asio::io_context& context, Callback callback) { // stands for a library with callbacks
    auto timer = std::make_shared<asio::steady_timer>(context, std::chrono::milliseconds(10));
    timer->async_wait([timer, callback = std::move(callback)](asio::error_code error) mutable { callback(!error); });
}

// A query that is under way. It knows neither its guard nor a strategy.
struct pending_query {
    flowguard::ticket ticket;
    std::string statement;

    void ended(bool ok) { ok ? ticket.success() : ticket.drop(); }
};

void keep_tickets() {
    flowguard::flow_guard reads{flowguard::vegas_strategy{}};
    flowguard::flow_guard writes{flowguard::fixed_limit{2}};
    std::vector<pending_query> pending;
    pending.push_back({reads.try_acquire(), "select 1"});
    pending.push_back({writes.try_acquire(), "delete from old_orders"});
    pending.front().ended(true); // releases its permit; the guard of reads has a sample
    pending.clear(); // releases the other permit; to the guard of writes, the query counts as ignored
}

asio::awaitable<void> answer(flowguard::flow_guard<halve_on_drops>& guard) {
    if (auto rows = co_await guard.try_run([] { return query_database(); }))
        std::cout << *rows << " rows\n";
    else
        std::cout << "503 Service Unavailable\n";
}

asio::awaitable<void> answer_cheaply(flowguard::flow_guard<halve_on_drops>& guard) {
    auto [error, rows] = co_await guard.run_as_tuple(query_database());
    if (error) // error::shed, for example: the query was not made
        std::cout << "503 " << error.message() << '\n';
    else
        std::cout << *rows << " rows\n";
}

asio::awaitable<void> with_arguments() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    const int rows = co_await guard.run(query, std::string("select * from orders"));
    std::cout << rows << " rows\n";
}

asio::awaitable<void> bounded() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, {.max_waiters = 100, .max_wait = 50ms}};
    const auto deadline = std::chrono::steady_clock::now() + 200ms;
    try {
        co_await guard.run(query_database(), {.deadline = deadline});
    } catch (const asio::system_error& e) { // error::shed or error::wait_timeout, or what the task threw
        std::cout << "503 " << e.what() << '\n';
    }
}

asio::awaitable<void> in_a_batch() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, flowguard::guard_options::for_batch()};
    co_await guard.run(query_database()); // waits for as long as it takes
}

asio::awaitable<void> with_timeout() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, {.timeout = 30ms}};
    auto [error, rows] = co_await guard.run_as_tuple(query_database());
    if (error == flowguard::error::task_timeout)
        std::cout << "504 " << error.message() << '\n';
    co_await guard.run(query_database(), {.timeout = 1s}); // this call may take longer
}

asio::awaitable<void> by_status_of_reply() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    const auto by_status = flowguard::by_http_status(&reply::status); // 429, 502, 503 and 504 are drops
    co_await guard.run(get_orders(), by_status);
    co_await guard.run(get_orders(), flowguard::run_options{.timeout = 1s, .classify = by_status});
}

asio::awaitable<void> by_importance() {
    enum partition { users, batch_jobs };
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, {.max_waiters = 100, .partitions = {0.8, 0.2}}};
    co_await guard.run(query_database(), {.priority = flowguard::priority::critical_plus, .partition = users});
    co_await guard.run(query_database(), {.priority = flowguard::priority::sheddable, .partition = batch_jobs});
}

asio::awaitable<void> of_a_tenant(std::uint64_t tenant) {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    co_await guard.run(query_database(), {.flow = tenant});
}

asio::awaitable<void> of_different_cost() {
    enum kind { lookups, reports };
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    co_await guard.run(query, std::string("select 1")); // of kind 0, as lookups
    co_await guard.run({.kind = reports}, query, std::string("select * from orders"));
}

asio::awaitable<void> of_several_permits() {
    const std::vector<std::string> rows(50, "an order");
    flowguard::flow_guard guard{flowguard::vegas_strategy{}};
    co_await guard.run(insert(rows), {.permits = rows.size()}); // holds 50 permits while it runs
}

asio::awaitable<void> beside_the_limit() {
    flowguard::flow_guard guard{flowguard::vegas_strategy{}, {.max_long_lived = 1000}};
    co_await guard.run(watch_for_changes(), {.long_lived = true});
}

asio::awaitable<void> configured(std::string name) {
    flowguard::flow_guard guard{strategy_by_name(name)}; // a flow_guard<any_strategy>
    co_await guard.run(query_database());
}

void in_an_incident(flowguard::flow_guard<halve_on_drops>& guard) {
    guard.pin_limit(30); // at once, whatever the strategy wants, also if no task ends any more
    guard.unpin_limit(); // back to the strategy's limit
    guard.set_limit_bounds(5, 50); // from now on, the strategy's limit is kept between 5 and 50
    guard.reset(); // forgets what was learnt, because another service has taken this one's place
}

void print(const flowguard::flow_guard<halve_on_drops>& guard) {
    for (const flowguard::limit_decision& decision : guard.trace())
        std::cout << to_string(decision) << '\n'; // "12.345 s: 20 -> 40, quick start: no queue yet; 100 samples, ..."
    const flowguard::named_stats all[] = {{"database", guard.stats()}}; // one row for each guard
    std::cout << flowguard::prometheus_text(all);
}

asio::awaitable<int> fetch(std::string host, std::string path) { // stands for a client of HTTP
    std::cout << host << path << '\n';
    co_await query_database();
    co_return 200;
}

asio::awaitable<void> crawl(flowguard::guard_registry<std::string>& guards, std::string host) {
    const int status = co_await guards.get(host)->run(fetch, host, std::string("/index.html"));
    std::cout << status << '\n';
}

std::string metrics_of(const flowguard::guard_registry<std::string>& guards) {
    const auto stats = guards.stats();
    std::vector<flowguard::named_stats> all{{"all others", stats.others}};
    for (const auto& [host, of_host] : stats.named)
        all.push_back({host, of_host});
    return flowguard::prometheus_text(all);
}

int main() {
    asio::io_context context;
    flowguard::flow_guard guard{halve_on_drops{2}};
    for (int i = 0; i < 3; ++i)
        asio::co_spawn(context, answer(guard), asio::detached);
    asio::co_spawn(context, answer_cheaply(guard), asio::detached);
    context.run();

    if (auto ticket = guard.try_acquire())
        start_query(context, [ticket = std::move(ticket)](bool ok) mutable { ok ? ticket.success() : ticket.drop(); });
    keep_tickets();

    flowguard::dynamic_semaphore connections{context, 10};
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            flowguard::permit p = co_await connections.acquire(); // is released at the end of the scope
            co_await query_database();
        },
        asio::detached);
    connections.set_limit(4); // at once: no caller is admitted until fewer than four are in flight

    asio::co_spawn(context, with_arguments(), asio::detached);
    asio::co_spawn(context, bounded(), asio::detached);
    asio::co_spawn(context, in_a_batch(), asio::detached);
    asio::co_spawn(context, with_timeout(), asio::detached);
    asio::co_spawn(context, by_status_of_reply(), asio::detached);
    asio::co_spawn(context, by_importance(), asio::detached);
    asio::co_spawn(context, of_a_tenant(7), asio::detached);
    asio::co_spawn(context, of_different_cost(), asio::detached);
    asio::co_spawn(context, of_several_permits(), asio::detached);
    asio::co_spawn(context, beside_the_limit(), asio::detached);

    asio::co_spawn(context, configured("aimd"), asio::detached);

    flowguard::guard_registry<std::string> guards{
        flowguard::vegas_strategy{}, {.max_wait = 100ms}, {.max_guards = 500}};
    asio::co_spawn(context, crawl(guards, "example.com"), asio::detached);
    asio::co_spawn(context, crawl(guards, "example.org"), asio::detached);
    in_an_incident(guard);
    context.restart();
    context.run();
    std::cout << guard.stats().succeeded << " succeeded, " << guard.stats().shed << " shed, "
              << connections.available_permits() << " connections free\n"
              << metrics_of(guards);
    print(guard);
}
