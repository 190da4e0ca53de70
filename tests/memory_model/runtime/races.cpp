// races.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/races.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "memory_model/runtime/heap.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

namespace {

// The accesses to some neighbouring bytes. All accesses so far were to all of these bytes.
struct cell {
    std::size_t end = 0; // offset in the heap
    std::size_t writer = 0;
    std::uint32_t written_at = 0; // the time of the last plain write on the writer's clock; 0: there was none
    const void* written_by = nullptr;
    bool is_atomic = false;
    vector_clock plain_reads;
    vector_clock atomic_reads;
    vector_clock atomic_writes;
};

std::vector<cell> cells(1);                         // the first is not used
std::vector<std::uint32_t> cell_at(heap::capacity); // by offset in the heap

// Makes sure that no cell contains both the byte before this offset and the byte at it.
void split(std::size_t offset) {
    const std::uint32_t whole = cell_at[offset];
    if (whole == 0 || offset == 0 || cell_at[offset - 1] != whole)
        return;
    const std::size_t end = cells[whole].end;
    cells[whole].end = offset;
    cells.push_back(cells[whole]);
    cells.back().end = end;
    for (std::size_t i = offset; i < end; ++i)
        cell_at[i] = static_cast<std::uint32_t>(cells.size() - 1);
}

// Returns the cell that begins at the offset. If there is none, makes one that ends at `end` or at the next cell.
cell& cell_from(std::size_t offset, std::size_t end) {
    if (cell_at[offset] == 0) {
        cells.emplace_back();
        std::size_t i = offset;
        for (; i < end && cell_at[i] == 0; ++i)
            cell_at[i] = static_cast<std::uint32_t>(cells.size() - 1);
        cells.back().end = i;
    }
    return cells[cell_at[offset]];
}

const char* description_of(access kind) noexcept {
    switch (kind) {
    case access::plain_read:
        return "a plain read";
    case access::plain_write:
        return "a plain write";
    case access::atomic_read:
        return "an atomic load";
    case access::atomic_write:
        return "an atomic write";
    }
    return "";
}

bool is_plain(access kind) noexcept {
    return kind == access::plain_read || kind == access::plain_write;
}

bool is_write(access kind) noexcept {
    return kind == access::plain_write || kind == access::atomic_write;
}

// Returns what the access races with; null if it is no race.
const char* race(const vector_clock& clock, const cell& c, access kind) noexcept {
    if (c.written_at != 0 && !clock.includes(c.writer, c.written_at))
        return "a plain write";
    if (is_write(kind) && !clock.includes(c.plain_reads))
        return "a plain read";
    if (is_plain(kind) && c.is_atomic && !clock.includes(c.atomic_writes))
        return "an atomic write";
    if (kind == access::plain_write && c.is_atomic && !clock.includes(c.atomic_reads))
        return "an atomic load";
    return nullptr;
}

void note(observer& who, cell& c, access kind, const void* code) noexcept {
    const std::uint32_t now = who.now.clock[who.thread];
    switch (kind) {
    case access::plain_read:
        c.plain_reads[who.thread] = now;
        break;
    case access::plain_write:
        c.writer = who.thread;
        c.written_at = now;
        c.written_by = code;
        break;
    case access::atomic_read:
        c.is_atomic = true;
        c.atomic_reads[who.thread] = now;
        break;
    case access::atomic_write:
        c.is_atomic = true;
        c.atomic_writes[who.thread] = now;
        break;
    }
}

void check(observer& who, cell& c, access kind, const void* code) {
    if (const char* other = race(who.now.clock, c, kind))
        fail("data race: %s at %p in thread %zu, and %s (the last plain write was at %p)", description_of(kind), code,
             who.thread, other, c.written_by);
    note(who, c, kind, code);
}

} // namespace

void reset_races() {
    cells.resize(1);
    std::fill_n(cell_at.begin(), heap::used(), 0U);
}

void check_access(observer& who, const volatile void* address, std::size_t size, access kind, const void* code) {
    std::size_t offset = heap::offset_of(address);
    const std::size_t end = offset + size;
    split(offset);
    split(end);
    bool was_atomic = false;
    while (offset < end) {
        cell& c = cell_from(offset, end);
        check(who, c, kind, code);
        was_atomic = was_atomic || c.is_atomic;
        offset = c.end;
    }
    if (kind == access::plain_write && was_atomic)
        forget_locations(address, size);
}

void check_release(observer& who, const volatile void* block, std::size_t size, const void* code) {
    const std::size_t end = heap::offset_of(block) + size;
    for (std::size_t offset = heap::offset_of(block); offset < end; ++offset)
        if (cell_at[offset] != 0) {
            check(who, cells[cell_at[offset]], access::plain_write, code);
            offset = cells[cell_at[offset]].end - 1;
        }
}

} // namespace memory_model
