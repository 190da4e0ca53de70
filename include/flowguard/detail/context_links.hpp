// context_links.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTEXT_LINKS_HPP
#define FLOWGUARD_DETAIL_CONTEXT_LINKS_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "flowguard/detail/asio.hpp"

namespace flowguard::detail {

class context_registry;
class semaphore_state;

// One semaphore and one execution context whose callers have waited there. The semaphore's state owns it.
struct context_link {
    std::atomic<asio::execution_context*> context; // null: that context has gone, and the link may be reused
    context_link* next;                            // of the same state
    semaphore_state* const state;

    std::atomic<bool> timed{false}; // waits with timers of ours are known to the context

    // Written by the thread that links, and by the context's shutdown.
    std::shared_ptr<context_registry> registry{};

    // Under the registry's lock.
    context_link* ahead = nullptr;
    context_link* behind = nullptr;
    bool registered = false;
};

// The links of one context. Its service shares it with each link, so that either side may go first, at the same time
// even: the registry's lock decides which side takes a link out. No other code is called under the lock. Every step is
// O(1).
class context_registry {
public:
    context_registry() = default;
    context_registry(const context_registry&) = delete;
    context_registry& operator=(const context_registry&) = delete;

    void insert(context_link& link) {
        const std::lock_guard lock(mutex_);
        link.ahead = nullptr;
        link.behind = first_;
        if (first_ != nullptr)
            first_->ahead = &link;
        first_ = &link;
        link.registered = true;
    }

    // Unless it has been taken out before.
    void remove(context_link& link) {
        const std::lock_guard lock(mutex_);
        if (link.registered)
            take_out(link);
    }

    // Takes links out until `wants(link)`, and returns that link; null if there is none.
    template <class Predicate>
    context_link* take_first(Predicate wants) {
        const std::lock_guard lock(mutex_);
        while (context_link* link = first_) {
            take_out(*link);
            if (wants(*link))
                return link;
        }
        return nullptr;
    }

private:
    void take_out(context_link& link) noexcept {
        (link.ahead != nullptr ? link.ahead->behind : first_) = link.behind;
        if (link.behind != nullptr)
            link.behind->ahead = link.ahead;
        link.registered = false;
    }

    std::mutex mutex_;
    context_link* first_ = nullptr;
};

// The links of one semaphore: few, as contexts are. There are never more than there were contexts at the same time.
class context_links {
public:
    context_links() noexcept = default;
    context_links(const context_links&) = delete;
    context_links& operator=(const context_links&) = delete;

    // No other thread uses the state any more, but the shutdown of a context may see its links until they are taken
    // out.
    ~context_links() {
        for (context_link* l = first_.load(std::memory_order_relaxed); l != nullptr;) {
            context_link* next = l->next;
            if (l->registry != nullptr)
                l->registry->remove(*l);
            delete l;
            l = next;
        }
    }

    // Whether add() was called for a context that still exists, and, if `timed`, set_timed() as well. Linear in the
    // number of contexts, and lock-free.
    bool contains(const asio::execution_context& context, bool timed) const noexcept {
        // Acquire: pairs with the release that published the link.
        for (const context_link* l = first_.load(std::memory_order_acquire); l != nullptr; l = l->next)
            if (l->context.load(std::memory_order_relaxed) == &context)
                return !timed || l->timed.load(std::memory_order_relaxed);
        return false;
    }

    void set_timed(const asio::execution_context& context) noexcept {
        for (context_link* l = first_.load(std::memory_order_acquire); l != nullptr; l = l->next)
            if (l->context.load(std::memory_order_relaxed) == &context)
                l->timed.store(true, std::memory_order_relaxed);
    }

    // May throw std::bad_alloc. Locks the registry for O(1).
    void add(semaphore_state& state, asio::execution_context& context,
             const std::shared_ptr<context_registry>& registry) {
        context_link* link = reuse(context);
        if (link == nullptr)
            link = append(state, context);
        link->registry = registry;
        registry->insert(*link);
    }

    // For a link that was taken out of its registry because the context is being shut down, when the state no longer
    // has waiters of it. Release: pairs with reuse().
    static void make_reusable(context_link& link) noexcept {
        link.registry.reset();
        link.timed.store(false, std::memory_order_relaxed);
        link.context.store(nullptr, std::memory_order_release);
    }

private:
    // Acquire: sees what make_reusable() did.
    context_link* reuse(asio::execution_context& context) noexcept {
        for (context_link* l = first_.load(std::memory_order_acquire); l != nullptr; l = l->next) {
            asio::execution_context* none = nullptr;
            if (l->context.compare_exchange_strong(none, &context, std::memory_order_acquire,
                                                   std::memory_order_relaxed))
                return l;
        }
        return nullptr;
    }

    // Release: publishes the link.
    context_link* append(semaphore_state& state, asio::execution_context& context) {
        auto* added = new context_link{{&context}, first_.load(std::memory_order_relaxed), &state};
        while (!first_.compare_exchange_weak(added->next, added, std::memory_order_release,
                                             std::memory_order_relaxed)) {
        }
        return added;
    }

    std::atomic<context_link*> first_{nullptr};
};

} // namespace flowguard::detail

#endif
