// telemetry.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_TELEMETRY_HPP
#define BEAST_SERVER_TELEMETRY_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <flowguard/flow_guard.hpp>
#include <flowguard/limit_decision.hpp>

#include "counters.hpp"
#include "http.hpp"
#include "load.hpp"
#include "service.hpp"

namespace beast_server {

/// Builds one JSON object, member by member.
class json_object {
public:
    void add(std::string_view name, double value) {
        std::array<char, 32> digits{};
        std::snprintf(digits.data(), digits.size(), "%.10g", value);
        add_raw(name, digits.data());
    }
    void add(std::string_view name, flowguard::duration value) { // in ms
        add(name, static_cast<double>(value.count() / 1000) / 1000);
    }
    void add(std::string_view name, const char* text) { // which must need no escaping
        add_raw(name, std::string("\"").append(text).append("\""));
    }
    void add_raw(std::string_view name, std::string_view json) {
        text_.append(text_.empty() ? "{\"" : ",\"").append(name).append("\":").append(json);
    }

    std::string text() const { return text_ + '}'; }

private:
    std::string text_;
};

/// Records the state of the server four times a second. Keeps the last minute as server-sent events
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html), each with one JSON object.
///
/// Thread-safe.
class telemetry {
public:
    telemetry(const flowguard::flow_guard<>& guard, const simulated_service& service, const made_up_load& load,
              const counters& counts)
        : guard_(guard), service_(service), load_(load), counts_(counts) {}

    asio::awaitable<void> run(std::stop_token stop) {
        asio::steady_timer timer(co_await asio::this_coro::executor, start_);
        while (!stop.stop_requested()) {
            record();
            timer.expires_at(std::max(timer.expiry() + interval, clock::now())); // skips missed ones
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    /// Returns all events after the first `seen`, and sets `seen` to the number of events so far.
    std::string since(std::uint64_t& seen) const {
        const std::scoped_lock lock(mutex_);
        std::string text;
        const std::uint64_t forgotten = made_ - events_.size();
        for (std::uint64_t i = std::max(seen, forgotten); i < made_; ++i)
            text += events_[static_cast<std::size_t>(i - forgotten)];
        seen = made_;
        return text;
    }

private:
    using clock = std::chrono::steady_clock;

    static constexpr auto interval = std::chrono::milliseconds(250);
    static constexpr std::size_t most_events = 240;
    static constexpr auto smoothed_over = std::chrono::seconds(1); // of rates

    struct totals {
        clock::time_point at;
        std::uint64_t answered;
        std::uint64_t rejected;
    };

    static double seconds(clock::duration time) { return std::chrono::duration<double>(time).count(); }

    void record() {
        const flowguard::guard_stats stats = guard_.stats();
        const totals now{clock::now(), counts_.guarded.of(200), counts_.guarded.of(503)};
        totals_.push_back(now);
        while (totals_.size() > 2 && now.at - totals_[1].at >= smoothed_over)
            totals_.pop_front();
        const totals& before = totals_.front();
        const double length = std::max(seconds(now.at - before.at), 1e-3);

        json_object event;
        event.add("t", seconds(now.at - start_));
        event.add("limit", static_cast<double>(stats.limit));
        event.add("in_flight", static_cast<double>(stats.in_flight));
        event.add("waiting", static_cast<double>(stats.waiting));
        event.add("goodput", static_cast<double>(now.answered - before.answered) / length);
        event.add("rejected", static_cast<double>(now.rejected - before.rejected) / length);
        event.add("p50", stats.rtt_p50);
        event.add("p99", stats.rtt_p99);
        event.add("baseline", stats.baseline_rtt);
        event.add("workers", service_.workers());
        event.add("latency_ms", service_.latency_ms());
        event.add("capacity", service_.capacity());
        event.add("load", load_.rate());
        event.add_raw("changes", new_changes());

        const std::scoped_lock lock(mutex_);
        events_.push_back("data: " + event.text() + "\n\n");
        if (events_.size() > most_events)
            events_.pop_front();
        ++made_;
    }

    // The changes of the limit since the last event.
    std::string new_changes() {
        std::string text;
        for (const flowguard::limit_decision& decision : guard_.trace()) {
            if (decision.at <= latest_)
                continue;
            latest_ = decision.at;
            if (decision.limit == decision.before && decision.probe == 0)
                continue;
            json_object change;
            change.add("t", seconds(decision.at - start_.time_since_epoch()));
            change.add("before", static_cast<double>(decision.before));
            change.add("limit", static_cast<double>(decision.limit));
            if (decision.probe != 0)
                change.add("probe", static_cast<double>(decision.probe));
            change.add("why", decision.reason);
            text.append(text.empty() ? "" : ",").append(change.text());
        }
        return '[' + text + ']';
    }

    const flowguard::flow_guard<>& guard_;
    const simulated_service& service_;
    const made_up_load& load_;
    const counters& counts_;

    const clock::time_point start_ = clock::now();
    std::deque<totals> totals_;
    flowguard::duration latest_{};

    mutable std::mutex mutex_;
    std::deque<std::string> events_;
    std::uint64_t made_ = 0;
};

} // namespace beast_server

#endif
