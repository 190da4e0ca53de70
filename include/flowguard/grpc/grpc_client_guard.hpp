// grpc_client_guard.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For clients that use gRPC. Not part of flowguard.hpp.

#ifndef FLOWGUARD_GRPC_GRPC_CLIENT_GUARD_HPP
#define FLOWGUARD_GRPC_GRPC_CLIENT_GUARD_HPP

#include <atomic>
#include <concepts>
#include <exception>
#include <stdexcept>
#include <utility>

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/interceptor.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/status_code_enum.h>

#include "flowguard/classify.hpp"
#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/asio/deadline.hpp"
#include "flowguard/detail/grpc/call_deadline.hpp"
#include "flowguard/detail/grpc/end_of_wait.hpp"
#include "flowguard/detail/grpc/status_in_any_case.hpp"
#include "flowguard/detail/grpc/try_to_admit.hpp"
#include "flowguard/error.hpp"
#include "flowguard/grpc/grpc_rejection.hpp"
#include "flowguard/grpc/grpc_status.hpp"
#include "flowguard/outcome.hpp"
#include "flowguard/run_options.hpp"

namespace flowguard {

namespace detail {

template <class Clock>
struct same_for_all_calls {
    run_options<default_classifier, Clock> operator()(const ::grpc::experimental::ClientRpcInfo&) const { return {}; }
};

} // namespace detail

/// Puts a guard in front of all calls that a client makes through one channel of gRPC. It is a factory of interceptors:
///
///     std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
///     interceptors.push_back(std::make_unique<flowguard::grpc_client_guard<flowguard::flow_guard<>>>(guard));
///     auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
///         "rows.example:443", credentials, {}, std::move(interceptors));
///
/// It works for all of gRPC's client APIs: blocking, callbacks, and completion queues. A unary call takes a ticket
/// before it is sent, and returns it when its status has come. If no permit is free, the call waits as in
/// flow_guard::run(), for as long as the guard's options and the call's own deadline allow. classify_grpc_status()
/// classifies the call by its status. A retry by gRPC itself, from a `retryPolicy`, is part of its call, and of the
/// call's RTT. A stream is long-lived, so it runs beside the limit: see run_options::long_lived.
///
/// A rejected call is never sent. It ends with the status of grpc_rejection(), or with DEADLINE_EXCEEDED if its
/// deadline has passed before it was admitted.
///
/// `options(call)` tells how each call is run, as run_options: its priority, partition, flow, kind or permits, by
/// `call.method()` for example. A deadline there has no effect if the call has one, nor have `timeout` and `classify`.
/// A call with `bypass`, such as a health check, is made without the guard. If the options are out of range, the call
/// ends with INVALID_ARGUMENT and the reason; if the function throws, it ends with UNKNOWN, and with what() of a
/// std::exception. By default, all calls are run alike.
///
/// *Executors.* If a permit is free, the call goes on at once, on the calling thread. A call that had to wait continues
/// on the guard's executor. A thread that makes a blocking call waits until then, so it must not be one that runs this
/// executor. A guard without an executor continues on Asio's system_executor, a pool of threads that Asio starts for
/// the first such call.
///
/// *Cancellation.* `ClientContext::TryCancel()` ends the wait of a call: it then ends with CANCELLED. If the call was
/// made with `ClientContext::FromServerContext()`, and that server's call is cancelled, gRPC does not tell its
/// interceptors. Then a call that waits may stay in line until its wait ends; it is not sent.
///
/// *Thread safety.* Calls may be made at the same time if the options function may be called so. It is called as const.
///
/// *Lifetime.* The guard must outlive the channel and its calls. If the guard's execution context is destroyed while a
/// call waits there, the call ends with UNAVAILABLE.
///
/// *Memory.* A call allocates its interceptor, and a waiter if it waits.
///
/// gRPC calls its interceptors experimental; they have not changed since gRPC 1.16.
template <class Guard, class Options = detail::same_for_all_calls<typename Guard::clock_type>>
    requires std::invocable<const Options&, ::grpc::experimental::ClientRpcInfo&>
class grpc_client_guard final : public ::grpc::experimental::ClientInterceptorFactoryInterface {
public:
    /// Throws what moving the options throws.
    explicit grpc_client_guard(Guard& guard, Options options = {}) : guard_(&guard), options_(std::move(options)) {}

    /// For gRPC alone. Throws std::bad_alloc.
    ::grpc::experimental::Interceptor* CreateClientInterceptor(::grpc::experimental::ClientRpcInfo* call) override {
        options_of_call how;
        ::grpc::Status rejected;
        try {
            how = std::as_const(options_)(*call);
        } catch (const std::exception& e) { // gRPC would never free the call
            rejected = detail::status_in_any_case(::grpc::StatusCode::UNKNOWN, e.what());
        } catch (...) {
            rejected = detail::status_in_any_case(::grpc::StatusCode::UNKNOWN,
                                                  "the options of the call have thrown an exception");
        }
        return how.bypass ? nullptr : new guarded_call(*guard_, *call, std::move(how), std::move(rejected));
    }

private:
    using batch = ::grpc::experimental::InterceptorBatchMethods;
    using clock = typename Guard::clock_type;
    using options_of_call = run_options<default_classifier, clock>;
    using ticket = typename Guard::ticket;

