// stream_reactors.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_GRPC_STREAM_REACTORS_HPP
#define FLOWGUARD_DETAIL_GRPC_STREAM_REACTORS_HPP

#include <type_traits>
#include <utility>

#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

namespace flowguard::detail {

template <class Request>
::grpc::ServerReadReactor<Request>* stream_base(const ::grpc::ServerReadReactor<Request>*);
template <class Response>
::grpc::ServerWriteReactor<Response>* stream_base(const ::grpc::ServerWriteReactor<Response>*);
template <class Request, class Response>
::grpc::ServerBidiReactor<Request, Response>* stream_base(const ::grpc::ServerBidiReactor<Request, Response>*);

// The class of gRPC that a user's reactor of a stream is derived from.
template <class Reactor>
using stream_base_of = std::remove_pointer_t<decltype(stream_base(static_cast<Reactor*>(nullptr)))>;

// A user's reactor, and the ticket of its stream. gRPC calls OnDone once, after all other reactions, OnCancel too, have
// returned. So nothing races with the ticket's return.
template <class Reactor, class Ticket>
class guarded_stream final : public Reactor {
    static_assert(!std::is_final_v<Reactor>, "flowguard: the reactor of a stream must not be final");

public:
    template <class... Args>
    explicit guarded_stream(Ticket admitted, Args&&... args)
        : Reactor(std::forward<Args>(args)...), ticket_(std::move(admitted)) {}

    void OnDone() override {
        const Ticket returned_last = std::move(ticket_);
        Reactor::OnDone(); // which deletes *this
    }

private:
    Ticket ticket_;
};

// Ends a stream that was not admitted. `Base` is gRPC's class.
template <class Base>
class rejected_stream final : public Base {
public:
    explicit rejected_stream(::grpc::Status why) { this->Finish(std::move(why)); }

    void OnDone() override { delete this; }
};

} // namespace flowguard::detail

#endif
