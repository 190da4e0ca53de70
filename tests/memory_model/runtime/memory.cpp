// memory.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/memory.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "memory_model/runtime/choices.hpp"
#include "memory_model/runtime/heap.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

memory_counters memory_counts;

void view::see(std::size_t location, message& m) {
    if (oldest_.size() <= location)
        oldest_.resize(location + 1, nullptr);
    oldest_[location] = &m;
}

void view::join(const view& other) {
    if (oldest_.size() < other.oldest_.size())
        oldest_.resize(other.oldest_.size(), nullptr);
    for (std::size_t i = 0; i < other.oldest_.size(); ++i) {
        message* theirs = other.oldest_[i];
        if (theirs != nullptr && (oldest_[i] == nullptr || oldest_[i]->position < theirs->position))
            oldest_[i] = theirs;
    }
}

void observer::begin(std::size_t number, observer& creator) {
    thread = number;
    now.clear();
    now.join(creator.now);
    now.clock[thread] = std::max(now.clock[thread], 1U);
    unacquired.clear();
    fenced.clear();
    has_fenced = false;
    if (&creator != this)
        creator.next_moment();
}

namespace {

struct location {
    std::size_t number = 0;
    std::size_t size = 0;           // in bytes
    std::vector<message*> messages; // the modification order
};

// Keeps messages and locations for the next execution, together with the memory of their vectors.
template <class T>
class pool {
public:
    T& take() {
        if (used_ == all_.size())
            all_.emplace_back();
        return all_[used_++];
    }
    T& operator[](std::size_t i) { return all_[i]; }
    std::size_t used() const noexcept { return used_; }
    void reset() noexcept { used_ = 0; }

private:
    std::deque<T> all_;
    std::size_t used_ = 0;
};

pool<message> all_messages;
pool<location> all_locations;
std::vector<std::uint32_t> location_at(heap::capacity + stacks::capacity); // by offset: 1 + number, or 0
std::vector<std::size_t> used_of_stacks;                                   // the offsets that are not 0
knowledge consistent; // the knowledge that sequentially consistent operations share

// Counts through the heap, and then through the stacks.
std::size_t offset_of(const volatile void* address) noexcept {
    return heap::contains(address) ? heap::offset_of(address) : heap::capacity + stacks::offset_of(address);
}

message& new_message(std::uint64_t value) {
    message& m = all_messages.take();
    m.value = value;
    m.position = 0;
    m.followed = false;
    m.hands_on_knowledge = false;
    m.released.clear();
    return m;
}

location& locate(const volatile void* address, std::size_t size) {
    const std::size_t offset = offset_of(address);
    std::uint32_t& entry = location_at[offset];
    if (entry != 0) {
        location& known = all_locations[entry - 1];
        if (known.size != size)
            fail("an atomic object is accessed with two sizes");
        return known;
    }
    location& fresh = all_locations.take();
    fresh.number = all_locations.used() - 1;
    fresh.size = size;
    fresh.messages.assign(1, &new_message(read_bytes(address, size)));
    entry = static_cast<std::uint32_t>(all_locations.used());
    if (offset >= heap::capacity)
        used_of_stacks.push_back(offset);
    return fresh;
}

bool acquires(int order) noexcept {
    return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}

bool releases(int order) noexcept {
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

void agree(observer& who, int order) {
    if (order != __ATOMIC_SEQ_CST)
        return;
    who.now.join(consistent);
    consistent.join(who.now);
}

std::size_t oldest_readable(const observer& who, const location& l) noexcept {
    const message* seen = who.now.seen.of(l.number);
    return seen != nullptr ? seen->position : 0;
}

// Returns a candidate: in most cases the last, which is the newest.
std::size_t pick(const std::vector<std::size_t>& candidates) {
    const std::size_t n = candidates.size();
    return candidates[n > 1 && happens(habit.disorder) ? choose(n) : n - 1];
}

void read(observer& who, const location& l, message& m, int order) {
    if (m.position + 1 != l.messages.size())
        ++memory_counts.stale_reads;
    who.now.seen.see(l.number, m);
    if (m.hands_on_knowledge)
        (acquires(order) ? who.now : who.unacquired).join(m.released);
    agree(who, order);
}

void hand_on(message& m, const knowledge& what) {
    m.released.join(what);
    m.hands_on_knowledge = true;
}

// Puts a new message into the modification order.
void insert(observer& who, location& l, std::size_t position, message& m, int order) {
    agree(who, order);
    l.messages.insert(l.messages.begin() + static_cast<std::ptrdiff_t>(position), &m);
    for (std::size_t i = position; i < l.messages.size(); ++i)
        l.messages[i]->position = i;
    who.now.seen.see(l.number, m);
    if (releases(order)) {
        hand_on(m, who.now);
        who.next_moment();
    } else if (who.has_fenced) {
        hand_on(m, who.fenced);
    }
    agree(who, order);
}

void insert_behind(observer& who, location& l, message& read_before, std::uint64_t value, int order) {
    message& m = new_message(value);
    read_before.followed = true;
    if (read_before.hands_on_knowledge)
        hand_on(m, read_before.released); // continues its release sequence
    insert(who, l, read_before.position + 1, m, order);
}

// Writes the newest value to memory, where code that is not instrumented reads it.
void keep_newest(const location& l, volatile void* address) noexcept {
    write_bytes(address, l.size, l.messages.back()->value);
}

std::uint64_t truncate(std::uint64_t value, std::size_t size) noexcept {
    return size == 8 ? value : value & ((std::uint64_t{1} << (8 * size)) - 1);
}

std::vector<std::size_t> candidates; // of the operation at hand

} // namespace

void reset_memory() {
    std::fill_n(location_at.begin(), heap::used(), 0U);
    for (const std::size_t offset : used_of_stacks)
        location_at[offset] = 0;
    used_of_stacks.clear();
    all_messages.reset();
    all_locations.reset();
    consistent.clear();
}

std::uint64_t load(observer& who, const volatile void* address, std::size_t size, int order) {
    location& l = locate(address, size);
    agree(who, order);
    std::size_t position = l.messages.size() - 1;
    const std::size_t oldest = oldest_readable(who, l);
    if (oldest < position && happens(habit.disorder))
        position = oldest + choose(position - oldest + 1);
    message& m = *l.messages[position];
    read(who, l, m, order);
    return m.value;
}

void store(observer& who, volatile void* address, std::size_t size, std::uint64_t value, int order) {
    location& l = locate(address, size);
    agree(who, order);
    candidates.clear();
    for (std::size_t p = oldest_readable(who, l) + 1; p <= l.messages.size(); ++p)
        if (!l.messages[p - 1]->followed)
            candidates.push_back(p);
    insert(who, l, pick(candidates), new_message(truncate(value, size)), order);
    keep_newest(l, address);
}

std::uint64_t modify(observer& who, volatile void* address, std::size_t size, update_function update,
                     std::uint64_t operand, int order) {
    location& l = locate(address, size);
    agree(who, order);
    candidates.clear();
    for (std::size_t p = oldest_readable(who, l); p < l.messages.size(); ++p)
        if (!l.messages[p]->followed)
            candidates.push_back(p);
    message& before = *l.messages[pick(candidates)];
    const std::uint64_t value = before.value;
    read(who, l, before, order);
    insert_behind(who, l, before, truncate(update(value, operand), size), order);
    keep_newest(l, address);
    return value;
}

bool exchange(observer& who, volatile void* address, std::size_t size, std::uint64_t& expected, std::uint64_t desired,
              bool weak, exchange_orders orders) {
    location& l = locate(address, size);
    agree(who, orders.success);
    // If another exchange follows a message with the expected value, only a weak exchange can read that message, and it
    // fails.
    candidates.clear();
    for (std::size_t p = oldest_readable(who, l); p < l.messages.size(); ++p)
        if (weak || !l.messages[p]->followed || l.messages[p]->value != expected)
            candidates.push_back(p);
    message& found = *l.messages[pick(candidates)];
    const bool possible = found.value == expected && !found.followed;
    const bool spurious = possible && weak && happens(habit.spurious_failures);
    if (spurious)
        ++memory_counts.spurious_failures;
    if (!possible || spurious) {
        read(who, l, found, orders.failure);
        expected = found.value;
        return false;
    }
    read(who, l, found, orders.success);
    insert_behind(who, l, found, truncate(desired, size), orders.success);
    keep_newest(l, address);
    return true;
}

void fence(observer& who, int order) {
    if (acquires(order))
        who.now.join(who.unacquired);
    agree(who, order);
    if (releases(order)) {
        who.fenced = who.now;
        who.has_fenced = true;
        who.next_moment();
    }
}

void forget_locations(const volatile void* address, std::size_t size) {
    if (heap::contains(address) || !used_of_stacks.empty())
        std::fill_n(location_at.begin() + static_cast<std::ptrdiff_t>(offset_of(address)), size, 0U);
}

std::uint64_t read_bytes(const volatile void* address, std::size_t size) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, const_cast<const void*>(address), size);
    return value;
}

void write_bytes(volatile void* address, std::size_t size, std::uint64_t value) noexcept {
    std::memcpy(const_cast<void*>(address), &value, size);
}

} // namespace memory_model
