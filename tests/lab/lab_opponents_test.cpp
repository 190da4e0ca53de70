// lab_opponents_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "lab/opponents/brpc_auto.hpp"
#include "lab/opponents/envoy_gradient.hpp"
#include "lab/opponents/netflix_vegas.hpp"
#include "lab/opponents/rust_vegas.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace {

using namespace std::chrono_literals;
using lab::brpc_auto;
using lab::duration;
using lab::envoy_gradient;
using lab::limiter;
using lab::netflix_vegas;
using lab::outcome;
using lab::rust_vegas;
using lab::time_point;
using lab::virtual_clock;

void set_clock(duration since_epoch) {
    virtual_clock::set(time_point{since_epoch});
}
void pass(duration time) {
    virtual_clock::set(virtual_clock::now() + time);
}

// Admits `n` requests, which stay in flight.
std::vector<std::size_t> hold(limiter& l, int n) {
    std::vector<std::size_t> requests;
    for (int i = 0; i < n; ++i) {
        const auto request = l.try_acquire();
        REQUIRE(request);
        requests.push_back(*request);
    }
    return requests;
}

// Runs one request from its admission to its end. Returns the limit after it.
std::size_t serve(limiter& l, duration rtt, outcome how = outcome::success) {
    const auto request = l.try_acquire();
    REQUIRE(request);
    pass(rtt);
    l.finish(*request, how);
    return l.limit();
}

// Runs `n` requests one after the other. Returns the limit after them.
std::size_t serve_each(int n, limiter& l, duration rtt) {
    for (int i = 0; i < n; ++i)
        serve(l, rtt);
    return l.limit();
}

// Runs `n` requests. One is admitted every `gap`, and each takes `rtt`, a multiple of `gap`: so `rtt / gap` are in
// flight. The first `dropped` of every ten end as drops. Returns the limits after each request.
std::vector<std::size_t> stream(int n, limiter& l, duration gap, duration rtt, int dropped = 0) {
    std::vector<std::size_t> limits;
    std::deque<std::size_t> in_flight;
    const auto delay = static_cast<int>(rtt / gap);
    for (int i = 0; i < n + delay; ++i) {
        if (i > 0)
            pass(gap);
        if (i >= delay) {
            l.finish(in_flight.front(), (i - delay) % 10 < dropped ? outcome::dropped : outcome::success);
            in_flight.pop_front();
            limits.push_back(l.limit());
        }
        if (i < n) {
            const auto request = l.try_acquire();
            REQUIRE(request);
            in_flight.push_back(*request);
        }
    }
    return limits;
}

} // namespace

// ---- Netflix ----

TEST_CASE("Netflix's Vegas steps by the queue of each sample") {
    netflix_vegas l{20, 1};
    CHECK(l.limit() == 20);
    hold(l, 19);
    CHECK(serve(l, 10ms) == 20); // the first sample is the baseline

    // Below a limit of 100, log10 counts as 1: threshold 1, alpha 3, beta 6.
    CHECK(serve(l, 10ms) == 26); // queue 0 <= 1: + 6
    CHECK(serve(l, 20ms) == 25); // queue 26 / 2 = 13 > 6: - 1
    CHECK(serve(l, 13ms) == 25); // queue 25 * 3 / 13 = 5.8, so 6: neither < 3 nor > 6
    CHECK(serve(l, 11ms) == 25); // queue 25 / 11 = 2.3, so 3: the same
    CHECK(serve(l, 10800us) == 26); // queue 25 * 0.8 / 10.8 = 1.9, so 2: + 1
    CHECK(serve(l, 10ms, outcome::dropped) == 25); // a drop, whatever the queue
    CHECK(serve(l, 5ms) == 25); // a new baseline
    CHECK(serve(l, 10ms) == 24); // queue 25 / 2, so 13
    CHECK(serve(l, 2ms, outcome::dropped) == 24); // a drop can be a baseline, too
    CHECK(serve(l, 2200us) == 24); // queue 24 * 0.2 / 2.2 = 2.2, so 3
}

