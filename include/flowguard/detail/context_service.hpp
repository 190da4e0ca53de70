// context_service.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTEXT_SERVICE_HPP
#define FLOWGUARD_DETAIL_CONTEXT_SERVICE_HPP

#include <memory>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/context_links.hpp"
#include "flowguard/detail/semaphore_state.hpp"
#include "flowguard/detail/visibility.hpp"

namespace flowguard::detail {

// Lets an execution context be destroyed while some of its callers wait for a permit: they are then
// ended, their handlers uncalled, as Asio ends every operation of a context that goes.
//
// A context keeps no semaphore alive: a state that is destroyed takes itself out of the registry of each context. Only
// while the waiters of one state are ended does the context's shutdown hold a reference to it.
//
// Visible: whichever shared library looks for the service of a context must find the same.
class FLOWGUARD_DETAIL_VISIBLE context_service : public asio::execution_context::service {
public:
    FLOWGUARD_DETAIL_VISIBLE static inline asio::execution_context::id id;

    explicit context_service(asio::execution_context& context)
        : service(context), registry_(std::make_shared<context_registry>()) {}

    // A handler that was destroyed during the context's shutdown may have started another wait since.
    ~context_service() override { abandon_all(); }

    void attach(semaphore_state& state) { state.contexts().add(state, context(), registry_); }

    // Handlers are destroyed, and states with the last reference, while the registry is not locked.
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

// Ends the waits of a context before its timers go. Asio shuts services down the newest first, and the shutdown of
// timers is not synchronized with a thread that cancels one. So where we have a timer in a context, this service is
// made after that, and is shut down before it.
class FLOWGUARD_DETAIL_VISIBLE timer_sentinel : public asio::execution_context::service {
public:
    FLOWGUARD_DETAIL_VISIBLE static inline asio::execution_context::id id;

    explicit timer_sentinel(asio::execution_context& context)
        : service(context), contexts_(asio::use_service<context_service>(context)) {}

private:
    void shutdown() override { contexts_.abandon_all(); }

    context_service& contexts_;
};

// Called before a wait whose handler belongs to the context. If `timed`, there may be timers of ours in the context:
// `prepare_timers()` then makes the services that they need. The first wait of a context at a semaphore, and the first
// that is timed, take short locks, whose sections are O(1) but for Asio's search through the context's services:
// Asio's, to find the service, and the registry's. All others are lock-free. May throw std::bad_alloc.
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
