// decision_trace.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DECISION_TRACE_HPP
#define FLOWGUARD_DETAIL_DECISION_TRACE_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "flowguard/limit_decision.hpp"

namespace flowguard::detail {

// The latest decisions, written by one thread at a time and read by any, without a lock: each place is a sequence lock
// (H. Boehm: Can Seqlocks Get Along With Programming Language Memory Models? MSPC 2012), in its form without fences.
class decision_trace {
public:
    explicit decision_trace(std::size_t most) : places_(most) {}

    void add(const limit_decision& d) noexcept {
        if (!places_.empty())
            places_[added_ % places_.size()].write(d, added_);
        // Release: a reader that counts it finds it, whole.
        ++added_;
        published_.store(added_, std::memory_order_release);
    }

    // The oldest first. Those that are being overwritten meanwhile are left out.
    std::vector<limit_decision> read() const {
        std::vector<limit_decision> found;
        const std::uint64_t end = published_.load(std::memory_order_acquire);
        const std::uint64_t size = places_.size();
        found.reserve(places_.size());
        for (std::uint64_t i = end > size ? end - size : 0; i < end; ++i) {
            limit_decision d;
            if (places_[i % size].read(d, i))
                found.push_back(d);
        }
        return found;
    }

private:
    class place {
    public:
        void write(const limit_decision& d, std::uint64_t number) noexcept {
            words w{};
            std::memcpy(w.data(), &d, sizeof d);
            version_.store(2 * number + 1, std::memory_order_relaxed);
            // Release: a reader of one of these words, by acquire, then finds the version above, or a later one.
            for (std::size_t i = 0; i < w.size(); ++i)
                words_[i].store(w[i], std::memory_order_release);
            version_.store(2 * number + 2, std::memory_order_relaxed); // published_ publishes it
        }

        bool read(limit_decision& d, std::uint64_t number) const noexcept {
            // Relaxed: the reader has seen by published_ that this number was written, so finds its words, or later
            // ones.
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

    std::vector<place> places_;
    std::uint64_t added_ = 0; // the writer's
    std::atomic<std::uint64_t> published_{0};
};

} // namespace flowguard::detail

#endif
