// retirable.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_RETIRABLE_HPP
#define FLOWGUARD_DETAIL_RETIRABLE_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace flowguard::detail {

// An object that goes before its holder does, while other threads may be using it: a guard's observer, say, which goes
// with the guard, although tickets keep the guard's state alive.
//
// A thread enters before it uses the object, and leaves afterwards. After retire(), no thread enters. The object
// is destroyed once, by retire() or by the last thread to leave after it. No operation waits for another.
//
// A thread that uses the object may retire it: the object is then destroyed as that thread leaves. The holder must
// live until every call has returned, and until every access is gone; mind that the object's destructor runs in one of
// them.
//
// The state, one atomic word:
//
//   bits 2..   threads inside, and for a moment those that come too late
//   bit  1     destroyed: some thread has taken it on to destroy the object
//   bit  0     retired
//
// Memory orders. Entering is relaxed: the object was published together with its holder, and the order of changes of
// the word alone decides whether a thread entered before retire(). Leaving and retiring are acquire and release: the
// thread that destroys the object must see every other thread's last use of it, and what was done before retire().
template <class T>
class retirable {
public:
    // Access to the object, or to nothing if that is retired. Leaves when it is destroyed.
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

    // No thread is inside.
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

    // For a thread that found no thread inside a retired object. A thread that came too late may have been inside for a
    // moment, so that several threads may find that. If one is inside right now, it will find the same as it leaves.
    // Relaxed: each of them has seen, by what brought it here, everything of those that used the object.
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
