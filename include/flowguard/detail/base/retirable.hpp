// retirable.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_RETIRABLE_HPP
#define FLOWGUARD_DETAIL_BASE_RETIRABLE_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace flowguard::detail {

// An object that is destroyed before its holder, while other threads may be using it. An example is a guard's observer:
// it is destroyed with the guard, although tickets may keep the guard's state alive.
//
// A thread enters before it uses the object, and leaves afterwards. After retire(), no thread enters. The object
// is destroyed once, by retire() or by the last thread to leave after it. No operation waits for another.
//
// A thread that uses the object may retire it: the object is then destroyed when that thread leaves, or a later one.
// The holder must live until every call has returned, and every access is destroyed. The object's destructor runs
// inside one of these.
//
// The state, one atomic word:
//
//   bits 2..   threads inside, and for a moment those that come too late
//   bit  1     destroyed: one thread is destroying the object, or has done so
//   bit  0     retired
//
// Memory orders. Entering is relaxed: the object was published together with its holder, and only the order of changes
// of the word decides whether a thread entered before retire(). Leaving and retiring are acquire and release: the
// thread that destroys the object must see every other thread's last use of it, and what was done before retire().
template <class T>
class retirable {
public:
    // Access to the object; empty if the object is retired. The destructor leaves.
    class access {
    public:
        access(const access&) = delete;
        access& operator=(const access&) = delete;
        ~access() {
            if (holder_ != nullptr)
                holder_->leave();
        }

        explicit operator bool() const noexcept { return holder_ != nullptr; }
        T& operator*() const noexcept { return holder_->object_; }
        T* operator->() const noexcept { return std::addressof(holder_->object_); }

    private:
        friend retirable;
        explicit access(retirable* holder) noexcept : holder_(holder) {}

        retirable* const holder_;
    };

    template <class... Args>
    explicit retirable(std::in_place_t, Args&&... args) : object_(std::forward<Args>(args)...) {}

    retirable(const retirable&) = delete;
    retirable& operator=(const retirable&) = delete;

    // Called when no thread is inside.
    ~retirable() { retire(); }

    // Lock-free, and O(1), as is leaving.
    [[nodiscard]] access enter() noexcept {
        if ((state_.fetch_add(one_inside, std::memory_order_relaxed) & retired) == 0)
            return access(this);
        leave();
        return access(nullptr);
    }

    // Idempotent.
    void retire() noexcept {
        if ((state_.fetch_or(retired, std::memory_order_acq_rel) | retired) == retired)
            destroy_once();
    }

private:
    static constexpr std::uint64_t retired = 1;
    static constexpr std::uint64_t destroyed = 2;
    static constexpr std::uint64_t one_inside = 4;

    void leave() noexcept {
        if (state_.fetch_sub(one_inside, std::memory_order_acq_rel) == (one_inside | retired))
            destroy_once();
    }

    // Called by a thread that found the object retired, and no thread inside. Several threads may find that, because a
    // thread that enters too late is inside for a moment. If one is inside right now, this call does nothing, and that
    // thread finds the same as it leaves. Relaxed: the step that brought a thread here has shown it all that the users
    // of the object did.
    void destroy_once() noexcept {
        std::uint64_t nobody_inside = retired;
        if (state_.compare_exchange_strong(nobody_inside, retired | destroyed, std::memory_order_relaxed))
            std::destroy_at(std::addressof(object_));
    }

    std::atomic<std::uint64_t> state_{0};
    union {
        T object_;
    };

    static_assert(std::is_nothrow_destructible_v<T>);
};

} // namespace flowguard::detail

#endif
