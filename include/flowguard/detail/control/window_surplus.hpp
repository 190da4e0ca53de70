// window_surplus.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_WINDOW_SURPLUS_HPP
#define FLOWGUARD_DETAIL_CONTROL_WINDOW_SURPLUS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace flowguard::detail {

// The surplus of a window's members that have not left: their permits beyond one each. A member with one permit does
// not use it.
//
// The surplus of each member is either here, or with the party that took it by end(), for ever. Each step is one
// read-modify-write of one word, which also has the generation. So a member knows where its surplus is: here, exactly
// if the generation is still its own. Relaxed: the word publishes nothing else.
class window_surplus {
public:
    // Adds the surplus of a member of that generation. Returns false if that generation has ended.
    [[nodiscard]] bool hold(std::uint32_t generation, std::uint32_t surplus) noexcept {
        return step(generation, [surplus](std::uint64_t word) { return word + surplus; });
    }

    // Takes away what hold() has added. Returns false if end() has taken it, or hold() has returned false.
    [[nodiscard]] bool release(std::uint32_t generation, std::uint32_t surplus) noexcept {
        return step(generation, [surplus](std::uint64_t word) { return word - surplus; });
    }

    // Ends the generation before this one. Returns the surplus of members that have not left. If it has ended already,
    // there is none.
    std::size_t end_before(std::uint32_t generation) noexcept {
        return word_.exchange(std::uint64_t{generation} << 32, std::memory_order_relaxed) & surplus_mask;
    }

private:
    static constexpr std::uint64_t surplus_mask = (std::uint64_t{1} << 32) - 1;

    template <class F>
    bool step(std::uint32_t generation, F next) noexcept {
        std::uint64_t word = word_.load(std::memory_order_relaxed);
        do {
            if (word >> 32 != generation)
                return false;
        } while (!word_.compare_exchange_weak(word, next(word), std::memory_order_relaxed, std::memory_order_relaxed));
        return true;
    }

    std::atomic<std::uint64_t> word_{0}; // bits 0..31: the surplus; above: the generation
};

} // namespace flowguard::detail

#endif