TEST_CASE("Netflix's Vegas takes larger steps at a larger limit") {
    netflix_vegas l{100, 1};
    hold(l, 99);
    serve(l, 10ms);

    // log10 is 2: threshold 2, alpha 6, beta 12.
    CHECK(serve(l, 10ms) == 112); // + 12
    CHECK(serve(l, 20ms) == 110); // queue 56: - 2
    CHECK(serve(l, 10500us) == 110); // queue 110 * 0.5 / 10.5 = 5.2, so 6: not < 6
    CHECK(serve(l, 10400us) == 112); // queue 110 * 0.4 / 10.4 = 4.2, so 5: + 2
    CHECK(serve(l, 20ms, outcome::dropped) == 110); // - 2
}

TEST_CASE("Netflix's Vegas keeps its limit while fewer than half of it are in flight") {
    netflix_vegas l{20, 1};
    serve(l, 10ms);
    hold(l, 8);
    CHECK(serve(l, 10ms) == 20); // 9 of 20
    CHECK(serve(l, 30ms) == 20);
    hold(l, 1);
    CHECK(serve(l, 10ms) == 26); // 10 of 20
    CHECK(serve(l, 10ms) == 26); // 10 of 26
    CHECK(serve(l, 10ms, outcome::dropped) == 25);
}

TEST_CASE("Netflix's Vegas keeps its limit from 1 to 1000") {
    netflix_vegas low{2, 1};
    serve(low, 10ms);
    CHECK(serve(low, 10ms, outcome::dropped) == 1);
    CHECK(serve(low, 10ms, outcome::dropped) == 1);

    netflix_vegas high{999, 1};
    hold(high, 499);
    serve(high, 10ms);
    CHECK(serve(high, 10ms) == 1000); // 999 + 12
    CHECK(serve(high, 10ms, outcome::dropped) == 997); // log10 is 3
}

TEST_CASE("Netflix's Vegas forgets its baseline after 15 to 30 samples for each unit of the limit") {
    const auto seed = GENERATE(as<std::uint64_t>{}, 1, 2, 3, 4, 5);

    // The first probe is at one of the samples 0.5 * 30 * 20 = 300 to 600. While one request is in flight, no sample
    // changes the limit.
    netflix_vegas before{20, seed};
    serve(before, 10ms);
    CHECK(serve_each(297, before, 20ms) == 20);
    hold(before, 9);
    CHECK(serve(before, 20ms) == 19); // the 299th: queue 10

    // The next probe is at least 300 samples later. So the 601st sample is a probe only if both came as early as they
    // can.
    netflix_vegas after{20, seed};
    serve(after, 10ms);
    CHECK(serve_each(599, after, 20ms) == 20);
    hold(after, 9);
    CHECK(serve(after, 20ms) == 26); // queue 0
}

// ---- Rust ----

TEST_CASE("The Rust crate's Vegas moves by at most 1 with each sample") {
    rust_vegas l{10};
    CHECK(l.limit() == 10);
    CHECK(serve(l, 10ms) == 11); // queue 0 < 2, though only one is in flight
    CHECK(serve(l, 10ms) == 12);
    CHECK(serve(l, 20ms) == 11); // queue 12 / 2 = 6 > 4
    CHECK(serve(l, 20ms) == 10); // 5.5
    CHECK(serve(l, 20ms) == 9); // 5
    CHECK(serve(l, 20ms) == 8); // 4.5
    CHECK(serve(l, 20ms) == 8); // 4
    CHECK(serve(l, 15ms) == 8); // 8 / 3 = 2.7
    CHECK(serve(l, 12ms) == 9); // 8 / 6 = 1.3
}

