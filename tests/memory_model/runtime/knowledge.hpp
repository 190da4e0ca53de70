// knowledge.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_KNOWLEDGE_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_KNOWLEDGE_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memory_model {

// Thread 0 sets up an execution, and finishes it. The other threads run in between.
inline constexpr std::size_t most_threads = 12;

// For each thread, the moment up to which its actions happen before now.
class vector_clock {
public:
    std::uint32_t& operator[](std::size_t thread) noexcept { return times_[thread]; }

    bool includes(std::size_t thread, std::uint32_t time) const noexcept { return time <= times_[thread]; }

    bool includes(const vector_clock& other) const noexcept {
        for (std::size_t i = 0; i < most_threads; ++i)
            if (other.times_[i] > times_[i])
                return false;
        return true;
    }

    void join(const vector_clock& other) noexcept {
        for (std::size_t i = 0; i < most_threads; ++i)
            times_[i] = std::max(times_[i], other.times_[i]);
    }

private:
    std::array<std::uint32_t, most_threads> times_{};
};

struct message;

// For each atomic location, the oldest value that may still be read.
class view {
public:
    // Null: no value has been seen yet, and the first may be read.
    message* of(std::size_t location) const noexcept { return location < oldest_.size() ? oldest_[location] : nullptr; }

    void see(std::size_t location, message& m);
    void join(const view& other);
    void clear() noexcept { oldest_.clear(); }

private:
    std::vector<message*> oldest_;
};

// The knowledge of a thread. A release hands it on to the threads that acquire.
struct knowledge {
    vector_clock clock;
    view seen;

    void join(const knowledge& other) {
        clock.join(other.clock);
        seen.join(other.seen);
    }

    void clear() noexcept {
        clock = {};
        seen.clear();
    }
};

} // namespace memory_model

#endif
