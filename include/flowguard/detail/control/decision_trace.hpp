// decision_trace.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_DECISION_TRACE_HPP
#define FLOWGUARD_DETAIL_CONTROL_DECISION_TRACE_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "flowguard/limit_decision.hpp"

namespace flowguard::detail {

// The latest decisions. The first one makes the memory for all of them. If there is none, that decision is not kept,
// and the next one tries again.
//
// One thread at a time writes decisions, and any thread may read them, without a lock: each slot is a sequence lock (H.
// Boehm: Can Seqlocks Get Along With Programming Language Memory Models? MSPC 2012), in its form without fences.
class decision_trace {
public:
    explicit decision_trace(std::size_t most) noexcept : size_(most) {}

    void add(const limit_decision& d) noexcept {
        if (slots_ == nullptr)
            slots_.reset(size_ == 0 ? nullptr : new (std::nothrow) slot[size_]);
        if (slots_ == nullptr)
            return;
        slots_[added_ % size_].write(d, added_);
        // Release: a reader that sees the new number finds the slots, and the whole decision.
        ++added_;
        published_.store(added_, std::memory_order_release);
    }

    // Returns the decisions, the oldest first, without those that are overwritten during the call.
    std::vector<limit_decision> read() const {
        std::vector<limit_decision> found;
        const std::uint64_t end = published_.load(std::memory_order_acquire);
        const std::uint64_t begin = end > size_ ? end - size_ : 0;
        found.reserve(static_cast<std::size_t>(end - begin));
        for (std::uint64_t i = begin; i < end; ++i) {
            limit_decision d;
            if (slots_[i % size_].read(d, i))
                found.push_back(d);
        }
        return found;
    }

private:
    class slot {
    public:
        void write(const limit_decision& d, std::uint64_t number) noexcept {
            words w{};
            std::memcpy(w.data(), &d, sizeof d);
            version_.store(2 * number + 1, std::memory_order_relaxed);
            // Release: a reader that loads one of these words, with acquire, then finds the version above, or a later
            // one.
            for (std::size_t i = 0; i < w.size(); ++i)
                words_[i].store(w[i], std::memory_order_release);
            version_.store(2 * number + 2, std::memory_order_relaxed); // published_ publishes it
        }

        bool read(limit_decision& d, std::uint64_t number) const noexcept {
            // Relaxed: published_ has shown the reader that this number was written, so the reader finds its words, or
            // later ones.
            if (version_.load(std::memory_order_relaxed) != 2 * number + 2)
                return false;
            words w;
            for (std::size_t i = 0; i < w.size(); ++i)
                w[i] = words_[i].load(std::memory_order_acquire);
            std::memcpy(static_cast<void*>(&d), w.data(), sizeof d); // trivially copyable
            return version_.load(std::memory_order_relaxed) == 2 * number + 2;
        }

    private:
        static_assert(std::is_trivially_copyable_v<limit_decision>);
        using words = std::array<std::size_t, (sizeof(limit_decision) + sizeof(std::size_t) - 1) / sizeof(std::size_t)>;

        std::atomic<std::uint64_t> version_{0};
        std::array<std::atomic<std::size_t>, std::tuple_size_v<words>> words_{};
    };

    const std::size_t size_;
    std::unique_ptr<slot[]> slots_; // written once, before the first number is published
    std::uint64_t added_ = 0; // for the writer only
    std::atomic<std::uint64_t> published_{0};
};

} // namespace flowguard::detail

#endif
