// lab_server_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The servers of the lab: workers with a queue, a server that all requests share, and their stalls.

#include "lab/scenario.hpp"
#include "lab/server.hpp"
#include "support/random_numbers.hpp"
#include "theory.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using lab::recurring;
using lab::scenario;
using lab::spread;

// Keeps `n` requests in service until so many have completed. Returns the completions per second.
double throughput_at(lab::server& s, std::size_t n, std::size_t completions, support::random_numbers& random,
                     spread how) {
    double now = 0;
    for (std::size_t i = 0; i < n; ++i)
        s.start(i, 0, lab::draw(how, random));
    for (std::size_t i = 0; i < completions; ++i) {
        now = s.next_completion();
        const std::size_t done = s.complete();
        s.start(done, now, lab::draw(how, random));
    }
    return static_cast<double>(completions) / now;
}

TEST_CASE("A sharing server's throughput follows the Universal Scalability Law") {
    const std::size_t n = GENERATE(as<std::size_t>{}, 1, 5, 21, 100);
    const auto [contention, coherence] = GENERATE(std::pair{0.05, 0.0}, std::pair{0.1, 0.002}, std::pair{0.05, 0.02});
    const double expected = usl(static_cast<double>(n), contention, coherence);
    support::random_numbers random(1);
    lab::sharing_server random_times(contention, coherence, {});
    CHECK(throughput_at(random_times, n, 40'000, random, spread::exponential) == Approx(expected).epsilon(0.03));
    lab::sharing_server fixed_times(contention, coherence, {});
    CHECK(throughput_at(fixed_times, n, 100 * n, random, spread::fixed) == Approx(expected).epsilon(1e-9));
}

TEST_CASE("A scenario's capacity is the highest throughput of its sharing server") {
    scenario s;
    s.service = 0.01;
    s.contention = 0.1;
    s.coherence = 0.002;
    CHECK(s.best_concurrency() == Approx(21.2132));
    CHECK(s.capacity(0) == Approx(100 * usl(21.2132, 0.1, 0.002)));
    CHECK(s.capacity(0, 2) == Approx(s.capacity(0) / 2));
    for (double n = 1; n < 100; ++n)
        CHECK(100 * usl(n, 0.1, 0.002) <= s.capacity(0));
    s.contention = s.coherence = 0;
    CHECK(s.capacity(40, 4) == Approx(1000));
}

TEST_CASE("A sharing server without coherence does no more than its capacity") {
    scenario s;
    s.contention = 0.05;
    CHECK(100 * usl(400, 0.05, 0) <= s.capacity(0));
}

TEST_CASE("A sharing server completes the request with the least work left, and is slower the more requests it has") {
    lab::sharing_server s(1, 0, {}); // n times slower with n
    CHECK(s.next_completion() == lab::server::never);
    s.start(1, 0, 2);
    CHECK(s.next_completion() == Approx(2));
    s.start(2, 1, 0.25); // 1 has 1 s left
    CHECK(s.next_completion() == Approx(1.5));
    s.start(3, 1.25, 3); // 2 has 0.125 left
    CHECK(s.next_completion() == Approx(1.625));
    CHECK(s.complete() == 2); // overtakes 1
    CHECK(s.next_completion() == Approx(1.625 + 2 * 0.75)); // 1 has had 1 + 0.125 + 0.125
    CHECK(s.complete() == 1);
    CHECK(s.next_completion() == Approx(3.125 + 3 - 0.125 - 0.75));
    CHECK(s.complete() == 3);
    CHECK(s.next_completion() == lab::server::never);
    s.start(4, 100, 1); // idle until then
    CHECK(s.next_completion() == Approx(101));
}

TEST_CASE("Requests that share processors are as fast as with one each, until there are too few") {
    lab::sharing_server s(0, 0, {}, true);
    s.begin({.workers = 2}, 0);
    s.start(1, 0, 1);
    s.start(2, 0, 2);
    CHECK(s.next_completion() == Approx(1));
    s.start(3, 0.5, 4); // 1 has 0.5 s left; each gets two thirds of a processor
    CHECK(s.next_completion() == Approx(1.25));
    CHECK(s.complete() == 1);
    CHECK(s.next_completion() == Approx(2.25)); // 2 has had 0.5 + 0.5
    s.begin({.workers = 1}, 1.25); // each gets half of the only one
    CHECK(s.next_completion() == Approx(3.25));
}

// The mean does not depend on the spread of the service times. L. Kleinrock: Time-shared Systems: a Theoretical
// Treatment. Journal of the ACM 14(2), 1967.
TEST_CASE("One shared processor at a load of 0.8 takes five times as long, however the service times spread") {
    const spread how = GENERATE(spread::fixed, spread::exponential);
    lab::sharing_server s(0, 0, {}, true);
    s.begin({.workers = 1}, 0);
    support::random_numbers random(1);
    std::vector<double> began;
    double next_arrival = 0, sum = 0;
    std::size_t done = 0;
    while (done < 200'000) {
        if (next_arrival < s.next_completion()) {
            s.start(began.size(), next_arrival, lab::draw(how, random));
            began.push_back(next_arrival);
            next_arrival += 1.25 * lab::draw(spread::exponential, random);
        } else {
            const double now = s.next_completion();
            sum += now - began[s.complete()];
            ++done;
        }
    }
    CHECK(sum / static_cast<double>(done) == Approx(5).epsilon(0.05));
}

TEST_CASE("The capacity of shared processors is that of as many workers") {
    scenario s;
    s.service = 0.01;
    s.shares_processors = true;
    CHECK(s.capacity(2) == Approx(200));
    CHECK(s.capacity(2, 4) == Approx(50));
}

TEST_CASE("A queueing server serves first come, first served") {
    lab::queueing_server s({});
    s.begin({.workers = 2}, 0);
    CHECK(s.next_completion() == lab::server::never);
    s.start(1, 0, 5);
    s.start(2, 0, 1);
    s.start(3, 0.5, 1); // starts when 2 is done, at 1
    s.start(4, 0.5, 1); // starts when 3 is done, at 2
    s.start(5, 0.5, 9); // starts when 4 is done, at 3
    for (const auto& [request, at] : {std::pair{2, 1.0}, {3, 2.0}, {4, 3.0}, {1, 5.0}, {5, 12.0}}) {
        CHECK(s.next_completion() == Approx(at));
        CHECK(s.complete() == static_cast<std::size_t>(request));
    }
}

TEST_CASE("A phase changes the number of a server's workers") {
    lab::queueing_server s({});
    s.begin({.workers = 1}, 0);
    s.begin({.workers = 2}, 10);
    s.start(1, 10, 1);
    s.start(2, 10, 1);
    CHECK(s.next_completion() == Approx(11));
    s.complete();
    CHECK(s.next_completion() == Approx(11));
    s.complete();
    s.begin({.workers = 1}, 20);
    s.start(3, 20, 1);
    s.start(4, 20, 1);
    s.complete();
    CHECK(s.next_completion() == Approx(22));
}

TEST_CASE("New workers take requests from the queue") {
    lab::queueing_server s({});
    s.begin({.workers = 1}, 0);
    s.start(1, 0, 10);
    s.start(2, 0, 10);
    s.begin({.workers = 2}, 1);
    s.start(3, 2, 1);
    CHECK(s.complete() == 1); // at 10
    CHECK(s.next_completion() == Approx(11)); // request 2, in service since 1
    CHECK(s.complete() == 2);
    CHECK(s.next_completion() == Approx(11)); // request 3, in service after request 1
}

TEST_CASE("Workers that are removed leave the queue to the others") {
    lab::queueing_server s({});
    s.begin({.workers = 2}, 0);
    for (std::size_t request = 1; request <= 4; ++request)
        s.start(request, 0, 10);
    s.begin({.workers = 1}, 1);
    s.complete();
    s.complete(); // both at 10, because requests in service are finished
    CHECK(s.next_completion() == Approx(20));
    s.complete();
    CHECK(s.next_completion() == Approx(30));
}

// ---- Stalls ----

TEST_CASE("The two directions between time and working time are inverse") {
    const lab::working_time stalled({.every = 4, .lasts = 1});
    CHECK(stalled.at(0) == 0);
    CHECK(stalled.at(2.5) == 2.5);
    CHECK(stalled.at(3) == 3);
    CHECK(stalled.at(3.7) == 3); // within a stall
    CHECK(stalled.at(4) == 3);
    CHECK(stalled.at(9) == 7);
    CHECK(stalled.when(0) == 0);
    CHECK(stalled.when(2.5) == 2.5);
    CHECK(stalled.when(3) == 3); // the earliest time with this working time
    CHECK(stalled.when(3.5) == 4.5);
    CHECK(stalled.when(7) == 9);

    support::random_numbers random(1);
    for (int i = 0; i < 10'000; ++i) {
        const recurring stalls{.every = random.between(0.1, 10), .lasts = 0.1 * random.uniform()};
        const lab::working_time time(stalls);
        const double t = 100 * random.uniform();
        CHECK(time.at(time.when(t)) == Approx(t));
        if (!stalls.at(t))
            CHECK(time.when(time.at(t)) == Approx(t));
        CHECK(time.at(t) <= t);
        CHECK(time.when(t) >= t);
    }
    const lab::working_time always({});
    CHECK(always.at(5) == 5);
    CHECK(always.when(5) == 5);
}

} // namespace