TEST_CASE("The Rust crate's Vegas loses a quarter at a drop, down to 1") {
    rust_vegas l{10};
    CHECK(serve(l, 10ms, outcome::dropped) == 7); // 7.5
    CHECK(serve(l, 10ms, outcome::dropped) == 5); // 5.25
    CHECK(serve(l, 10ms, outcome::dropped) == 3); // 3.75
    CHECK(serve(l, 10ms, outcome::dropped) == 2); // 2.25
    CHECK(serve(l, 10ms, outcome::dropped) == 1); // 1.5
    CHECK(serve(l, 10ms, outcome::dropped) == 1);

    rust_vegas other{20};
    CHECK(serve(other, 1ms, outcome::dropped) == 15);
    CHECK(serve(other, 20ms) == 16); // the 1 ms of the drop is no baseline
}

TEST_CASE("The Rust crate's Vegas starts from a baseline of 1 s, and stops at 10 times the first limit") {
    rust_vegas slow{10};
    CHECK(serve(slow, 2s) == 9); // queue 10 / 2 = 5
    CHECK(serve(slow, 1250ms) == 10); // 9 / 5 = 1.8

    rust_vegas l{2};
    CHECK(serve_each(17, l, 10ms) == 19);
    CHECK(serve_each(10, l, 10ms) == 20);
}

// ---- brpc ----

TEST_CASE("brpc's limit is the highest throughput times the least latency, plus room to explore") {
    brpc_auto l{40, 1};

    // 200 successes in 199 ms, of 20 ms each: 1005.03/s * 20 ms * 1.3 = 26.1.
    CHECK(l.limit() == 40);
    CHECK(stream(200, l, 1ms, 20ms).back() == 26);

    // 200 in 22.5 + 199 * 0.9 = 201.6 ms: 992.06/s. The highest throughput is now 0.99 * 1005.03 + 0.01 * 992.06 =
    // 1004.90/s. The latency is 12 % above its least, and the throughput is near its highest: brpc explores less.
    // 1004.90/s * 20 ms * 1.28 = 25.7.
    CHECK(stream(200, l, 900us, 22500us).back() == 25);

    // 200 in 209 ms: 956.94/s. The highest throughput is now 1004.42/s. The least latency is 0.9 * 20 + 0.1 * 10 =
    // 19 ms, and 10 ms is below it: brpc explores more. 1004.42/s * 19 ms * 1.3 = 24.8.
    CHECK(stream(200, l, 1ms, 10ms).back() == 24);
}

TEST_CASE("brpc's window ends after 1 s if it has 100 samples by then") {
    brpc_auto l{40, 1};

    // There is a sample every 9 ms. The 112th is 111 * 9 = 999 ms after the first, the 113th is 1008 ms after it:
    // 112.1/s * 90 ms * 1.3 = 13.1.
    const auto limits = stream(113, l, 9ms, 90ms);
    CHECK(limits[111] == 40);
    CHECK(limits[112] == 13);
}

TEST_CASE("brpc throws away a window with fewer than 100 samples in 1 s") {
    brpc_auto l{40, 1};
    CHECK(serve_each(500, l, 20ms) == 40);
}

TEST_CASE("brpc takes a sample every 0.1 ms, but counts all successes") {
    brpc_auto l{40, 1};

    // The 399th request is the 200th sample: 399 / 19.9 ms * 1 ms * 1.3 = 26.07.
    const auto limits = stream(399, l, 50us, 1ms);
    CHECK(limits[397] == 40);
    CHECK(limits[398] == 26);
}

TEST_CASE("brpc adds the time of failed requests to the latency of the others") {
    // 100 successes in 199 ms, and 200 * 10 ms / 100 = 20 ms for each: 502.5/s * 20 ms * 1.3 = 13.1.
    brpc_auto half{40, 1};
    CHECK(stream(200, half, 1ms, 10ms, 5).back() == 13);

    // If all requests fail, the limit is halved, but not below 9.
    brpc_auto none{40, 1};
    CHECK(stream(200, none, 1ms, 5ms, 10).back() == 20);
    CHECK(stream(200, none, 1ms, 5ms, 10).back() == 10);
    CHECK(stream(200, none, 1ms, 5ms, 10).back() == 9);
}

