// grpc_layer.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that use gRPC's callback API. Not part of flowguard.hpp.

#ifndef FLOWGUARD_GRPC_GRPC_LAYER_HPP
#define FLOWGUARD_GRPC_GRPC_LAYER_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/status_code_enum.h>

#include "flowguard/classify.hpp"
#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/grpc/call_deadline.hpp"
#include "flowguard/detail/grpc/end_of_wait.hpp"
#include "flowguard/detail/grpc/status_in_any_case.hpp"
#include "flowguard/detail/grpc/stream_reactors.hpp"
#include "flowguard/detail/grpc/try_to_admit.hpp"
#include "flowguard/detail/http/header_value.hpp"
#include "flowguard/error.hpp"
#include "flowguard/grpc/grpc_rejection.hpp"
#include "flowguard/grpc/grpc_status.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/priority.hpp"
#include "flowguard/run_options.hpp"

namespace flowguard {

/// The options of a grpc_layer. Methods that differ in them have a layer each, of the same guard, or tell unary().
/// A stream has no priority and no kind, since it never waits and is no sample.
struct grpc_layer_options {
    /// The key of the client's metadata with the call's priority, by its name: see priority. In lower case, as gRPC
    /// sends all keys. By default no key is read, since any client could claim to be critical_plus. Name one, such as
    /// x-priority, if the clients are your own.
    std::string priority_header{};

    /// The priority of calls without that key.
    flowguard::priority priority = flowguard::priority::critical;

    /// The partition whose share of the limit the calls use: an index into guard_options::partitions.
    std::size_t partition = 0;

    /// The kind of the calls, if methods of different cost share the guard: see run_options::kind.
    std::size_t kind = 0;
};

/// An admitted unary call, for its handler. It exists until finish() is called, and until the handler has returned if
/// the handler calls finish() itself.
///
/// *Thread safety.* Any thread may call finish(), once.
class grpc_call : protected ::grpc::ServerUnaryReactor {
public:
    grpc_call(const grpc_call&) = delete;
    grpc_call& operator=(const grpc_call&) = delete;

    ::grpc::CallbackServerContext& context() const noexcept { return *context_; }

    using ::grpc::ServerUnaryReactor::StartSendInitialMetadata;

    /// Ends the call, and sends the response if the status is OK. The guard classifies the call by its status: see
    /// classify_grpc_status(). But if the client has left, no status reaches it. Then the call counts as dropped if the
    /// client's deadline has passed, or will pass within the last tenth of its time; otherwise it is ignored.
    void finish(::grpc::Status status) {
        const outcome how = outcome_of(status);
        finish(std::move(status), how);
    }

    /// The same, with an outcome of your own. For example, a call that a guard further inside rejected is best ignored,
    /// so that one overload does not lower two limits.
    void finish(::grpc::Status status, outcome how) {
        how_ = how;
        Finish(std::move(status)); // *this may be gone now
    }

protected:
    explicit grpc_call(::grpc::CallbackServerContext& context)
        : context_(&context), deadline_(context.deadline(), detail::call_deadline::clock::now()) {}
    ~grpc_call() override = default;

    const detail::call_deadline& deadline() const noexcept { return deadline_; }
    outcome how() const noexcept { return how_; }

private:
    outcome outcome_of(const ::grpc::Status& status) const {
        if (!context_->IsCancelled())
            return classify_grpc_status(status);
        return deadline_.explains_cancellation(detail::call_deadline::clock::now()) ? outcome::dropped
                                                                                    : outcome::ignored;
    }

