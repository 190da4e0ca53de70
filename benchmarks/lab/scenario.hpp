// scenario.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SCENARIO_HPP
#define LAB_SCENARIO_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "support/random_numbers.hpp"

namespace lab {

/// How the service times of a server are spread. Times are in seconds throughout.
enum class spread : std::uint8_t {
    fixed,
    exponential,
    lognormal,  // with a coefficient of variation of 1.5
    bimodal,    // 9 of 10 take 0.37 × the mean, the others 6.67 ×
    two_classes, // every other request takes 50 × as long
    tail // one of 100 takes 200 × as long
};

/// A service time, with a mean of 1.
inline double draw(spread s, support::random_numbers& random) {
    switch (s) {
    case spread::fixed:
        break;
    case spread::exponential:
        return random.exponential();
    case spread::lognormal: {
        const double variance = std::log(1 + 1.5 * 1.5);
        return std::exp(random.normal() * std::sqrt(variance) - variance / 2);
    }
    case spread::bimodal:
        return random.uniform() < 0.9 ? 0.37 : 6.67;
    case spread::two_classes:
        return (random.uniform() < 0.5 ? 1 : 50) / 25.5;
    case spread::tail:
        return (random.uniform() < 0.99 ? 1 : 200) / 2.99;
    }
    return 1;
}

/// Something that happens again and again, for a while each time.
struct recurring {
    double every = 0; // 0: never
    double lasts = 0;

    bool at(double time) const { return every > 0 && std::fmod(time, every) >= every - lasts; }
};

/// What a rejected caller does.
enum class rejected_callers : std::uint8_t { leave, retry, wait };

/// A phase lasts from one change of the server or of the load to the next.
struct phase {
    double length = 0;    // seconds
    double rate = 0;      // requests offered per second, all guards together
    double workers = 0;   // of a queue
    double slowdown = 1;  // of all service times
    std::size_t guards = 1; // how many guards offer requests, all alike
    std::vector<double> shares{}; // of the requests that each of scenario::kinds has; their sum is 1
};

/// A server, its callers, and what happens to them.
struct scenario {
    std::string name;
    std::string family;

    double service = 0.01; // mean service time, seconds
    spread services = spread::exponential;

    // Kinds of requests: how long each takes, relative to the others. In each phase, the mean of all requests is the
    // mean service time, `service` × phase::slowdown, whatever the shares of the kinds. Empty: there is one kind.
    std::vector<double> kinds;
    bool kinds_are_told = true; // to limiters

    // If both are 0, requests queue for `workers`, first come, first served. Otherwise all requests in service share
    // the server and slow each other down, after N. Gunther's Universal Scalability Law: with n of them, each takes
    // 1 + contention · (n − 1) + coherence · n · (n − 1) times as long.
    double contention = 0;
    double coherence = 0;

    // All requests in service share `workers` processors, each of which serves one request at a time: with n of them,
    // each takes n / workers times as long, and at least 1. This is on top of contention and coherence.
    bool shares_processors = false;

    // A server that takes requests in batches, as many as wait and at most so many: a batch takes `batch_base`, and
    // `batch_each` for each request in it. 0: it takes them one by one.
    std::size_t batch = 0;
    double batch_base = 0;
    double batch_each = 0;

    // A refusal is an answer such as 503 or 429, after `refusal_time`. The server refuses every request in `outages`,
    // requests beyond so many a second, and requests while so many are in service; 0: it does not.
    recurring outages;
    double rate_limit = 0;
    std::size_t service_limit = 0;
    double refusal_time = 0.002;

    // Calls that the guard guards as well, and that are not counted among the requests: for each request so many that
    // are ignored (such as 401) after `ignored_time`, and long-lived calls, such as watches, of which so many are open
    // if none is rejected.
    double ignored = 0;
    double ignored_time = 0.001;
    double watches = 0;
    double watch_time = 60;

