// sample_window.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_SAMPLE_WINDOW_HPP
#define FLOWGUARD_DETAIL_SAMPLE_WINDOW_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "flowguard/detail/rtt_histogram.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard::detail {

// Collects the samples of one cohort, from any number of threads.
//
// A window has `size` places. A request that gets one at its admission is a member, and leaves it when
// it is done; the last member to leave closes the window, alone. When one of them takes far too long,
// somebody else may close the window before (try_close); the straggler then still finds this object,
// because it is not opened again until every member has left.
//
// Memory orders. open() is published by the store to `places_`, which each member acquires by taking a
// place. What members record is published by leaving, release, and acquired by the last to leave.
// All other counters are relaxed. A window that is closed early is read while its stragglers may be
// leaving: it is then one sample more or less, which no strategy can tell.
class sample_window {
public:
    using time = std::chrono::nanoseconds; // since the clock's epoch

    enum class place : std::uint8_t { none, member, last };

    // For the one who closed it, or before it is shared.
    void open(std::size_t size, std::size_t limit, std::size_t limit_after, time now) noexcept {
        limit_ = limit;
        limit_after_ = limit_after;
        opened_at_ = now;
        low_threshold_ = std::max<std::size_t>(limit / 3, 1);
        size_.store(static_cast<std::int64_t>(size), std::memory_order_relaxed);
        last_at_.store(not_yet, std::memory_order_relaxed);
        max_in_flight_.store(0, std::memory_order_relaxed);
        ignored_.store(0, std::memory_order_relaxed);
        dropped_.store(0, std::memory_order_relaxed);
        dropped_sum_.store(0, std::memory_order_relaxed);
        for (tally& t : successes_)
            t.reset();
        const std::uint64_t generation = (state_.load(std::memory_order_relaxed) / closed_bit | 1) + 1;
        state_.store(generation * closed_bit | size, std::memory_order_release);
        places_.store(static_cast<std::int64_t>(size), std::memory_order_release);
    }

    // Admission with `in_flight` permits held, its own included. `low` becomes whether they are few. Whoever
    // gets the last place calls fill() next.
    place enter(time now, std::size_t in_flight, bool& low) noexcept {
        if (places_.load(std::memory_order_relaxed) <= 0)
            return place::none;
        const std::int64_t left = places_.fetch_sub(1, std::memory_order_acquire);
        if (left <= 0)
            return place::none;
        if (left == size_.load(std::memory_order_relaxed))
            first_at_.store(now.count(), std::memory_order_relaxed);
        std::size_t most = max_in_flight_.load(std::memory_order_relaxed);
        while (in_flight > most && !max_in_flight_.compare_exchange_weak(most, in_flight, std::memory_order_relaxed)) {
        }
        low = in_flight <= low_threshold_;
        return left > 1 ? place::member : place::last;
    }

    // All places are taken. Not before that, and what its caller did before, is the window closed: it is left
    // later, and straggling counts from here.
    void fill(time now) noexcept {
        last_at_.store(now.count(), std::memory_order_release); // publishes what the caller did
    }

    void succeed(time rtt, bool low) noexcept { successes_[low ? 1 : 0].add(rtt); }
    void drop(time rtt) noexcept {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        dropped_sum_.fetch_add(rtt.count(), std::memory_order_relaxed);
    }
    void ignore() noexcept { ignored_.fetch_add(1, std::memory_order_relaxed); }

    // True for the last member, unless the window was closed before: it closes the window. One step,
    // for as soon as nobody is left the window may be opened again.
    [[nodiscard]] bool leave() noexcept {
        return (state_.fetch_sub(1, std::memory_order_acq_rel) & (closed_bit | members_mask)) == 1;
    }

    // Closes the window early, true for one caller, if all places are taken and the members that are left
    // take absurdly long: ten times the mean of the others that were timed, and as long again for each per
    // cent of the window, for many are no stragglers but of a slower kind, and wanted in the mean.
    [[nodiscard]] bool close_if_straggling(time now) noexcept {
        // Acquire: what is read next belongs to this opening, or the last step fails.
        std::uint64_t state = state_.load(std::memory_order_acquire);
        const std::uint64_t opening = state & ~members_mask;
        const std::int64_t last = last_at_.load(std::memory_order_acquire); // pairs with fill()
        if ((state & closed_bit) != 0 || last == not_yet)
            return false;
        const std::int64_t size = size_.load(std::memory_order_relaxed);
        const auto left = static_cast<std::int64_t>(state & members_mask);
        const std::int64_t done = size - left;
        const std::int64_t timed = done - ignored_.load(std::memory_order_relaxed);
        const std::int64_t total =
            successes_[0].sum() + successes_[1].sum() + dropped_sum_.load(std::memory_order_relaxed);
        const std::int64_t usual = timed > 0 ? total / timed : 0;
        const std::int64_t patience = 10 * usual + 1000 * usual / size * left;
        if (done <= 0 || now.count() - last <= std::max<std::int64_t>(patience, 1'000'000))
            return false;
        while ((state & ~members_mask) == opening && (state & members_mask) != 0)
            if (state_.compare_exchange_weak(state, state | closed_bit, std::memory_order_acq_rel,
                                             std::memory_order_relaxed))
                return true;
        return false;
    }

