// permit_word.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_PERMIT_WORD_HPP
#define FLOWGUARD_DETAIL_PERMIT_WORD_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flowguard::detail {

// The permits of a semaphore and the life of its state, in one atomic word, so that taking a permit
// and keeping the state alive is one step:
//
//   bits 32..63  available   signed; negative is debt, which releases pay before anyone is admitted
//   bit  31      contended   somebody waits, or the semaphore is closed: no short cuts
//   bits  0..30  references  one for the handle, one for each RAII permit, one for each context that
//                            the state is registered with, and short-lived ones; the state goes with
//                            the last of them
//
// Memory orders. Whoever takes a permit must see what its last holder did: takes acquire, gives
// release. Whoever drops the last reference destroys the state, and must see every other party's
// last use of it: drops are acquire and release. Adding a reference or debt publishes nothing and is
// relaxed.
class permit_word {
public:
    enum class given {
        done,      // nobody waited
        contended, // nothing was changed: somebody waits, or the semaphore is closed
        too_many   // nothing was changed: more than the most allowed would be available
    };

    explicit permit_word(std::size_t permits) noexcept : word_(permits * unit + reference) {}

    // Takes permits, with one reference or without, unless too few are available or somebody waits.
    bool try_take(std::size_t permits, bool with_reference) noexcept {
        const std::uint64_t step = permits * unit - (with_reference ? reference : 0);
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        while (suffices(w, permits) && (w & contended_bit) == 0)
            if (word_.compare_exchange_weak(w, w - step, std::memory_order_acquire, std::memory_order_relaxed))
                return true;
        return false;
    }

    // For the queue's owner. Takes permits with one reference for the first waiter; if it is the only
    // one, nobody waits from then on, in the same step. If too few are available, makes sure that the
    // next release will see that somebody waits.
    bool take_or_contend(std::size_t permits, bool only_waiter) noexcept {
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        for (;;) {
            const bool take = suffices(w, permits);
            if (!take && (w & contended_bit) != 0)
                return false;
            std::uint64_t next = take ? w - (permits * unit - reference) : w | contended_bit;
            if (take && only_waiter)
                next &= ~contended_bit;
            // Acquire for a take. Setting the bit reads nothing and publishes nothing: the releaser
            // that sees it goes on to the inbox, and synchronizes there.
            if (word_.compare_exchange_weak(w, next, std::memory_order_acquire, std::memory_order_relaxed))
                return take;
        }
    }

    // Returns permits with their reference, unless somebody waits. It is not the last reference: the
    // handle's is there until the word is contended for good.
    bool try_give_with_reference(std::size_t permits) noexcept {
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        while ((w & contended_bit) == 0)
            if (word_.compare_exchange_weak(w, w + (permits * unit - reference), std::memory_order_release,
                                            std::memory_order_relaxed))
                return true;
        return false;
    }

    // Adds permits, unless somebody waits or more than `most` would be available.
    given try_give(std::size_t permits, std::size_t most) noexcept {
        std::uint64_t w = word_.load(std::memory_order_relaxed);
        for (;;) {
            if (permits > most || available(w) > static_cast<std::int64_t>(most - permits))
                return given::too_many;
            if ((w & contended_bit) != 0)
                return given::contended;
            if (word_.compare_exchange_weak(w, w + permits * unit, std::memory_order_release,
                                            std::memory_order_relaxed))
                return given::done;
        }
    }

    // Adds permits whoever waits; the caller tells the queue's owner afterwards.
    void give(std::size_t permits) noexcept { word_.fetch_add(permits * unit, std::memory_order_release); }

    // The same, and takes a reference for the caller, who has yet to tell the owner.
    void give_and_refer(std::size_t permits) noexcept {
        word_.fetch_add(permits * unit + reference, std::memory_order_release);
    }

    // Takes permits away, into debt if need be.
    void withdraw(std::size_t permits) noexcept { word_.fetch_sub(permits * unit, std::memory_order_relaxed); }

    void refer() noexcept { word_.fetch_add(reference, std::memory_order_relaxed); }

    // True if those were the last references: the caller must destroy the state.
    [[nodiscard]] bool drop(std::size_t references) noexcept {
        const std::uint64_t before = word_.fetch_sub(references, std::memory_order_acq_rel);
        return (before & references_mask) == references;
    }

    // Relaxed: who waits is published through the inbox, before or after which these are ordered.
    void set_contended() noexcept { word_.fetch_or(contended_bit, std::memory_order_relaxed); }
    void clear_contended() noexcept { word_.fetch_and(~contended_bit, std::memory_order_relaxed); }
    bool contended() const noexcept { return (word_.load(std::memory_order_relaxed) & contended_bit) != 0; }

    // Negative in debt.
    std::int64_t balance() const noexcept { return available(word_.load(std::memory_order_relaxed)); }

    // What try_take could take: a permit on its way to a waiter is not available.
    std::size_t available() const noexcept {
        const std::uint64_t w = word_.load(std::memory_order_relaxed);
        return (w & contended_bit) == 0 && available(w) > 0 ? static_cast<std::size_t>(available(w)) : 0;
    }

private:
    static constexpr std::uint64_t unit = std::uint64_t{1} << 32;
    static constexpr std::uint64_t contended_bit = std::uint64_t{1} << 31;
    static constexpr std::uint64_t references_mask = contended_bit - 1;
    static constexpr std::uint64_t reference = 1;

    static constexpr std::int64_t available(std::uint64_t w) noexcept {
        return static_cast<std::int32_t>(static_cast<std::uint32_t>(w >> 32));
    }

    static constexpr bool suffices(std::uint64_t w, std::size_t permits) noexcept {
        return available(w) >= static_cast<std::int64_t>(permits);
    }

    std::atomic<std::uint64_t> word_;

    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

} // namespace flowguard::detail

#endif
