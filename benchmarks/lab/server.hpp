// server.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SERVER_HPP
#define LAB_SERVER_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "scenario.hpp"

namespace lab {

/// The server that the guarded tasks wait for. Times are seconds since the start. Requests are numbers that the caller
/// chooses.
class server {
public:
    static constexpr double never = std::numeric_limits<double>::infinity();

    server() = default;
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    virtual ~server() = default;

    virtual void begin(const phase& p, double now) = 0;
    virtual void start(std::size_t request, double now, double service) = 0;
    virtual double next_completion() const = 0;
    virtual std::size_t complete() = 0; // completes the next request, and returns it
};

/// Pairs of a time and a request, the earliest first.
using soonest_first =
    std::priority_queue<std::pair<double, std::size_t>, std::vector<std::pair<double, std::size_t>>, std::greater<>>;

/// Time that stands still while the server is stalled.
class working_time {
public:
    explicit working_time(recurring stalls) : stalls_(stalls) {}

    double at(double time) const {
        if (stalls_.every <= 0)
            return time;
        const double periods = std::floor(time / stalls_.every);
        const double works = stalls_.every - stalls_.lasts;
        return periods * works + std::min(time - periods * stalls_.every, works);
    }

    /// The first time at which `worked` seconds of working time have passed.
    double when(double worked) const {
        if (stalls_.every <= 0)
            return worked;
        const double works = stalls_.every - stalls_.lasts;
        const double periods = std::floor(worked / works);
        const double rest = worked - periods * works;
        return periods * stalls_.every + (rest > 0 || periods <= 0 ? rest : -stalls_.lasts);
    }

private:
    recurring stalls_;
};

/// Workers that take requests from a queue, first come, first served.
class queueing_server final : public server {
public:
    explicit queueing_server(recurring stalls) : time_(stalls) {}

    // Surplus workers go as soon as they have finished their requests.
    void begin(const phase& p, double now) override {
        workers_ = static_cast<std::size_t>(p.workers);
        employ(time_.at(now));
    }

    void start(std::size_t request, double now, double service) override {
        queue_.emplace_back(service, request);
        employ(time_.at(now));
    }

    double next_completion() const override {
        return in_service_.empty() ? never : time_.when(in_service_.top().first);
    }

    std::size_t complete() override {
        const auto [now, request] = in_service_.top();
        in_service_.pop();
        employ(now);
        return request;
    }

private:
    void employ(double now) {
        for (; !queue_.empty() && in_service_.size() < workers_; queue_.pop_front())
            in_service_.emplace(now + queue_.front().first, queue_.front().second);
    }

    working_time time_; // all of the following times are working time
    std::size_t workers_ = 0;
    std::deque<std::pair<double, std::size_t>> queue_; // service times and requests
    soonest_first in_service_;                         // their ends and requests
};

/// Requests that share the server and slow each other down.
class sharing_server final : public server {
public:
    sharing_server(double contention, double coherence, recurring stalls, bool shares_processors = false)
        : contention_(contention), coherence_(coherence), shares_processors_(shares_processors), time_(stalls) {}

    void begin(const phase& p, double now) override {
        advance(time_.at(now));
        if (shares_processors_)
            processors_ = p.workers;
    }

    void start(std::size_t request, double now, double service) override {
        advance(time_.at(now));
        left_.emplace(served_ + service, request);
    }

    double next_completion() const override {
        return left_.empty() ? never : time_.when(now_ + std::max(0.0, left_.top().first - served_) / speed());
    }

    std::size_t complete() override {
        const auto [served, request] = left_.top();
        now_ += std::max(0.0, served - served_) / speed();
        served_ = served;
        left_.pop();
        return request;
    }

private:
    // The speed at which each request in service is served.
    double speed() const {
        const auto n = static_cast<double>(left_.size());
        return std::min(1.0, processors_ / n) / (1 + contention_ * (n - 1) + coherence_ * n * (n - 1));
    }

    void advance(double now) {
        if (!left_.empty())
            served_ += (now - now_) * speed();
        now_ = now;
    }

    double contention_, coherence_;
    bool shares_processors_;
    double processors_ = std::numeric_limits<double>::infinity(); // if they are shared, as many as workers
    working_time time_;
    double now_ = 0;
    double served_ = 0; // the service that a request has had if it was there all the time
    soonest_first left_; // ordered by served_ at their end
};

/// A server that takes all requests that wait, up to a number, as one batch, and answers them together.
class batching_server final : public server {
public:
    batching_server(std::size_t most, double base, double each) : most_(most), base_(base), each_(each) {}

    void begin(const phase& p, double) override { slowdown_ = p.slowdown; }

    void start(std::size_t request, double now, double) override {
        waiting_.push_back(request);
        if (batch_.empty())
            take(now);
    }

    double next_completion() const override { return batch_.empty() ? never : ends_at_; }

    std::size_t complete() override {
        const std::size_t request = batch_.back();
        batch_.pop_back();
        if (batch_.empty() && !waiting_.empty())
            take(ends_at_);
        return request;
    }

private:
    void take(double now) {
        for (; !waiting_.empty() && batch_.size() < most_; waiting_.pop_front())
            batch_.push_back(waiting_.front());
        ends_at_ = now + (base_ + each_ * static_cast<double>(batch_.size())) * slowdown_;
    }

    std::size_t most_;
    double base_, each_;
    double slowdown_ = 1;
    std::deque<std::size_t> waiting_;
    std::vector<std::size_t> batch_;
    double ends_at_ = 0;
};

inline std::unique_ptr<server> make_server(const scenario& s) {
    if (s.batch > 0)
        return std::make_unique<batching_server>(s.batch, s.batch_base, s.batch_each);
    if (s.shares())
        return std::make_unique<sharing_server>(s.contention, s.coherence, s.stalls, s.shares_processors);
    return std::make_unique<queueing_server>(s.stalls);
}

/// The service in front of the server; null if there is none.
inline std::unique_ptr<server> make_front(const scenario& s) {
    if (s.front_service <= 0)
        return nullptr;
    auto front = std::make_unique<queueing_server>(recurring{});
    front->begin({.workers = s.front_workers}, 0);
    return front;
}

} // namespace lab

#endif
