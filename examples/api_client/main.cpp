// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <flowguard.hpp>

#include "client.hpp"
#include "flaky_api.hpp"
#include "load.hpp"
#include "options.hpp"
#include "report.hpp"
#include "retry_budget.hpp"
#include "schedule.hpp"
#include "support/no_guard.hpp"
#include "support/run_main.hpp"

namespace api_client {

using namespace std::chrono_literals;

constexpr double load_factor = 0.7; // of the healthy API's capacity
constexpr auto timeout = 1500ms;   // how long a user waits
constexpr double budget_share = 0.15;
constexpr unsigned budget_minimum = 5, budget_saved = 20;

// To be called after the load has ended, when the counters no longer change.
void check_requests(audit& a, const observations& seen, const client_counters& c, const flaky_api& api) {
    std::uint64_t once = 0, attempts = 0, ok = 0, received = 0, served = 0;
    for (const record& r : seen.records) {
        once += r.ends == 1 && (r.outcome.ok() || r.outcome.error || r.outcome.answer.status >= 300);
        attempts += r.outcome.attempts;
        ok += r.outcome.ok();
    }
    for (std::size_t p = 0; p < phases.size(); ++p) {
        received += api.received(p);
        served += api.served(p);
    }
    a.expect(once == seen.records.size() && c.requests == once, "each request succeeded or failed, exactly once");
    a.expect(attempts == c.attempts, "the attempts of the requests add up to those of the client");
    a.expect(c.answered + c.overloaded + c.broken == c.attempts, "each attempt ended in exactly one way");
    a.expect(c.attempts + c.rejected == c.requests + c.retries, "each intended attempt was made or rejected");
    a.expect(c.answered == ok, "no answer was lost or retried");
    a.expect(received <= c.attempts && c.answered + c.overloaded <= received,
             "the API received no more than was sent, and answered no more than it received");
    a.expect(ok <= served, "the API served each request that succeeded");
}

void check_guard(audit& a, const flowguard::flow_guard<>& guard, const client_counters& c) {
    const flowguard::guard_stats s = guard.stats();
    a.expect(s.in_flight == 0 && s.waiting == 0 && guard.available_permits() == guard.current_limit(),
             "every permit is back");
    a.expect(s.admitted == c.attempts, "the guard admitted each attempt");
    a.expect(s.succeeded == c.answered && s.dropped == c.overloaded + c.broken && s.ignored == 0,
             "the guard knows how each attempt ended");
    a.expect(s.shed + s.timed_out == c.rejected && s.cancelled + s.closed + s.bypassed == 0,
             "the guard and the client count the same rejections");
}

class experiment {
public:
    explicit experiment(const options& chosen)
        : phase_length_(chosen.seconds),
          seed_(chosen.seed),
          plan_(arrivals(load_factor * conditions{}.capacity(), phase_length_, chosen.seed)) {
        std::printf("%.0f requests/s, of users who wait for %.0f ms at most; the API: %zu workers, %.0f requests/s "
                    "when healthy\n\n",
                    load_factor * conditions{}.capacity(), seconds(timeout).count() * 1000, conditions{}.workers,
                    conditions{}.capacity());
        print_header();
    }

    bool run_naive() {
        support::no_guard none;
        const client_options at_once{.wait = {}, .heeds_retry_after = false};
        return run("naive: retries at once", none, at_once, [] { return std::size_t{0}; }, [](auto&&...) {});
    }

    bool run_with_budget() {
        support::no_guard none;
        retry_budget budget(budget_share, budget_minimum, budget_saved);
        return run("jitter and budget", none, {.budget = &budget}, [] { return std::size_t{0}; }, [](auto&&...) {});
    }

    bool run_with_guard() {
        retry_budget budget(budget_share, budget_minimum, budget_saved);
        flowguard::flow_guard guard{flowguard::vegas_strategy{}};
        return run(
            "guard, jitter and budget", guard, {.budget = &budget}, [&] { return guard.current_limit(); },
            [&](audit& a, const client_counters& c) { check_guard(a, guard, c); });
    }

private:
    template <class Guard, class Limit, class Check>
    bool run(const char* name, Guard& guard, const client_options& how, Limit limit, Check check) {
        flaky_api api(phases.front().api, phases.size(), seed_);
        asio::io_context context(2);
        client<Guard> sender(context, api.endpoint(), guard, how, seed_);
        const observations seen = load<Guard>(context, sender, api, limit, plan_, phase_length_, timeout).run();
        print_phases(name, seen, plan_, api, phase_length_);

        audit a(name);
        check_requests(a, seen, sender.counters(), api);
        if (how.budget != nullptr) {
            const auto length = std::chrono::duration_cast<clock::duration>(seen.length);
            a.expect(static_cast<double>(sender.counters().retries) <=
                         how.budget->most_retries(sender.counters().requests, length),
                     "the retries were within the budget");
        }
        check(a, sender.counters());
        return a.all_hold();
    }

    const seconds phase_length_;
    const std::uint64_t seed_;
    const std::vector<arrival> plan_; // the same for all clients
};

bool run_all(const options& chosen) {
    experiment e(chosen);
    const bool naive = e.run_naive();
    const bool budget = e.run_with_budget();
    const bool guard = e.run_with_guard();
    if (naive && budget && guard)
        std::printf("\ncounters   agree: each request, attempt, retry and permit is counted exactly once\n");
    return naive && budget && guard;
}

} // namespace api_client

int main(int argc, char** argv) {
    return support::run_main("api_client", api_client::help_text, argc, argv, api_client::parse_options,
                             [](const api_client::options& chosen) { return api_client::run_all(chosen); });
}