    // Each guard has a pool of connections. A request that finds none idle opens one, which takes the server so long. A
    // connection that nobody used for `keep_alive` is closed. 0: there are none to open.
    double connect = 0;
    double keep_alive = 10;

    // The second half of the guards is far from the server: their requests are on the network for so many seconds more.
    // The RTTs in the record are without that time, so that the scores tell what the server did.
    double distance = 0;

    // The first guard has this static limit, whatever the strategy of the others is. 0: it is like the others.
    std::size_t static_limit = 0;

    // The share of the requests that the first guard has. The others have equal shares of the rest. 0: all are equal.
    double first_demand = 0;

    // The server has a guard of its own, with the strategy of the others, behind their guards. It rejects a request
    // beyond its limit after `refusal_time`. The guard in front counts that as a drop, or ignores it.
    bool inner_guard = false;
    bool inner_rejections_are_ignored = false;

    // A service that a request passes on its way to the server, and before the server's own guard: it queues there for
    // `front_workers`, each of which takes `front_service` on average. The service times are exponential. A request
    // that has moved on to the server holds no worker of the service in front. 0: there is none.
    double front_workers = 0;
    double front_service = 0;

    bool compares_guards = false; // whether the scores tell what each guard gets

    double downstream = 0; // seconds after the service, in which the request holds no worker
    recurring stalls; // in which nothing is served
    recurring pulses; // of load
    double pulse_factor = 1; // times the load, in a pulse
    double swing = 0; // share of the load by which it rises and falls, once in `swing_period`
    double swing_period = 1;
    double time_out = 0; // seconds, in line and again in service, after which a caller gives up; the work goes on
    rejected_callers rejected = rejected_callers::leave;

    std::size_t initial_limit = 0; // of the strategies; 0: their own, or 20 if they have none
    std::vector<phase> phases;

    double length() const {
        double sum = 0;
        for (const phase& p : phases)
            sum += p.length;
        return sum;
    }

    std::size_t guards() const {
        std::size_t most = 1;
        for (const phase& p : phases)
            most = std::max(most, p.guards);
        return most;
    }

    /// How long the requests of a guard are on the network.
    double distance_of(std::size_t guard) const { return 2 * guard >= guards() + guards() % 2 ? distance : 0; }

    bool shares() const { return contention > 0 || coherence > 0 || shares_processors; }

    /// The number of requests in service at which a sharing server does most; infinite without coherence.
    double best_concurrency() const { return std::max(1.0, std::sqrt((1 - contention) / coherence)); }

    /// The most requests per second that can be served.
    double capacity(double workers, double slowdown = 1) const {
        double most = rate_limit > 0 ? rate_limit : std::numeric_limits<double>::infinity();
        if (front_service > 0)
            most = std::min(most, front_workers / front_service);
        if (batch > 0)
            return std::min(most, static_cast<double>(batch) / (batch_base + batch_each * static_cast<double>(batch)) /
                                      slowdown);
        if (!shares() || shares_processors)
            return std::min(most, workers / (service * slowdown));
        const double n = best_concurrency();
        const double parallel =
            coherence > 0 ? n / (1 + contention * (n - 1) + coherence * n * (n - 1)) : 1 / contention;
        return parallel / (service * slowdown);
    }

    /// How long a request of that kind takes in that phase, over the mean of all requests.
    double cost(const phase& p, std::size_t kind) const {
        return kinds[kind] / std::inner_product(kinds.begin(), kinds.end(), p.shares.begin(), 0.0);
    }

    /// The load that is offered at a time, over the rate of its phase.
    double load_factor(double time) const {
        double factor = 1;
        if (pulses.at(time))
            factor *= pulse_factor;
        if (swing > 0)
            factor *= 1 + swing * std::sin(2 * std::numbers::pi * time / swing_period);
        return factor;
    }

    bool load_varies() const { return pulses.every > 0 || swing > 0; }
    double highest_load_factor() const { return std::max(1.0, pulses.every > 0 ? pulse_factor : 1.0) * (1 + swing); }
};

} // namespace lab

#endif
