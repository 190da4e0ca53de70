// context_service.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_CONTEXT_SERVICE_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_CONTEXT_SERVICE_HPP

#include <memory>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/visibility.hpp"
#include "flowguard/detail/semaphore/context_links.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"

namespace flowguard::detail {

// Lets an execution context be destroyed while some of its callers wait for a permit. Their waits then end, and their
// handlers are destroyed uncalled, as Asio does with every operation of a context that is destroyed.
//
// A context keeps no semaphore alive: a state that is destroyed takes itself out of the registry of each context. The
// context's shutdown holds a reference to a state only while it ends the waiters of that state.
//
// Visible: all shared libraries of a program must find the same service of a context.
class FLOWGUARD_DETAIL_VISIBLE context_service : public asio::execution_context::service {
public:
    FLOWGUARD_DETAIL_VISIBLE static inline asio::execution_context::id id;

    explicit context_service(asio::execution_context& context)
        : service(context), registry_(std::make_shared<context_registry>()) {}

    // Ends waits that were started since shutdown(): a handler may start one as it is destroyed.
    ~context_service() override { abandon_all(); }

    void attach(semaphore_state& state) { state.contexts().add(state, context(), registry_); }

    // The registry is not locked while a handler is destroyed, or a state with its last reference.
    void abandon_all() {
        // A state without references is being destroyed on another thread, and has no waiters.
        const auto refer = [](context_link& l) { return l.state->try_add_reference(); };
        while (context_link* link = registry_->take_first(refer)) {
            semaphore_state& state = *link->state;
            state.abandon(context());
            context_links::make_reusable(*link);
            state.drop_references(1);
        }
    }

private:
    void shutdown() override { abandon_all(); }

    const std::shared_ptr<context_registry> registry_;
};

// Ends the waits of a context before Asio shuts down its timers. Asio shuts down the newest service first, and the
// shutdown of timers is not synchronized with a thread that cancels a timer. So if FlowGuard has a timer in a context,
// this service is made after the service that keeps them, and is shut down before it. One is enough for timers of all
// clocks: Asio keeps them in one place, its reactor, which the first timer makes.
class FLOWGUARD_DETAIL_VISIBLE timer_sentinel : public asio::execution_context::service {
public:
    FLOWGUARD_DETAIL_VISIBLE static inline asio::execution_context::id id;

    explicit timer_sentinel(asio::execution_context& context)
        : service(context), contexts_(asio::use_service<context_service>(context)) {}

private:
    void shutdown() override { contexts_.abandon_all(); }

    context_service& contexts_;
};

// Called before a wait whose handler belongs to the context. If `timed`, FlowGuard may have timers in the context, and
// `prepare_timers()` makes the services that they need. The first wait of a context at a semaphore, and the first timed
// one, take short locks: Asio's, to find the service, and the registry's. What is done under them is O(1), except for
// Asio's search through the context's services. All other waits take no lock here. May throw std::bad_alloc.
template <class F>
void link_context(semaphore_state& state, asio::execution_context& context, bool timed, F prepare_timers) {
    if (state.contexts().contains(context, timed))
        return;
    if (timed)
        prepare_timers();
    if (!state.contexts().contains(context, false))
        asio::use_service<context_service>(context).attach(state);
    if (timed) {
        asio::use_service<timer_sentinel>(context);
        state.contexts().set_timed(context);
    }
}

} // namespace flowguard::detail

#endif