TEST_CASE("brpc measures its least latency anew every 25 to 50 s") {
    const auto seed = GENERATE(as<std::uint64_t>{}, 1, 2, 3);
    brpc_auto l{40, seed};
    CHECK(stream(200, l, 1ms, 20ms).back() == 26); // 1005.03/s, 20 ms
    pass(24s - 218ms);

    // The first sample is more than 1 s after the start of its window, so it only starts a new one. The next 200 take
    // 200 ms: 0.99 * 1005.03 + 0.01 * 1000 = 1004.97/s. 1004.97/s * 20 ms * 1.3 = 26.1.
    CHECK(stream(201, l, 1ms, 20ms).back() == 26);
    pass(26s);

    // The same again gives 1004.93/s. But now brpc lowers its limit to measure: 1004.93/s * 20 ms * 0.9 = 18.1.
    CHECK(stream(201, l, 1ms, 20ms).back() == 19);

    // For 2 * 20 ms brpc learns nothing. The first 5 requests are done in that time, after 30 to 38 ms. The 6th starts
    // the window, and does not count for the throughput: 199 / 398 ms = 500/s, 0.99 * 1004.93 + 0.01 * 500 = 999.88/s.
    // The least latency is that of the window: 999.88/s * 30 ms * 1.3 = 38.995.
    const auto limits = stream(205, l, 2ms, 30ms);
    CHECK(limits[203] == 19);
    CHECK(limits[204] == 38);
}

// ---- Envoy ----

namespace {

// Envoy's limiter after it has measured a min RTT of 10 ms, at its first limit: 3.
struct measured_envoy {
    explicit measured_envoy(double percentile = 50) : l(make(percentile)) {
        serve_each(50, l, 10ms);
        window_start = virtual_clock::now();
    }

    // The limit after a window with one request. Admits the request of the next window, because the limiter looks at
    // the time only then.
    std::size_t after_window(duration rtt, outcome how = outcome::success) {
        if (!request)
            request = l.try_acquire();
        REQUIRE(request);
        pass(rtt);
        l.finish(*request, how);
        window_start += 100ms;
        virtual_clock::set(window_start);
        request = l.try_acquire();
        return l.limit();
    }

    envoy_gradient l;
    time_point window_start;
    std::optional<std::size_t> request;

private:
    static envoy_gradient make(double percentile) {
        set_clock(0s);
        return envoy_gradient{percentile, 60s, 1};
    }
};

} // namespace

TEST_CASE("Envoy measures its min RTT at a limit of 3, and rejects what exceeds it") {
    set_clock(0s);
    envoy_gradient l{50, 60s, 1};
    CHECK(l.limit() == 3);
    hold(l, 2);
    CHECK(serve(l, 10ms) == 3);
    hold(l, 1);
    CHECK(!l.try_acquire());
    pass(10s);
    CHECK(!l.try_acquire());
    CHECK(l.limit() == 3);
}

TEST_CASE("Every 100 ms, Envoy multiplies its limit by the gradient and adds the root") {
    measured_envoy e;
    CHECK(e.l.limit() == 3);
    CHECK(e.after_window(12500us) == 4); // gradient 1.25 * 10 / 12.5 = 1: 3 + 1.73
    CHECK(e.after_window(1ms) == 10); // 12.5, so 2: 8 + 2.83
    CHECK(e.after_window(10ms) == 16); // 1.25: 12.5 + 3.54
    CHECK(e.after_window(20ms) == 13); // 0.625: 10 + 3.16
    CHECK(e.after_window(50ms) == 9); // 0.25, so 0.5: 6.5 + 2.55
    CHECK(e.after_window(50ms, outcome::dropped) == 6); // 4.5 + 2.12
}

TEST_CASE("Envoy's limit stays from 3 to 1000") {
    measured_envoy e;
    CHECK(e.after_window(50ms) == 3); // 1.5 + 1.22

    // 3, 8, 20, 46, 101, 216, 452, 934, 1911: each is twice the one before, plus the root of that.
    for (int i = 0; i < 7; ++i)
        e.after_window(1ms);
    CHECK(e.l.limit() == 934);
    CHECK(e.after_window(1ms) == 1000);
}

