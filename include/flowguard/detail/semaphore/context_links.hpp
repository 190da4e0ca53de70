// context_links.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SEMAPHORE_CONTEXT_LINKS_HPP
#define FLOWGUARD_DETAIL_SEMAPHORE_CONTEXT_LINKS_HPP

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/append_only_list.hpp"

namespace flowguard::detail {

class context_registry;
class semaphore_state;

// Links one semaphore and one execution context whose callers have waited at that semaphore. The semaphore's state owns
// the link.
struct context_link {
    context_link(asio::execution_context& of, semaphore_state& waited_for) noexcept
        : context(&of), state(&waited_for) {}

    std::atomic<asio::execution_context*> context; // null: the context was destroyed, and the link may be reused
    semaphore_state* const state;

    std::atomic<bool> timed{false}; // the context is prepared for waits with timers of ours

    // Written by the thread that adds the link, and by the context's shutdown.
    std::shared_ptr<context_registry> registry{};

    // Protected by the registry's lock.
    context_link* previous = nullptr;
    context_link* next = nullptr;
    bool registered = false;
};

// The links of one context. The context's service shares it with each link, so that either side may be destroyed first,
// or both at the same time: the registry's lock decides which side takes a link out. No code of users runs under the
// lock. Every step is O(1) for each link that it takes out or puts in.
class context_registry {
public:
    context_registry() = default;
    context_registry(const context_registry&) = delete;
    context_registry& operator=(const context_registry&) = delete;

    void insert(context_link& link) {
        const std::lock_guard lock(mutex_);
        link.previous = nullptr;
        link.next = first_;
        if (first_ != nullptr)
            first_->previous = &link;
        first_ = &link;
        link.registered = true;
    }

    // Takes a link out, unless that was done before.
    void remove(context_link& link) {
        const std::lock_guard lock(mutex_);
        if (link.registered)
            take_out(link);
    }

    // Takes links out until `wants(link)` is true, and returns that link; null if there is none.
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
        (link.previous != nullptr ? link.previous->next : first_) = link.next;
        if (link.next != nullptr)
            link.next->previous = link.previous;
        link.registered = false;
    }

    std::mutex mutex_;
    context_link* first_ = nullptr;
};

// The links of one semaphore. They are few, since contexts are few: never more than the contexts that existed at the
// same time.
class context_links {
public:
    context_links() noexcept = default;
    context_links(const context_links&) = delete;
    context_links& operator=(const context_links&) = delete;

    // No other thread uses the state any more. But the shutdown of a context may see the links until they are taken out
    // of its registry.
    ~context_links() {
        links_.find_if([](context_link& l) {
            if (l.registry != nullptr)
                l.registry->remove(l);
            return false;
        });
    }

    // Whether add() was called for this context, and, if `timed`, set_timed() as well. Complexity: linear in the number
    // of contexts. Lock-free.
    bool contains(const asio::execution_context& context, bool timed) const noexcept {
        const context_link* l = find(context);
        return l != nullptr && (!timed || l->timed.load(std::memory_order_relaxed));
    }

    void set_timed(const asio::execution_context& context) noexcept {
        if (context_link* l = find(context))
            l->timed.store(true, std::memory_order_relaxed);
    }

    // May throw std::bad_alloc. Locks the registry for O(1) steps.
    void add(semaphore_state& state, asio::execution_context& context,
             const std::shared_ptr<context_registry>& registry) {
        context_link* link = reuse(context);
        if (link == nullptr)
            link = &links_.add(context, state);
        link->registry = registry;
        registry->insert(*link);
    }

    // Called for a link that was taken out of its registry because its context is being shut down, once the state has
    // no waiters of that context any more. Release: pairs with reuse().
    static void make_reusable(context_link& link) noexcept {
        link.registry.reset();
        link.timed.store(false, std::memory_order_relaxed);
        link.context.store(nullptr, std::memory_order_release);
    }

private:
    context_link* find(const asio::execution_context& context) const noexcept {
        return links_.find_if(
            [&](const context_link& l) { return l.context.load(std::memory_order_relaxed) == &context; });
    }

    // Acquire: sees what make_reusable() did.
    context_link* reuse(asio::execution_context& context) noexcept {
        return links_.find_if([&](context_link& l) {
            asio::execution_context* none = nullptr;
            return l.context.compare_exchange_strong(none, &context, std::memory_order_acquire,
                                                     std::memory_order_relaxed);
        });
    }

    append_only_list<context_link> links_;
};

} // namespace flowguard::detail

#endif
