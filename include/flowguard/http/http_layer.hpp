// http_layer.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_HTTP_HTTP_LAYER_HPP
#define FLOWGUARD_HTTP_HTTP_LAYER_HPP

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "flowguard/classify.hpp"
#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/asio/task_traits.hpp"
#include "flowguard/detail/http/header_value.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/http/http_status.hpp"
#include "flowguard/http/retry_after.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/run_options.hpp"

namespace flowguard {

namespace detail {

// Chooses no request.
struct no_request {
    template <class Request>
    constexpr bool operator()(const Request&) const noexcept {
        return false;
    }
};

// All requests are of the first kind.
struct one_kind {
    template <class Request>
    constexpr std::size_t operator()(const Request&) const noexcept {
        return 0;
    }
};

// No request belongs to a flow.
struct no_flow {
    template <class Request>
    constexpr std::optional<std::uint64_t> operator()(const Request&) const noexcept {
        return std::nullopt;
    }
};

// All requests take one permit.
struct one_permit {
    template <class Request>
    constexpr std::size_t operator()(const Request&) const noexcept {
        return 1;
    }
};

} // namespace detail

/// What a layer needs of an adapter, which handles one kind of HTTP messages.
///
/// - `header(request, name)`: the value of a header, empty if there is none; the name is as in the options.
/// - `unavailable(request)`: a callable that takes the seconds to put into Retry-After, and makes the 503 for this
///   request. It must own what it needs of the request, because the request may be destroyed before it is called.
/// - `gateway_timeout(request)`: the same for the 504, a callable without arguments.
/// - `status(response)`: its status, as an integer or enumeration. Optional: responses without it count as successes.
template <class Adapter, class Request, class Response>
concept http_adapter =
    requires(const Adapter& adapter, const Request& request, std::string_view name, std::chrono::seconds retry_after) {
        { adapter.header(request, name) } -> std::convertible_to<std::string_view>;
        { adapter.unavailable(request)(retry_after) } -> std::convertible_to<Response>;
        { adapter.gateway_timeout(request)() } -> std::convertible_to<Response>;
    };

/// The options of a layer.
template <class Bypass = detail::no_request, class LongLived = detail::no_request, class Kind = detail::one_kind,
          class Flow = detail::no_flow, class Permits = detail::one_permit>
struct http_layer_options {
    /// The header that tells how long the client will wait for the answer from now on, in milliseconds or in the form
    /// of grpc-timeout. A request that cannot be started by then is not started. The default is the header that Envoy
    /// sends to the services behind it. Empty: no header is read.
    std::string deadline_header = "x-envoy-expected-rq-timeout-ms";

    /// The header with the request's priority, by its name: see priority. By default no header is read, since any
    /// client could claim to be critical_plus. Name one, such as x-priority, if the clients are your own.
    std::string priority_header{};

    /// The priority of requests without that header.
    flowguard::priority priority = flowguard::priority::critical;

    /// The partition whose share of the limit the requests use: an index into guard_options::partitions.
    std::size_t partition = 0;

    /// `bool(const Request&)`: whether a request runs without a permit, such as a health check.
    Bypass bypass = {};

    /// `bool(const Request&)`: whether a request is long-lived, such as a watch or a long poll. Until its handler
    /// returns, it runs beside the limit: see run_options::long_lived.
    LongLived long_lived = {};

    /// `std::size_t(const Request&)`: the kind of a request, if requests of different cost share the guard: see
    /// run_options::kind.
    Kind kind = {};

    /// `std::optional<std::uint64_t>(const Request&)`, or a number: the flow of a request, such as its tenant, so that
    /// tenants are served fair: see run_options::flow.
    Flow flow = {};