    // For the one who closed it: whether it may be opened again.
    bool is_left() const noexcept { return members() == 0; }

    std::size_t limit_after() const noexcept { return limit_after_; }

    // For the one who closed it. Members that have not left count with their age.
    void summarize(time now, window& w) const noexcept {
        w.admitted = static_cast<std::size_t>(size_.load(std::memory_order_relaxed));
        w.limit = limit_;
        w.length = std::max(now - opened_at_, time{});
        w.admitting = time{std::max<std::int64_t>(
            last_at_.load(std::memory_order_relaxed) - first_at_.load(std::memory_order_relaxed), 0)};
        w.ignored = static_cast<std::size_t>(ignored_.load(std::memory_order_relaxed));
        w.max_in_flight = max_in_flight_.load(std::memory_order_relaxed);

        const std::int64_t low_sum = successes_[1].summarize(w.low.histogram);
        w.low.samples = static_cast<std::size_t>(w.low.histogram.total());
        w.low.mean = mean(low_sum, w.low.samples);

        w.rtts = w.low.histogram;
        std::int64_t sum = low_sum + successes_[0].summarize(w.rtts);
        if (const std::int64_t stragglers = members(); stragglers > 0) {
            const time age = std::max(now - time{last_at_.load(std::memory_order_relaxed)}, time{});
            w.rtts.add(age, static_cast<std::uint32_t>(stragglers));
            sum += age.count() * stragglers;
        }
        w.samples = static_cast<std::size_t>(w.rtts.total());
        w.mean_rtt = mean(sum, w.samples);
        w.min_rtt = w.rtts.quantile(0);

        const std::int64_t dropped_sum = dropped_sum_.load(std::memory_order_relaxed);
        w.dropped = static_cast<std::size_t>(dropped_.load(std::memory_order_relaxed));
        w.dropped_mean_rtt = mean(dropped_sum, w.dropped);

        w.mean_in_flight = littles_law(w, mean(sum + dropped_sum, w.samples + w.dropped));
    }

private:
    static constexpr std::int64_t not_yet = INT64_MIN;
    static constexpr std::uint64_t members_mask = (std::uint64_t{1} << 32) - 1;
    static constexpr std::uint64_t closed_bit = std::uint64_t{1} << 32; // closed before all had left

    std::int64_t members() const noexcept {
        return static_cast<std::int64_t>(state_.load(std::memory_order_acquire) & members_mask);
    }

    class tally {
    public:
        void reset() noexcept {
            sum_.store(0, std::memory_order_relaxed);
            for (auto& count : counts_)
                if (count.load(std::memory_order_relaxed) != 0) // few are not, and a load is cheaper
                    count.store(0, std::memory_order_relaxed);
        }

        void add(time rtt) noexcept {
            sum_.fetch_add(rtt.count(), std::memory_order_relaxed);
            counts_[rtt_buckets::index_of(rtt)].fetch_add(1, std::memory_order_relaxed);
        }

        std::int64_t sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

        // Adds the counts to a histogram, and returns the sum.
        std::int64_t summarize(rtt_histogram& histogram) const noexcept {
            for (std::size_t i = 0; i < rtt_buckets::count; ++i)
                if (const auto count = counts_[i].load(std::memory_order_relaxed); count != 0)
                    histogram.add_to_bucket(i, count);
            return sum();
        }

    private:
        std::atomic<std::int64_t> sum_{0}; // ns
        std::array<std::atomic<std::uint32_t>, rtt_buckets::count> counts_{};
    };

    static time mean(std::int64_t sum, std::size_t count) noexcept {
        return time{count > 0 ? sum / static_cast<std::int64_t>(count) : 0};
    }

    // J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9(3), 1961.
    static double littles_law(const window& w, time mean_time_in_flight) noexcept {
        const auto most = static_cast<double>(w.max_in_flight);
        if (w.admitting <= time{} || w.admitted < 2)
            return most;
        const double rate = static_cast<double>(w.admitted - 1) / static_cast<double>(w.admitting.count());
        return std::min(rate * static_cast<double>(mean_time_in_flight.count()), most);
    }

    std::atomic<std::int64_t> places_{0};  // not taken yet; below 0 by those who came too late
    // Bits 0..31: members that have not left yet. Bit 32: closed early. Above: counts openings, so that
    // nobody closes another opening than the one that it looked at.
    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::int64_t> size_{0};
    std::atomic<std::size_t> max_in_flight_{0};
    std::atomic<std::int64_t> first_at_{0};
    std::atomic<std::int64_t> last_at_{not_yet};
    std::size_t limit_ = 0;
    std::size_t limit_after_ = 0;
    std::size_t low_threshold_ = 0;
    time opened_at_{};
    std::atomic<std::int64_t> ignored_{0};
    std::atomic<std::int64_t> dropped_{0};
    std::atomic<std::int64_t> dropped_sum_{0}; // ns
    std::array<tally, 2> successes_;           // [1]: admitted while few were in flight
};

} // namespace flowguard::detail

#endif
