// site.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_SITE_HPP
#define BEAST_SERVER_SITE_HPP

#include <chrono>
#include <exception>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <flowguard.hpp>
#include <flowguard/dashboard.hpp>
#include <flowguard/dashboard/beast.hpp>
#include <flowguard/http/beast.hpp>
#include <flowguard/http/http_layer.hpp>

#include "counters.hpp"
#include "http.hpp"
#include "knobs.hpp"
#include "knobs_page.hpp"
#include "load.hpp"
#include "options.hpp"
#include "service.hpp"

namespace beast_server {

/// A handler that knows nothing of guards.
struct work_handler {
    simulated_service& service;

    asio::awaitable<response> operator()(request r) const {
        if (path_of(r) == "/health")
            co_return answer_of(http::status::ok, "healthy\n");
        co_await service.perform();
        co_return answer_of(http::status::ok, "done\n");
    }
};

/// The same behind a guard: callers wait for a permit, or are rejected with 503.
inline auto guarded_handler(flowguard::flow_guard<>& guard, simulated_service& service) {
    return flowguard::http_layer{
        guard, work_handler{service}, flowguard::beast_http{},
        flowguard::http_layer_options{.priority_header = "x-priority",
                                      .bypass = [](const request& r) { return path_of(r) == "/health"; }}};
}

/// Answers the requests for each path.
///
/// Thread-safe.
class site {
public:
    site(asio::io_context& context, const options& chosen)
        : context_(context), service_(context, chosen.workers, chosen.latency_ms), load_(chosen.load) {
        using enum flowguard::dashboard_chart;
        board_.add("work", guard_,
                   {{"workers", [this] { return static_cast<double>(service_.workers()); }, tasks},
                    {"capacity", [this] { return service_.capacity(); }, calls},
                    {"latency_ms", [this] { return static_cast<double>(service_.latency_ms()); }},
                    {"load", [this] { return static_cast<double>(load_.rate()); }},
                    {"pin", [this] { return static_cast<double>(pin()); }}});
    }

    /// Runs the dashboard and the server's own load, until it is stopped.
    void start(const std::stop_token& stop) {
        asio::co_spawn(asio::make_strand(context_), board_.run(stop), rethrow);
        const auto arrive = [this] {
            asio::co_spawn(context_, guarded(request(http::verb::get, "/work", 11)), asio::detached);
        };
        asio::co_spawn(asio::make_strand(context_), load_.run(arrive, stop), rethrow);
    }

    /// Rejects new calls of the guarded handler from now on, and waits until those in progress have ended. If that
    /// takes too long, those that wait for the service end with an error.
    asio::awaitable<void> drain() {
        boost::system::error_code error;
        co_await guard_.async_drain({.timeout = longest_drain}, asio::redirect_error(asio::use_awaitable, error));
        if (error)
            service_.close();
    }

    asio::awaitable<response> answer(request r) {
        const std::string_view path = path_of(r);
        const bool known = path == "/" || path == "/work" || path == "/health" || path == "/metrics" ||
                           path == "/snapshot" || path == "/events" || path == "/knobs";
        if (!known)
            co_return answer_of(http::status::not_found, "no such page\n");
        const auto allowed = path == "/knobs" ? http::verb::post : http::verb::get;
        if (r.method() != allowed && !(r.method() == http::verb::head && allowed == http::verb::get)) {
            response rejected = answer_of(http::status::method_not_allowed, "no such method here\n");
            rejected.set(http::field::allow, http::to_string(allowed));
            co_return rejected;
        }
        if (auto page = flowguard::dashboard_response(board_, r)) // a GET for the events is answered by the connection
            co_return *std::move(page);
        if (path == "/metrics")
            co_return answer_of(http::status::ok, metrics(), "text/plain; version=0.0.4; charset=utf-8");
        if (path == "/knobs")
            co_return set_knobs(r.body());
        co_return co_await guarded(std::move(r));
    }

    const flowguard::dashboard& board() const { return board_; }
    counters& counts() { return counters_; }
    const counters& counts() const { return counters_; }
    const flowguard::flow_guard<>& guard() const { return guard_; }

private:
    // Only few calls may wait, so that a rejected call is told at once, and an admitted call is served soon.
    static constexpr std::size_t most_waiting = 16;
    static constexpr std::chrono::milliseconds longest_wait{250};
    static constexpr std::chrono::seconds longest_drain{10};

    static void rethrow(const std::exception_ptr& failure) {
        if (failure)
            std::rethrow_exception(failure);
    }

    asio::awaitable<response> guarded(request r) {
        response answer;
        try {
            answer = co_await guarded_(std::move(r));
        } catch (const std::exception&) { // thrown by the service
            answer = answer_of(http::status::internal_server_error, "something went wrong\n");
        }
        counters_.guarded.count(answer.result_int());
        co_return answer;
    }

    // The number that the limit is pinned to; 0 if it is not.
    std::size_t pin() const {
        const flowguard::guard_stats stats = guard_.stats();
        return stats.pinned ? stats.limit : 0;
    }

    std::string metrics() const {
        const flowguard::named_stats guards[] = {{"work", guard_.stats()}};
        return flowguard::prometheus_text(guards) + prometheus_text(counters_);
    }

    response set_knobs(std::string_view form) {
        knob_settings wanted;
        try {
            wanted = parse_knobs(form);
        } catch (const std::invalid_argument& e) {
            return answer_of(http::status::bad_request, std::string(e.what()) + '\n');
        }
        if (wanted.workers)
            service_.set_workers(*wanted.workers);
        if (wanted.latency_ms)
            service_.set_latency_ms(*wanted.latency_ms);
        if (wanted.load)
            load_.set_rate(*wanted.load);
        if (wanted.pin && *wanted.pin > 0)
            guard_.pin_limit(*wanted.pin);
        else if (wanted.pin)
            guard_.unpin_limit();
        return answer_of(http::status::ok,
                         "{\"workers\":" + std::to_string(service_.workers()) +
                             ",\"latency_ms\":" + std::to_string(service_.latency_ms()) +
                             ",\"load\":" + std::to_string(load_.rate()) + ",\"pin\":" + std::to_string(pin()) + "}\n",
                         "application/json");
    }

    asio::io_context& context_;
    simulated_service service_;
    flowguard::flow_guard<> guard_{flowguard::vegas_strategy{},
                                   {.max_waiters = most_waiting,
                                    .max_wait = longest_wait,
                                    .order = flowguard::wait_order::fifo}}; // no need to adapt: the queue is short
    decltype(guarded_handler(guard_, service_)) guarded_ = guarded_handler(guard_, service_);
    made_up_load load_;
    counters counters_;
    flowguard::dashboard board_{{.title = "FlowGuard: a simulated service", .controls = std::string(knobs_page)}};
};

} // namespace beast_server

#endif