    ::grpc::CallbackServerContext* context_;
    detail::call_deadline deadline_;
    outcome how_ = outcome::ignored;
};

/// Puts a guard in front of the methods of a server with gRPC's callback API: unary() in front of unary methods, and
/// stream() in front of the three kinds of streams. A unary method:
///
///     grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const Key* key, Row* row) override {
///         return guarded.unary(context, [=, this](flowguard::grpc_call& call) {
///             call.finish(look_up(*key, *row));
///         });
///     }
///
/// A call takes a ticket before its handler runs, and returns it in the reactor's OnDone: when the handler has finished
/// the call, and gRPC has sent the answer. If no permit is free, the call waits as in flow_guard::run(), for as long as
/// the guard's options and the client's deadline allow. A rejected call ends as grpc_rejection() says, with
/// RESOURCE_EXHAUSTED, or UNAVAILABLE if the guard is closed; `grpc-retry-pushback-ms` in the trailers tells the client
/// when to try again. A call whose deadline has passed at its arrival is not admitted.
///
/// The handler is any `void(grpc_call&)`. It may keep the address of the call, and finish it later, on any thread. It
/// must finish it in each case, whether or not the client has left: `call.context().IsCancelled()` tells that. If it
/// throws, the call ends with UNKNOWN, and default_classifier classifies the exception; it must not throw after it has
/// finished the call, or has passed it on to another thread. guard_options::timeout has no effect: a ticket has none.
///
/// *Executors.* If a permit is free, the handler runs at once, inside unary(), on a thread of gRPC. A call that had to
/// wait continues on the guard's executor: its handler runs there, and so does its timer. Make the guard with the
/// executor of an asio::thread_pool, or of a context that a thread runs. A guard without one continues on Asio's
/// system_executor, a pool of threads that Asio starts for the first such call. In both cases, several handlers may run
/// at a time, as always in gRPC.
///
/// *Cancellation.* If the client leaves while its call waits, the wait ends, and the handler never runs. The call may
/// be granted its permit at the same time. Then the permit is returned, or the handler runs. A stream never waits.
///
/// *Thread safety.* Calls may run at the same time.
///
/// *Lifetime.* The guard must outlive the layer, and the layer the server: grpc::Server::Shutdown() and Wait() end the
/// calls. If the guard's execution context is destroyed while a call waits there, the call ends with UNAVAILABLE.
///
/// *Memory.* A call allocates its reactor, and a waiter if it waits. If there is no memory for a waiter, the call ends
/// with UNAVAILABLE.
template <class Guard>
class grpc_layer {
public:
    /// Throws std::invalid_argument if the options name a partition, priority or kind that does not exist, or a key
    /// with an upper-case letter, which no client can send.
    explicit grpc_layer(Guard& guard, grpc_layer_options options = {}) : guard_(&guard), options_(std::move(options)) {
        static_cast<void>(guard.in_flight(options_.partition)); // checks that there is this partition
        detail::check_range("grpc_layer_options::priority", static_cast<std::size_t>(options_.priority), 0,
                            priority_count - 1);
        detail::check_range("grpc_layer_options::kind", options_.kind, 0, max_kinds - 1);
        if (std::any_of(options_.priority_header.begin(), options_.priority_header.end(),
                        [](char c) { return c >= 'A' && c <= 'Z'; }))
            throw std::invalid_argument("flowguard: grpc_layer_options::priority_header is '" +
                                        options_.priority_header + "', but must be in lower case");
    }

    /// Answers a call of a unary method: admits it and calls the handler, or lets it wait, or rejects it. Returns the
    /// reactor, for gRPC alone. Throws what moving the handler throws, and std::bad_alloc.
    template <std::invocable<grpc_call&> Handler>
    ::grpc::ServerUnaryReactor* unary(::grpc::CallbackServerContext* context, Handler handler) const {
        return unary(context, std::move(handler), options_of_all());
    }

    /// The same with options of this call in place of the layer's, such as its flow or its permits:
    ///
    ///     return guarded.unary(context, handler, {.flow = request->tenant(), .permits = cost_of(*request)});
    ///
    /// The priority in the client's metadata, if the layer reads it, and the client's deadline come before those here.
    /// If the options are out of range, the call ends with INTERNAL and the reason. With `long_lived`, for a long poll,
    /// a call that finds no place is shed. `timeout`, `bypass` and `classify` have no effect.
    template <std::invocable<grpc_call&> Handler>
    ::grpc::ServerUnaryReactor* unary(::grpc::CallbackServerContext* context, Handler handler,
                                      run_options<default_classifier, typename Guard::clock_type> options) const {
        return (new guarded_call<Handler>(*this, *context, std::move(handler)))->start(std::move(options));
    }

    /// Answers a call of a streaming method: admits it and makes its reactor, `new Reactor(args...)`, or rejects it.
    /// Returns the reactor, for gRPC alone: as a grpc::ServerReadReactor, ServerWriteReactor or ServerBidiReactor.
    ///
    ///     grpc::ServerWriteReactor<Event>* Watch(grpc::CallbackServerContext* context, const Topic* topic) override {
    ///         return guarded.stream<watch_reactor>(context, *topic);
    ///     }
    ///
    /// A stream lasts for as long as its client likes, so its length says nothing about the load. It is long-lived: it
    /// is admitted once, and runs beside the limit until its reactor's OnDone has returned. It never waits. If
    /// guard_options::max_long_lived such calls run, it is rejected at once, as a unary call is, and no Reactor is
    /// made. So is a stream that arrives after its deadline.
    ///
    /// `Reactor` is an ordinary reactor of gRPC, which knows nothing of the guard. stream() derives a class from it, to
    /// know when it is done: so it must not be final, and its OnDone must be public or protected. As in gRPC without a
    /// guard, its constructor may start reads and writes, OnCancel must see to it that the stream is finished, and
    /// OnDone deletes the reactor.
    ///
    /// The constructor gets the arguments as they are, references too, and runs inside stream(). If it throws, the call
    /// ends with UNKNOWN. Throws std::bad_alloc if there is no memory for the reactor of a rejected call.
    template <class Reactor, class... Args>
        requires std::constructible_from<Reactor, Args...>
    detail::stream_base_of<Reactor>* stream(::grpc::CallbackServerContext* context, Args&&... args) const {
        using rejected = detail::rejected_stream<detail::stream_base_of<Reactor>>;
        options_of_call how = options_of_all();
        how.deadline = detail::call_deadline(context->deadline(), detail::call_deadline::clock::now())
                           .template in_time_of<clock>();
        how.long_lived = true;
        ticket admitted;
        if (const error_code error = detail::try_to_admit(*guard_, how, admitted))
            return new rejected(grpc_rejection(*context, guard_->stats(), error));
        try {
            return new detail::guarded_stream<Reactor, ticket>(std::move(admitted), std::forward<Args>(args)...);
        } catch (...) {
            return new rejected(detail::status_in_any_case(::grpc::StatusCode::UNKNOWN,
                                                           "the stream's reactor has thrown an exception"));
        }
    }

private:
    using clock = typename Guard::clock_type;
    using options_of_call = run_options<default_classifier, clock>;
    using ticket = typename Guard::ticket;