    // Of one call. gRPC destroys it with the call's context: so after its status has come, and all its batches have
    // ended. It may do so as soon as the last batch has proceeded.
    class guarded_call final : public ::grpc::experimental::Interceptor {
    public:
        // Not OK: `rejected` is the status that the call ends with.
        guarded_call(Guard& guard, ::grpc::experimental::ClientRpcInfo& call, options_of_call how,
                     ::grpc::Status rejected)
            : guard_(&guard),
              context_(call.client_context()),
              deadline_(context_->deadline(), detail::call_deadline::clock::now()),
              how_to_run_(std::move(how)),
              rejected_(std::move(rejected)) {
            if (deadline_.exists())
                how_to_run_.deadline = deadline_.in_time_of<clock>();
            if (call.type() != ::grpc::experimental::ClientRpcInfo::Type::UNARY)
                how_to_run_.long_lived = true;
        }

        void Intercept(batch* now) override {
            using hook = ::grpc::experimental::InterceptionHookPoints;
            if (now->QueryInterceptionHookPoint(hook::PRE_SEND_CANCEL)) // comes alone, at any time, and proceeds itself
                return cancel();
            if (now->QueryInterceptionHookPoint(hook::PRE_SEND_INITIAL_METADATA))
                return admit(*now);
            if (now->QueryInterceptionHookPoint(hook::POST_RECV_STATUS))
                end(*now->GetRecvStatus());
            now->Proceed();
        }

        // For the wait: see detail::end_of_wait.
        Guard& guard() const noexcept { return *guard_; }
        asio::cancellation_signal& leaves() noexcept { return leaves_; }
        void has_waited(error_code error, ticket admitted) {
            end_wait(error ? status_of(error) : ::grpc::Status::OK, std::move(admitted));
        }
        void was_given_up() {
            end_wait(detail::status_in_any_case(::grpc::StatusCode::UNAVAILABLE, "the wait for a permit was given up"),
                     ticket());
        }

    private:
        static constexpr unsigned started = 1;
        static constexpr unsigned ended = 2;
        static constexpr unsigned cancelled = 4;
        static constexpr unsigned over = 8; // the status has come

        void admit(batch& now) {
            held_back_ = &now;
            if (!rejected_.ok())
                return go_on();
            error_code error;
            try {
                error = detail::try_to_admit(*guard_, how_to_run_, ticket_);
            } catch (const std::invalid_argument& e) { // the options
                return reject(detail::status_in_any_case(::grpc::StatusCode::INVALID_ARGUMENT, e.what()));
            }
            if (error)
                reject(status_of(error));
            else if (ticket_)
                go_on();
            else
                wait();
        }

        // While the wait is being started, no other thread may emit the signal, whose slot is being filled. And *this
        // must stay. So if the call is cancelled meanwhile, or the wait ends, this thread does what is next.
        void wait() noexcept {
            try {
                guard_->async_acquire(how_to_run_, detail::end_of_wait<Guard, guarded_call>(*this));
            } catch (...) { // no memory: the handler was destroyed, which has ended the wait
            }
            unsigned found = 0;
            // Release: the thread that ends the wait, or the call, goes on with *this. Acquire: the thread that has
            // ended the wait left its result.
            while (!progress_.compare_exchange_weak(found, found | started, std::memory_order_acq_rel,
                                                    std::memory_order_acquire))
                if (found == cancelled)
                    leaves_.emit(asio::cancellation_type::terminal);
            if ((found & ended) != 0)
                go_on();
        }

        // The call was cancelled. gRPC says so at any time, and perhaps more than once.
        void cancel() {
            // Acquire: the wait was started before. Release: as above.
            if ((progress_.fetch_or(cancelled, std::memory_order_acq_rel) & ~over) == started)
                leaves_.emit(asio::cancellation_type::terminal);
        }

        void end_wait(::grpc::Status rejected, ticket admitted) {
            rejected_ = std::move(rejected);
            ticket_ = std::move(admitted);
            // Release: the thread that has started the wait may go on, and end() reads the result. Acquire: the wait
            // was started.
            const unsigned found = progress_.fetch_or(ended, std::memory_order_acq_rel);
            if ((found & over) != 0)
                ticket_.ignore();
            if ((found & started) != 0)
                go_on();
        }

        // *this may be gone afterwards.
        void go_on() {
            if (!rejected_.ok())
                context_->TryCancel(); // so gRPC does not send the call
            held_back_->Proceed();
        }

        void reject(::grpc::Status why) {
            rejected_ = std::move(why); // end() puts it into the place of gRPC's own
            go_on();
        }

        ::grpc::Status status_of(const error_code& why) const noexcept {
            if (why == flowguard::error::wait_timeout && detail::has_passed<clock>(how_to_run_.deadline))
                return detail::status_in_any_case(::grpc::StatusCode::DEADLINE_EXCEEDED,
                                                  [&why] { return why.message(); });
            return grpc_rejection(why);
        }

        // If gRPC receives the status apart from what it sends, it may end a call that waits: because of its deadline,
        // or because the call was cancelled. Then that status stays, and the wait has no use any more.
        void end(::grpc::Status& status) {
            // Acquire: the result of the wait. Release: the thread that ends the wait goes on with *this.
            const unsigned found = progress_.fetch_or(over, std::memory_order_acq_rel);
            if ((found & (started | ended)) == started)
                return cancel();
            if (!rejected_.ok())
                status = std::move(rejected_); // whose code stays
            else
                ticket_.finish(classify_grpc_status(status));
        }

        Guard* guard_;
        ::grpc::ClientContext* context_;
        detail::call_deadline deadline_;
        options_of_call how_to_run_;
        batch* held_back_ = nullptr; // until the call is admitted or rejected
        ticket ticket_;
        ::grpc::Status rejected_; // why; OK: it was not
        std::atomic<unsigned> progress_{0}; // of a wait: the bits above
        asio::cancellation_signal leaves_; // the wait
    };

    Guard* guard_;
    Options options_;
};

} // namespace flowguard

#endif
