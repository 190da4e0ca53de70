// workload.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef OVERLOAD_DEMO_WORKLOAD_HPP
#define OVERLOAD_DEMO_WORKLOAD_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

namespace overload_demo {

/// The cost of one request: it occupies a worker thread, which first computes and then waits.
class workload {
public:
    using duration = std::chrono::nanoseconds;

    /// Calibrates the computing to this machine, which takes about 50 ms.
    workload(duration compute, duration wait) : wait_(wait) {
        constexpr std::uint64_t trial = 200'000;
        auto fastest = duration::max(); // the trial that was interrupted least
        for (int i = 0; i < 20; ++i) {
            const auto start = std::chrono::steady_clock::now();
            sink_ = sink_ + mix(static_cast<std::uint64_t>(i), trial);
            fastest = std::min<duration>(fastest, std::chrono::steady_clock::now() - start);
        }
        rounds_ = trial * static_cast<std::uint64_t>(compute.count()) / static_cast<std::uint64_t>(fastest.count());
    }

    /// Computes, then blocks as a synchronous database driver does. Thread-safe.
    std::uint64_t perform(std::uint64_t request) const {
        const std::uint64_t result = mix(request, rounds_);
        const double spread = 0.5 + static_cast<double>(mix(request, 3) >> 11) * 0x1p-53; // from 0.5 to 1.5
        std::this_thread::sleep_for(std::chrono::duration_cast<duration>(wait_ * spread));
        return result;
    }

private:
    // Each round needs the result of the round before, so a compiler cannot vectorise the loop. It uses no memory.
    static std::uint64_t mix(std::uint64_t value, std::uint64_t rounds) {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            value = (value + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
            value ^= value >> 31;
        }
        return value;
    }

    duration wait_;
    std::uint64_t rounds_ = 0;
    volatile std::uint64_t sink_ = 0; // keeps the trials from being optimised away
};

} // namespace overload_demo

#endif
