// event_queue.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_EVENT_QUEUE_HPP
#define FLOWGUARD_SUPPORT_EVENT_QUEUE_HPP

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace support {

/// The planned events of a simulation, in the order of their times. Of events at the same time, the one that was
/// planned first happens first, so that a simulation is the same on every machine.
template <class Event, class Time>
class event_queue {
public:
    void plan(Time at, Event event) {
        heap_.push_back({std::move(at), planned_++, std::move(event)});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    bool empty() const { return heap_.empty(); }

    /// The time of the next event. Precondition: there is one.
    const Time& next_time() const { return heap_.front().at; }

    /// Removes the next event, and returns it. Precondition: there is one.
    Event take() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Event next = std::move(heap_.back().event);
        heap_.pop_back();
        return next;
    }

private:
    struct entry {
        Time at;
        std::uint64_t number;
        Event event;
    };

    static bool later(const entry& a, const entry& b) { return b.at < a.at || (b.at == a.at && b.number < a.number); }

    std::vector<entry> heap_; // the next event is in front
    std::uint64_t planned_ = 0;
};

} // namespace support

#endif
