// shared_random.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_SHARED_RANDOM_HPP
#define API_CLIENT_SHARED_RANDOM_HPP

#include <atomic>
#include <cstdint>

namespace api_client {

/// Random numbers for any number of threads: SplitMix64 (G. Steele, D. Lea, C. Flood, 2014), whose state is a counter.
class shared_random {
public:
    explicit shared_random(std::uint64_t seed) : state_(seed) {}

    /// In [0, 1).
    double uniform() noexcept {
        constexpr std::uint64_t step = 0x9e3779b97f4a7c15;
        std::uint64_t z = state_.fetch_add(step, std::memory_order_relaxed) + step;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }

private:
    std::atomic<std::uint64_t> state_;
};

} // namespace api_client

#endif
