// counter_time.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_BASE_COUNTER_TIME_HPP
#define FLOWGUARD_DETAIL_BASE_COUNTER_TIME_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "flowguard/detail/base/rare.hpp"

#if defined(__linux__) && defined(__x86_64__) && defined(__GNUC__)
#define FLOWGUARD_DETAIL_HAS_COUNTER 1
#include <cpuid.h>

#include <cstddef>
#include <cstdio>
#include <string_view>
#else
#define FLOWGUARD_DETAIL_HAS_COUNTER 0
#endif

// The time of steady_clock, by the processor's counter: each thread reads steady_clock now and then, and in between
// adds what the counter has counted since. See flowguard::cycle_clock.
namespace flowguard::detail {

// A reading of steady_clock, between two readings of the counter.
struct counter_reading {
    std::uint64_t before = 0; // ticks
    std::int64_t time = 0; // ns since the epoch of steady_clock
    std::uint64_t after = 0; // ticks
};

// How ticks become nanoseconds.
struct counter_scale {
    // By how much the scale is slower than steady_clock was when the scale was found. A time server slows steady_clock
    // down by up to 1/2000, usually. So the times that a thread extrapolates are early rather than late, and its next
    // reading of steady_clock is later than all of them.
    static constexpr double slower = 1.0 / 1024;

    // No time is extrapolated further from a reading than this. So it is early by at most a tenth of a microsecond.
    static constexpr std::int64_t longest = 100'000; // ns

    std::uint64_t factor = 0; // ns in 2³² ticks
    std::uint64_t reach = 0; // `longest`, in ticks; 0: the scale is not known yet
};

// The scale that two readings tell. It is not known if they are so close to each other, or took so long, that it might
// be wrong by more than 1/8192, or if the counter was set between them: back, or so far that it seems to count faster
// than 100 GHz, or slower than 100 MHz.
constexpr counter_scale scale_between(const counter_reading& first, const counter_reading& last) noexcept {
    if (last.time <= first.time || last.before <= first.after)
        return {};
    const std::uint64_t most = last.after - first.before;
    const std::uint64_t least = last.before - first.after;
    if (most - least > most / 8192)
        return {};
    constexpr double unit = 4294967296.0; // 2³²
    const double ns_per_tick = static_cast<double>(last.time - first.time) / static_cast<double>(most);
    if (ns_per_tick < 0.01 || ns_per_tick > 10)
        return {};
    return {static_cast<std::uint64_t>(ns_per_tick * (1 - counter_scale::slower) * unit),
            static_cast<std::uint64_t>(static_cast<double>(counter_scale::longest) / ns_per_tick)};
}

// Finds the scale from the readings of a thread, again and again, so that it does not stay wrong if the counter was set
// while it was found: as on a virtual machine that moves to another host, or a machine that sleeps.
class counter_calibration {
public:
    static constexpr std::int64_t longest = 1'000'000'000; // ns

    constexpr const counter_scale& scale_at(const counter_reading& now) noexcept {
        if (now.time - first_.time > longest)
            first_ = now;
        else if (const counter_scale found = scale_between(first_, now); found.reach != 0)
            scale_ = found;
        return scale_;
    }

private:
    counter_reading first_{0, -2 * longest, 0}; // so long ago that the first reading replaces it
    counter_scale scale_;
};

// The reading that a thread extrapolates from.
class counter_anchor {
public:
    // If the counter was reset since the reading, it does not reach.
    constexpr bool reaches(std::uint64_t ticks) const noexcept { return ticks - ticks_ < reach_; }

    // Whether it reaches any ticks.
    constexpr bool is_set() const noexcept { return reach_ != 0; }

    // The time at ticks that it reaches. The product does not overflow: it is at most `longest` × 2³².
    constexpr std::int64_t time_at(std::uint64_t ticks) const noexcept { return time_after(ticks - ticks_); }

    // Moves it to a new reading, and returns the time of that. The time never goes back: if steady_clock was slowed
    // down so much that times were extrapolated that are later than it, the time stands still until steady_clock has
    // caught up. If the reading took too long, because the thread lost its processor, the anchor is not set.
    constexpr std::int64_t move_to(const counter_reading& now, const counter_scale& scale) noexcept {
        const std::int64_t latest = time_after(reach_);
        const bool is_exact = now.after - now.before < scale.reach / 16;
        ticks_ = now.after;
        time_ = (std::max)(now.time, latest);
        factor_ = scale.factor;
        reach_ = is_exact && now.time >= latest ? scale.reach : 0;
        return time_;
    }

private:
    constexpr std::int64_t time_after(std::uint64_t ticks) const noexcept {
        return time_ + static_cast<std::int64_t>((ticks * factor_) >> 32);
    }

    std::uint64_t ticks_ = 0;
    std::int64_t time_ = 0; // ns
    std::uint64_t factor_ = 0; // as in counter_scale
    std::uint64_t reach_ = 0; // ticks
};

inline std::int64_t steady_time() noexcept {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

#if FLOWGUARD_DETAIL_HAS_COUNTER

inline std::uint64_t counter_ticks() noexcept {
    return __builtin_ia32_rdtsc(); // <x86intrin.h> would cost each file that includes it much
}

inline counter_reading read_counter() noexcept {
    counter_reading r;
    r.before = counter_ticks();
    r.time = steady_time();
    r.after = counter_ticks();
    return r;
}

// Whether the processor says that its counter never changes its rate, and the kernel makes its own time of the counter,
// which it does only if the counters of all processors agree.
inline bool find_counter() noexcept {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    constexpr unsigned invariant = 1U << 8;
    if (__get_cpuid(0x8000'0007, &a, &b, &c, &d) == 0 || (d & invariant) == 0)
        return false;
    std::FILE* file = std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == nullptr)
        return false;
    char name[32];
    const std::size_t length = std::fread(name, 1, sizeof name, file);
    static_cast<void>(std::fclose(file));
    const std::string_view source(name, length);
    return source == "tsc\n" || source == "kvm-clock\n" || source == "hyperv_clocksource_tsc_page\n";
}

inline bool has_counter() noexcept {
    static const bool found = find_counter();
    return found;
}

// Reads steady_clock, and finds the scale.
FLOWGUARD_DETAIL_RARE inline std::int64_t move_to_now(counter_anchor& anchor) noexcept {
    if (!has_counter())
        return steady_time();
    static constinit thread_local counter_calibration calibration;
    const counter_reading now = read_counter();
    return anchor.move_to(now, calibration.scale_at(now));
}

// Nanoseconds since the epoch of steady_clock. Not inlined: the caller may be a coroutine that goes on in another
// thread, and clang before version 17 keeps the address of a thread's variable across that.
__attribute__((noinline)) inline std::int64_t counter_time() noexcept {
    static constinit thread_local counter_anchor anchor;
    if (anchor.is_set())
        if (const std::uint64_t ticks = counter_ticks(); anchor.reaches(ticks))
            return anchor.time_at(ticks);
    return move_to_now(anchor);
}

#else

inline bool has_counter() noexcept {
    return false;
}
inline std::int64_t counter_time() noexcept {
    return steady_time();
}

#endif

} // namespace flowguard::detail

#endif
