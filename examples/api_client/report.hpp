// report.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_REPORT_HPP
#define API_CLIENT_REPORT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <vector>

#include "flaky_api.hpp"
#include "load.hpp"
#include "schedule.hpp"

namespace api_client {

inline void print_header() {
    std::printf("%-24s %9s %6s %6s %10s %9s %8s %6s %6s\n", "", "offered/s", "ok/s", "ok", "attempts /", "API got",
                "wasted", "p99", "limit");
    std::printf("%-24s %9s %6s %6s %10s %9s %8s %6s %6s\n", "", "", "", "", "request", "/s", "", "ms", "");
}

/// Prints one line for each phase: what became of the requests that were sent in it, and what the API had to do in it.
/// "Wasted" is the share of the API's work whose answers came too late. The p99 is that of successful requests.
inline void print_phases(const char* name, const observations& seen, const std::vector<arrival>& plan,
                         const flaky_api& api, seconds phase_length) {
    std::printf("%s\n", name);
    for (std::size_t p = 0; p < phases.size(); ++p) {
        double sent = 0, attempts = 0;
        std::vector<double> latencies;
        for (std::size_t i = 0; i < plan.size(); ++i) {
            if (plan[i].phase != p)
                continue;
            const record& r = seen.records[i];
            ++sent;
            attempts += r.outcome.attempts;
            if (r.outcome.ok())
                latencies.push_back(r.latency.count() * 1000);
        }
        const auto ok = static_cast<double>(latencies.size());
        const auto served = static_cast<double>(api.served(p));
        std::printf("  %-22s %9.0f %6.0f %4.0f %% %10.2f %9.0f %6.0f %%", phases[p].name, sent / phase_length.count(),
                    ok / phase_length.count(), 100 * ok / std::max(sent, 1.0), attempts / std::max(sent, 1.0),
                    static_cast<double>(api.received(p)) / phase_length.count(),
                    100 * std::max(0.0, 1 - ok / std::max(served, 1.0)));
        if (latencies.empty()) {
            std::printf(" %6s", "-");
        } else {
            const auto nth = latencies.begin() + static_cast<std::ptrdiff_t>((latencies.size() * 99 - 1) / 100);
            std::nth_element(latencies.begin(), nth, latencies.end());
            std::printf(" %6.0f", *nth);
        }
        // The mean limit in the last third of the phase. A single reading could fall into one of the guard's probes.
        const auto& limits = seen.limits[p];
        const auto last = limits.end() - static_cast<std::ptrdiff_t>(limits.size() / 3);
        const std::size_t limit = std::accumulate(last, limits.end(), std::size_t{0});
        if (limit == 0)
            std::printf(" %6s\n", "none");
        else
            std::printf(" %6.0f\n", static_cast<double>(limit) / static_cast<double>(limits.end() - last));
    }
    std::fflush(stdout);
}

/// Checks that hold however busy the machine is.
class audit {
public:
    explicit audit(const char* of) : of_(of) {}

    void expect(bool holds, const char* what) {
        if (!holds)
            std::printf("%s: WRONG: %s\n", of_, what);
        all_hold_ = all_hold_ && holds;
    }

    bool all_hold() const { return all_hold_; }

private:
    const char* of_;
    bool all_hold_ = true;
};

} // namespace api_client

#endif
