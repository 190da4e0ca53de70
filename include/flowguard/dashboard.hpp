// dashboard.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A page for operators. Not part of flowguard.hpp. See docs/dashboard.md.

#ifndef FLOWGUARD_DASHBOARD_HPP
#define FLOWGUARD_DASHBOARD_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/control/stats_sum.hpp"
#include "flowguard/detail/dashboard/history.hpp"
#include "flowguard/detail/dashboard/json.hpp"
#include "flowguard/detail/dashboard/page_body.hpp"
#include "flowguard/detail/dashboard/page_charts.hpp"
#include "flowguard/detail/dashboard/page_script.hpp"
#include "flowguard/detail/dashboard/page_style.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limit_decision.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/time_histogram.hpp"

namespace flowguard {

/// The charts of the page that a dashboard_value can be drawn in.
enum class dashboard_chart : std::uint8_t {
    none, ///< the value is in the data, but is not drawn
    tasks, ///< with the limit, what is in flight, and what waits
    calls, ///< with the calls per second
    times ///< with the times, in milliseconds
};

/// A number of the application, drawn as a dashed line, such as the size of a pool or what a service can do.
struct dashboard_value {
    std::string name;
    /// Called by dashboard::sample(), on its thread. Must not use the dashboard. If it throws, sample() does, and so
    /// does dashboard::run(), which ends.
    std::function<double()> read;
    dashboard_chart chart = dashboard_chart::none;
};

/// The options of a dashboard.
struct dashboard_options {
    std::string title = "FlowGuard"; ///< of the page, plain text
    std::string controls{}; ///< HTML that becomes a part of the page, as it is: see docs/dashboard.md
};

/// A web page that shows, live, what guards do: their limits and why they changed, what runs and what waits, which
/// calls are rejected, and the times of tasks and of callers, for the last minute, five minutes, or hour. It needs no
/// files, and loads nothing from elsewhere. It is for any web server: a server answers three paths, which begin with a
/// prefix of its choice:
///
///     <prefix>/          page(), as text/html; charset=utf-8, with content_security_policy as Content-Security-Policy
///     <prefix>/snapshot  snapshot(), as application/json
///     <prefix>/events    text/event-stream: what next_events() returns, again and again
///
/// For Boost.Beast, flowguard/dashboard/beast.hpp does so, and for RESTinio flowguard/dashboard/restinio.hpp. The page
/// shows operators' data, and changes nothing. Who may see it is for the server to decide.
///
///     flowguard::dashboard board;
///     board.add("work", guard);
///     asio::co_spawn(context, board.run(), asio::detached);
///
/// *Cost.* A sample takes some 10 µs for each guard. The samples of an hour take up to half a megabyte for each guard.
/// Nothing is added to the guarded calls.
///
/// *Thread safety.* All functions may be called on any thread at any time, except for construction and destruction.
/// They lock one mutex.
class dashboard {
public:
    /// The time between two samples.
    static constexpr duration interval = std::chrono::milliseconds(250);

    /// Allows the page what it needs, and nothing else.
    static constexpr std::string_view content_security_policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data: blob:; frame-ancestors 'self'";

    explicit dashboard(dashboard_options options = {}) : options_(std::move(options)) {}

    dashboard(const dashboard&) = delete;
    dashboard& operator=(const dashboard&) = delete;

    /// Shows a guard, and values beside it. The guard must exist as long as the dashboard. Names are plain text, at
    /// least one character; throws std::invalid_argument if the name is empty, or taken.
    template <class Guard>
    void add(std::string name, const Guard& guard, std::vector<dashboard_value> values = {}) {
        const std::scoped_lock lock(mutex_);
        check_name(name);
        guards_.push_back({std::move(name), [&guard] { return guard.stats(); }, [&guard] { return guard.trace(); },
                           [] {
                               const auto now = Guard::clock_type::now().time_since_epoch();
                               return detail::saturated_cast<duration>(now); // as limit_decision::at
                           },
                           std::move(values)});
    }

