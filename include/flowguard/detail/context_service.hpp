// context_service.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTEXT_SERVICE_HPP
#define FLOWGUARD_DETAIL_CONTEXT_SERVICE_HPP

#include <atomic>

#include "flowguard/detail/asio.hpp"
#include "flowguard/detail/semaphore_state.hpp"

namespace flowguard::detail {

// Lets an execution context be destroyed while some of its callers wait for a permit: they are then
// ended, their handlers uncalled, as Asio ends every operation of a context that goes.
//
// A semaphore may meet many contexts and a context many semaphores, and either may go first. So each
// knows the other: the state by its list of linked contexts, the service by a reference to the state.
class context_service : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;

    explicit context_service(asio::execution_context& context) : service(context) {}

    ~context_service() override {
        for (slot* s = slots_.load(std::memory_order_relaxed); s != nullptr;) {
            slot* next = s->next;
            if (s->state != nullptr) {
                s->state->unlink(context());
                s->state->drop_references(1);
            }
            delete s;
            s = next;
        }
    }

    // Called before the first wait of a handler of this context at a semaphore. Linear in the number
    // of semaphores that this context has met and that still exist.
    void attach(semaphore_state& state) {
        if (!reuse_slot(state)) {
            auto* added = new slot{{}, &state, slots_.load(std::memory_order_relaxed)};
            state.add_reference();
            // Release: shutdown() and other attach() calls read the slot.
            while (!slots_.compare_exchange_weak(added->next, added, std::memory_order_release,
                                                 std::memory_order_relaxed)) {
            }
        }
        state.link(context());
    }

private:
    struct slot {
        std::atomic_flag claimed; // whoever set it may use `state`
        semaphore_state* state;
        slot* next;
    };

    void shutdown() override {
        for (slot* s = slots_.load(std::memory_order_acquire); s != nullptr; s = s->next)
            if (s->state != nullptr)
                s->state->abandon(context());
    }

    // Takes the slot of a semaphore that exists for us alone any more.
    bool reuse_slot(semaphore_state& state) noexcept {
        for (slot* s = slots_.load(std::memory_order_acquire); s != nullptr; s = s->next) {
            // Acquire and release hand `state` from one claim to the next.
            if (s->claimed.test_and_set(std::memory_order_acquire))
                continue;
            const bool reusable = s->state->is_retired();
            if (reusable) {
                s->state->drop_references(1);
                s->state = &state;
                state.add_reference();
            }
            s->claimed.clear(std::memory_order_release);
            if (reusable)
                return true;
        }
        return false;
    }

    std::atomic<slot*> slots_{nullptr};
};

inline void link_context(semaphore_state& state, asio::execution_context& context) {
    if (!state.is_linked(context))
        asio::use_service<context_service>(context).attach(state);
}

} // namespace flowguard::detail

#endif
