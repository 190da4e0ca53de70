// theory.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// What the tests compare the lab with: a limiter that remembers what it saw, and formulas for what it should see.

#ifndef FLOWGUARD_TESTS_LAB_THEORY_HPP
#define FLOWGUARD_TESTS_LAB_THEORY_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "lab/limiter.hpp"
#include "lab/time.hpp"

// Admits a request if fewer than `limit` are in flight. Remembers when each request ended, and how.
class remembering_limiter final : public lab::limiter {
public:
    struct end {
        double at;
        lab::outcome how;
    };

    remembering_limiter(std::size_t limit, std::vector<end>& ends) : limit_(limit), ends_(ends) {}

    std::optional<std::size_t> try_acquire() override {
        return in_flight_ < limit_ ? std::optional{in_flight_++} : std::nullopt;
    }
    void finish(std::size_t, lab::outcome how) override {
        --in_flight_;
        ends_.push_back({lab::in_seconds(lab::virtual_clock::now().time_since_epoch()), how});
    }
    std::size_t limit() const override { return limit_; }
    std::size_t in_flight() const override { return in_flight_; }

private:
    std::size_t limit_;
    std::size_t in_flight_ = 0;
    std::vector<end>& ends_;
};

inline double ended_with(const std::vector<remembering_limiter::end>& ends, lab::outcome how) {
    return static_cast<double>(
        std::count_if(ends.begin(), ends.end(), [how](const remembering_limiter::end& e) { return e.how == how; }));
}

// Erlang's loss formula: the share of callers that find all n servers busy, and leave. A. K. Erlang: Solution of some
// Problems in the Theory of Probabilities of Significance in Automatic Telephone Exchanges. Elektrotekniker 13, 1917.
inline double erlang_b(std::size_t n, double load) {
    double b = 1;
    for (std::size_t i = 1; i <= n; ++i)
        b = load * b / (static_cast<double>(i) + load * b);
    return b;
}

// The Universal Scalability Law. N. Gunther: Guerrilla Capacity Planning (2007).
inline double usl(double n, double contention, double coherence) {
    return n / (1 + contention * (n - 1) + coherence * n * (n - 1));
}

#endif
