// rejections.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_QUEUE_REJECTIONS_HPP
#define FLOWGUARD_DETAIL_QUEUE_REJECTIONS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "flowguard/detail/base/retirable.hpp"
#include "flowguard/rejection.hpp"

namespace flowguard::detail {

// Calls an observer.
template <class Observer, class Event>
void call_observer(Observer& observer, const Event& event) noexcept {
    try {
        observer(event);
    } catch (...) { // discarded: no caller could handle it
    }
}

// A number of rejections for each reason.
class rejection_tally {
public:
    void add(rejection why) noexcept { ++count_[static_cast<std::size_t>(why)]; }

    template <class F>
    void for_each(F visit) const {
        for (std::size_t i = 0; i < count_.size(); ++i)
            for (std::size_t n = count_[i]; n > 0; --n)
                visit(static_cast<rejection>(i));
    }

private:
    std::array<std::size_t, rejection_count> count_{};
};

// Counts the calls that were not admitted, by their reason and partition, and tells the observer of each. Counting and
// telling are two steps, because the queue's owner counts while it owns the queue, and tells when it does not own it
// any more.
//
// Relaxed: the counts are only reported.
class rejections {
public:
    explicit rejections(std::function<void(rejection)> observer = {}, std::size_t partitions = 0)
        : in_partition_(partitions), observed_(observer != nullptr), observer_(std::in_place, std::move(observer)) {}

    void count(rejection why, std::size_t partition) noexcept {
        const auto reason = static_cast<std::size_t>(why);
        count_[reason].fetch_add(1, std::memory_order_relaxed);
        if (!in_partition_.empty())
            in_partition_[partition][reason].fetch_add(1, std::memory_order_relaxed);
    }

    std::uint64_t of(rejection why) const noexcept { return of(count_, why); }

    // The same for one partition, if there are partitions.
    std::uint64_t of(rejection why, std::size_t partition) const noexcept { return of(in_partition_[partition], why); }

    // Whether there is an observer, or was.
    bool is_observed() const noexcept { return observed_; }

    // Calls the observer, unless it has been retired. The observer may destroy the guard, so the caller holds a
    // reference to the object that *this is a part of. What the observer throws is discarded, because the thread that
    // calls it may be any caller's.
    void tell(rejection why) noexcept {
        if (const auto observer = observer_.enter())
            call_observer(*observer, why);
    }

    // From now on the observer is not called any more. It is destroyed here, or by the last thread that is inside it.
    void retire() noexcept { observer_.retire(); }

private:
    using counts = std::array<std::atomic<std::uint64_t>, rejection_count>;

    static std::uint64_t of(const counts& all, rejection why) noexcept {
        return all[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
    }

    counts count_{};
    std::vector<counts> in_partition_;
    const bool observed_;
    retirable<std::function<void(rejection)>> observer_;
};

} // namespace flowguard::detail

#endif