TEST_CASE("Envoy's windows also end while it rejects, and a window without samples changes nothing") {
    measured_envoy e;
    envoy_gradient& l = e.l;
    pass(1s);
    hold(l, 2);
    CHECK(serve(l, 10ms) == 3);
    hold(l, 1);
    pass(80ms);
    CHECK(!l.try_acquire());
    pass(10ms);
    CHECK(l.try_acquire());
    CHECK(l.limit() == 5); // 3.75 + 1.94
}

TEST_CASE("Envoy's window leaves out requests that are done after its end") {
    measured_envoy e{90};
    const auto requests = hold(e.l, 2);
    pass(10ms);
    e.l.finish(requests[0], outcome::success);
    CHECK(e.l.limit() == 3);
    pass(100ms);
    e.l.finish(requests[1], outcome::success);
    CHECK(e.l.limit() == 5); // the 10 ms alone: 3.75 + 1.94
}

TEST_CASE("Envoy takes a percentile of the RTTs") {
    const auto limit_at = [](double percentile) {
        measured_envoy e{percentile};
        serve(e.l, 10ms);
        return e.after_window(40ms);
    };
    CHECK(limit_at(50) == 5); // the 10 ms: 3.75 + 1.94
    CHECK(limit_at(90) == 3); // the 40 ms: 1.5 + 1.22

    // The min RTT is a percentile, too: of 44 RTTs of 10 ms and 6 of 20 ms, it is the 25th or the 45th.
    const auto limit_after = [](double percentile) {
        set_clock(0s);
        envoy_gradient l{percentile, 60s, 1};
        serve_each(6, l, 20ms);
        serve_each(44, l, 10ms);
        serve(l, 20ms);
        pass(80ms);
        hold(l, 1);
        return l.limit();
    };
    CHECK(limit_after(50) == 3); // gradient 0.625: 1.875 + 1.37
    CHECK(limit_after(90) == 5); // 1.25: 3.75 + 1.94
}

TEST_CASE("Envoy measures its min RTT again after five windows at its lowest limit") {
    measured_envoy four;
    for (int i = 0; i < 4; ++i)
        CHECK(four.after_window(50ms) == 3);
    CHECK(four.after_window(1ms) == 8); // 6 + 2.45

    measured_envoy five;
    for (int i = 0; i < 5; ++i)
        CHECK(five.after_window(50ms) == 3);
    CHECK(five.after_window(50ms) == 3); // this request is one of the 50 that are measured, and so is the one in flight
    pass(50ms);
    five.l.finish(*five.request, outcome::success);
    five.request.reset();
    CHECK(serve_each(47, five.l, 50ms) == 3);
    CHECK(serve(five.l, 50ms) == 3);
    five.window_start = virtual_clock::now();
    CHECK(five.after_window(50ms) == 5); // the min RTT is now 50 ms: 3.75 + 1.94
}

TEST_CASE("Envoy measures its min RTT again after its interval, plus at most 15 % of it") {
    const auto seed = GENERATE(as<std::uint64_t>{}, 1, 2, 3);
    set_clock(0s);
    envoy_gradient l{50, 60s, seed};
    serve_each(50, l, 10ms);

    // A window at 1 ms: the limit is 8.
    serve(l, 1ms);
    pass(99ms);
    const auto early = hold(l, 1);
    CHECK(l.limit() == 8);

    // The first measurement ended at 500 ms. The next one begins at 60.5 to 69.5 s.
    set_clock(60'499ms);
    const auto late = hold(l, 3);
    CHECK(l.limit() == 8);
    set_clock(69'500ms);
    CHECK(!l.try_acquire());
    CHECK(l.limit() == 3);

    // Requests that were admitted before it do not count.
    for (const auto& requests : {early, late})
        for (const std::size_t request : requests)
            l.finish(request, outcome::success);
    CHECK(l.in_flight() == 0);
    CHECK(serve_each(49, l, 10ms) == 3);
    CHECK(serve(l, 10ms) == 8);
}