    /// `std::size_t(const Request&)`: how many permits a request takes, if some are heavier than others: see
    /// run_options::permits.
    Permits permits = {};
};

/// Middleware: puts a guard in front of any coroutine that answers HTTP requests. A layer is such a coroutine itself.
///
///     flowguard::http_layer guarded{guard, answer, flowguard::beast_http{}};
///     http::response<http::string_body> response = co_await guarded(std::move(request), connection);
///
/// A request waits for a permit as in flow_guard::run(), for as long as the guard's options allow. A rejected request
/// is answered 503 with Retry-After (see retry_after()). A request whose handler was cancelled because it took longer
/// than guard_options::timeout is answered 504, without Retry-After: nothing says that it will take less time later. If
/// the handler itself ends with one of FlowGuard's errors, from a guard further inside, the answer is the same: 504 for
/// `error::task_timeout`, and 503 for the others. (A layer further inside answers 503 or 504 itself, which is a drop
/// for this layer, so that one overload lowers both limits. Use a guard there instead.) classify_http_status()
/// classifies a response by its status, and default_classifier classifies exceptions. Other exceptions reach the caller
/// unchanged.
///
/// The handler is any `awaitable<Response>(Request, Args...)`. Lvalues reach it as lvalues, which the caller must keep
/// alive, as for any coroutine. Rvalues are kept until the handler is called. For handlers that are callbacks, use
/// tickets: see docs/http.md.
///
/// *Thread safety.* Calls may run at the same time if the handler, the adapter and the functions in the options may.
/// They are called as const.
///
/// *Lifetime.* The guard must outlive the layer, and the layer its calls.
///
/// *Cancellation.* As for flow_guard::run(): `operation_aborted` reaches the caller.
///
/// *Memory.* A call allocates the frames of its coroutines.
///
/// *Rejections* are cheap: the layer rejects a request without an exception, and without suspending if the guard
/// rejects the call before it waits. (If a guard further inside rejects it, that is an exception of the handler.)
template <class Guard, class Handler, class Adapter, class Bypass = detail::no_request,
          class LongLived = detail::no_request, class Kind = detail::one_kind, class Flow = detail::no_flow,
          class Permits = detail::one_permit>
class http_layer {
public:
    /// Throws what moving its arguments throws. If the options name a partition, priority, kind or number of permits
    /// that is out of range, each call throws std::invalid_argument.
    http_layer(Guard& guard, Handler handler, Adapter adapter,
               http_layer_options<Bypass, LongLived, Kind, Flow, Permits> options = {})
        : guard_(&guard), handler_(std::move(handler)), adapter_(std::move(adapter)), options_(std::move(options)) {}

    /// The handler's response, or a 503 or 504.
    template <class Request, class... Args>
        requires std::invocable<const Handler&, Request, Args...>
    auto operator()(Request&& request, Args&&... args) const -> std::invoke_result_t<const Handler&, Request, Args...> {
        return serve<Request, Args...>(std::forward<Request>(request), std::forward<Args>(args)...);
    }

private:
    using clock = typename Guard::clock_type;

    struct by_status {
        const Adapter* adapter;

        template <class Response>
            requires(!std::same_as<Response, std::exception_ptr>)
        outcome operator()(const Response& response) const {
            if constexpr (requires { adapter->status(response); })
                return classify_http_status(static_cast<unsigned>(adapter->status(response)));
            else
                return outcome::success;
        }
    };

    // Lvalue arguments are references here, and rvalues are values.
    template <class Request, class... Args>
    auto serve(Request request, Args... args) const -> std::invoke_result_t<const Handler&, Request, Args...> {
        using response = typename detail::awaited<std::invoke_result_t<const Handler&, Request, Args...>>::result;
        static_assert(http_adapter<Adapter, std::remove_cvref_t<Request>, response>,
                      "the adapter must have header() for the request, and unavailable() and gateway_timeout() for "
                      "the response");
        // Now, because the handler may move the request away.
        const auto unavailable = adapter_.unavailable(std::as_const(request));
        const auto gateway_timeout = adapter_.gateway_timeout(std::as_const(request));
        error_code why_not;
        try {
            auto [error, answer] = co_await guard_->run_as_tuple(
                [&] { return std::invoke(handler_, std::forward<Request>(request), std::forward<Args>(args)...); },
                how_to_run(std::as_const(request)));
            if (!error)
                co_return std::move(*answer);
            why_not = error;
        } catch (const system_error& e) { // the handler's
            if (!is_flowguard_error(e.code()))
                throw;
            why_not = e.code();
        }
        if (!is_flowguard_error(why_not)) // it was cancelled while it waited
            throw system_error(why_not);
        if (why_not.value() == static_cast<int>(error::task_timeout))
            co_return gateway_timeout();
        co_return unavailable(retry_after(guard_->stats()));
    }

    template <class Request>
    run_options<by_status, clock> how_to_run(const Request& request) const {
        run_options<by_status, clock> how{.priority = options_.priority,
                                          .partition = options_.partition,
                                          .flow = options_.flow(request),
                                          .kind = options_.kind(request),
                                          .permits = options_.permits(request),
                                          .bypass = options_.bypass(request),
                                          .long_lived = options_.long_lived(request),
                                          .classify = {&adapter_}};
        if (!options_.deadline_header.empty())
            if (const auto timeout = detail::parse_timeout(adapter_.header(request, options_.deadline_header)))
                how.deadline = detail::end_after<clock>(*timeout);
        if (!options_.priority_header.empty())
            if (const auto told = detail::parse_priority(adapter_.header(request, options_.priority_header)))
                how.priority = *told;
        return how;
    }

    Guard* guard_;
    Handler handler_;
    Adapter adapter_;
    http_layer_options<Bypass, LongLived, Kind, Flow, Permits> options_;
};

} // namespace flowguard

#endif