    options_of_call options_of_all() const {
        return {.priority = options_.priority, .partition = options_.partition, .kind = options_.kind};
    }

    // Deletes itself in OnDone. gRPC calls OnDone once, when unary() has returned, the call is finished, and OnCancel
    // does not run.
    template <class Handler>
    class guarded_call final : public grpc_call {
    public:
        guarded_call(const grpc_layer& layer, ::grpc::CallbackServerContext& context, Handler handler)
            : grpc_call(context), layer_(&layer), handler_(std::move(handler)) {}

        ::grpc::ServerUnaryReactor* start(options_of_call options) noexcept {
            how_to_run_ = std::move(options);
            layer_->read_metadata(context(), how_to_run_);
            if (deadline().exists())
                how_to_run_.deadline = deadline().template in_time_of<clock>();
            try {
                admit();
            } catch (const std::invalid_argument& e) { // the options
                finish(detail::status_in_any_case(::grpc::StatusCode::INTERNAL, e.what()), outcome::ignored);
            }
            return this;
        }

        // For the wait: see detail::end_of_wait.
        Guard& guard() const noexcept { return *layer_->guard_; }
        asio::cancellation_signal& leaves() noexcept { return leaves_; }
        void has_waited(error_code error, ticket admitted) {
            if (!error && context().IsCancelled())
                error = asio::error::operation_aborted;
            else if (!error && is_over())
                error = flowguard::error::wait_timeout;
            if (error) {
                admitted.ignore();
                return reject(error);
            }
            ticket_ = std::move(admitted);
            run();
        }
        void was_given_up() {
            finish(detail::status_in_any_case(::grpc::StatusCode::UNAVAILABLE, "the wait for a permit was given up"),
                   outcome::ignored);
        }

    private:
        void admit() {
            if (const error_code error = detail::try_to_admit(guard(), how_to_run_, ticket_))
                reject(error);
            else if (ticket_)
                run();
            else
                wait();
        }

        bool is_over() const noexcept { return detail::has_passed<clock>(how_to_run_.deadline); }

        // gRPC calls OnCancel only after unary() has returned. By then the wait has been started, so the slot is not
        // being filled any more, and the signal may be emitted at any time: also while the wait ends, and after it.
        void OnCancel() override { leaves_.emit(asio::cancellation_type::terminal); }

        void OnDone() override {
            ticket_.finish(how());
            delete this;
        }

        void wait() noexcept {
            try {
                guard().async_acquire(how_to_run_, detail::end_of_wait<Guard, guarded_call>(*this));
            } catch (...) { // no memory: the handler was destroyed, which has ended the call
            }
        }

        void reject(const error_code& why) {
            finish(grpc_rejection(context(), guard().stats(), why), outcome::ignored);
        }

        void run() {
            try {
                handler_(static_cast<grpc_call&>(*this));
            } catch (...) {
                finish(detail::status_in_any_case(::grpc::StatusCode::UNKNOWN, "the handler has thrown an exception"),
                       default_classifier{}(std::current_exception()));
            }
        }

        const grpc_layer* layer_;
        Handler handler_;
        options_of_call how_to_run_{};
        ticket ticket_;
        asio::cancellation_signal leaves_; // the client does
    };

    void read_metadata(const ::grpc::ServerContextBase& context, options_of_call& how) const {
        if (options_.priority_header.empty())
            return;
        try {
            const auto& metadata = context.client_metadata();
            if (const auto found = metadata.find(options_.priority_header); found != metadata.end())
                if (const auto told =
                        detail::parse_priority(std::string_view(found->second.data(), found->second.size())))
                    how.priority = *told;
        } catch (const std::bad_alloc&) { // for gRPC's map of the metadata: the call is one without that key
        }
    }

    Guard* guard_;
    grpc_layer_options options_;
};

} // namespace flowguard

#endif