    /// Takes a sample of all guards. Call it every `interval`, unless run() does.
    void sample() {
        const std::scoped_lock lock(mutex_);
        const double now = seconds(clock::now() - start_);
        detail::json_list decisions;
        detail::json_list guards;
        for (shown_guard& g : guards_) {
            guards.add_json(json_of(g));
            for (std::string& decision : new_decisions(g, now)) {
                decisions.add_json(decision);
                g.decisions.push_back(std::move(decision));
                if (g.decisions.size() > most_decisions)
                    g.decisions.pop_front();
            }
        }
        detail::json_object point;
        point.add("t", now);
        point.add("at", std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
        point.add_json("guards", guards.text());
        detail::json_object event;
        event.add_json("point", point.text());
        event.add_json("decisions", decisions.text());
        recent_.push_back("data: " + event.text() + "\n\n");
        if (recent_.size() > most_recent)
            recent_.pop_front();
        ++taken_;
        history_.add(point.text());
    }

    /// Takes a sample every `interval`, until a stop is requested. Samples that would be late are left out. The caller
    /// chooses the executor, as of any awaitable. A cancellation ends it, with asio::error::operation_aborted.
    asio::awaitable<void> run(std::stop_token stop = {}) {
        asio::basic_waitable_timer<clock> timer(co_await asio::this_coro::executor, clock::now());
        while (!stop.stop_requested()) {
            sample();
            timer.expires_at((std::max)(timer.expiry() + interval, clock::now()));
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    /// The page. It is the same each time.
    std::string page() const {
        std::string text = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>";
        text.append(escaped(options_.title)).append("</title>\n").append(detail::page_style).append("</head>\n");
        const std::string body(detail::page_body);
        const std::size_t title = body.find(title_slot);
        const std::size_t controls = body.find(controls_slot);
        text.append(body, 0, title).append(escaped(options_.title));
        text.append(body, title + title_slot.size(), controls - title - title_slot.size());
        text.append("<script>\n\"use strict\";\n").append(detail::page_charts).append(detail::page_script);
        text.append("</script>\n").append(options_.controls);
        return text.append(body, controls + controls_slot.size());
    }

    /// The samples so far, the oldest first, and the latest decisions, as JSON: what the page shows when it opens.
    std::string snapshot() const {
        const std::scoped_lock lock(mutex_);
        detail::json_list points;
        history_.for_each([&](const std::string& point) { points.add_json(point); });
        detail::json_list decisions;
        for (const shown_guard& g : guards_)
            for (const std::string& decision : g.decisions)
                decisions.add_json(decision);
        detail::json_object all;
        all.add_json("points", points.text());
        all.add_json("decisions", decisions.text());
        return all.text();
    }

    /// The server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) that a client has not
    /// seen, possibly none; `seen` is 0 at first, and this function changes it. A client that has seen none, or has
    /// missed some, gets the latest: snapshot() has the others. Call it a few times a second for each client.
    ///
    /// A server may notice only by a write that a client is gone. If there are no events for some seconds, write a
    /// comment, such as ": keep-alive\n\n". The adapters do so after 15 s.
    std::string next_events(std::uint64_t& seen) const {
        const std::scoped_lock lock(mutex_);
        std::uint64_t news = taken_ - std::exchange(seen, taken_);
        if (news > recent_.size() || news == taken_)
            news = recent_.empty() ? 0 : 1;
        std::string text;
        for (auto event = recent_.end() - static_cast<std::ptrdiff_t>(news); event != recent_.end(); ++event)
            text += *event;
        return text;
    }

private:
    using clock = std::chrono::steady_clock;

    static constexpr std::size_t most_recent = 40; // events: ten seconds
    static constexpr std::size_t most_decisions = 100; // of each guard
    static constexpr std::string_view title_slot = "<!--title-->";
    static constexpr std::string_view controls_slot = "<!--controls-->";

    struct shown_guard {
        std::string name;
        std::function<guard_stats()> stats;
        std::function<std::vector<limit_decision>()> trace;
        std::function<duration()> now; // of the guard's clock
        std::vector<dashboard_value> values;
        std::optional<limit_decision> seen{}; // the latest decision that was looked at
        std::deque<std::string> decisions{};
    };

    static double seconds(duration time) { return std::chrono::duration<double>(time).count(); }

    static std::string escaped(std::string_view text) {
        std::string result;
        for (const char c : text)
            result += c == '<' ? std::string("&lt;") : c == '&' ? std::string("&amp;") : std::string(1, c);
        return result;
    }

    void check_name(std::string_view name) const {
        if (name.empty())
            throw std::invalid_argument("flowguard: the name of a guard on a dashboard is empty");
        for (const shown_guard& g : guards_)
            if (g.name == name)
                throw std::invalid_argument("flowguard: a dashboard has a guard with the name " + g.name + " already");
    }

    static std::string json_of(const shown_guard& g) {
        const guard_stats s = g.stats();
        const auto count = [](std::uint64_t n) { return std::to_string(n); };
        detail::json_object json;
        json.add("name", g.name);
        json.add_count("limit", s.limit);
        json.add_ms("spacing", s.spacing);
        json.add("reason", s.limit_reason);
        json.add_count("pinned", s.pinned ? 1 : 0);
        json.add_count("in_flight", s.in_flight);
        json.add_json("waiting", detail::json_array(s.waiting_by_priority, count));
        json.add_count("long_lived", s.long_lived);
        json.add_count("admitted", s.admitted);
        json.add_count("succeeded", s.succeeded);
        json.add_count("ignored", s.ignored);
        json.add_count("dropped", s.dropped);
        detail::json_list rejected;
        for (std::size_t p = 0; p < s.partitions; ++p)
            rejected.add_json(detail::json_array(s.rejected_by_partition[p], count));
        json.add_json("rejected", rejected.text());
        time_histogram waits;
        for (const time_histogram& of_priority : s.waits_by_priority)
            detail::add_times(waits, of_priority);
        json.add_json("waits", detail::json_array(waits.counts, count));
        json.add_ms("waited", waits.sum);
        json.add_ms("rtt_sum", s.rtts.sum);
        json.add_count("rtt_count", s.rtts.total());
        json.add_ms("p50", s.rtt_p50);
        json.add_ms("p99", s.rtt_p99);
        json.add_ms("baseline", s.baseline_rtt);
        json.add_json("values", detail::json_array(g.values, [](const dashboard_value& v) {
                          detail::json_object value;
                          value.add("name", v.name);
                          value.add("value", v.read());
                          value.add_count("chart", static_cast<std::uint64_t>(v.chart));
                          return value.text();
                      }));
        return json.text();
    }

    static bool is_same(const limit_decision& a, const limit_decision& b) noexcept {
        return a.at == b.at && a.before == b.before && a.limit == b.limit && a.reason == b.reason;
    }

    // The latest decisions since the last sample that changed the limit. A long trace would make an event of megabytes.
    static std::deque<std::string> new_decisions(shown_guard& g, double now) {
        std::deque<std::string> found;
        const duration guard_now = g.now();
        const std::vector<limit_decision> all = g.trace();
        // By the decision itself: a clock may stand still, or be set back.
        auto next = std::find_if(all.rbegin(), all.rend(), [&](const limit_decision& d) {
                        return g.seen && is_same(d, *g.seen);
                    }).base();
        if (!all.empty())
            g.seen = all.back();
        for (; next != all.end(); ++next) {
            const limit_decision& d = *next;
            if (d.limit == d.before && d.probe == 0)
                continue;
            detail::json_object json;
            json.add("guard", g.name);
            json.add("t", now - seconds(detail::saturated_difference(guard_now, d.at)));
            json.add_count("before", d.before);
            json.add_count("limit", d.limit);
            json.add_count("probe", d.probe);
            json.add("why", d.reason);
            json.add_count("samples", d.samples);
            json.add_count("dropped", d.dropped);
            json.add("in_flight", d.mean_in_flight);
            json.add_ms("rtt", d.mean_rtt);
            json.add_ms("baseline", d.baseline_rtt);
            found.push_back(json.text());
            if (found.size() > most_decisions)
                found.pop_front();
        }
        return found;
    }

    const dashboard_options options_;
    const clock::time_point start_ = clock::now();

    mutable std::mutex mutex_; // guards all below
    std::vector<shown_guard> guards_;
    detail::dashboard_history history_;
    std::deque<std::string> recent_; // events, the latest last
    std::uint64_t taken_ = 0;
};

} // namespace flowguard

#endif
