// heap.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/heap.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "memory_model/runtime/scheduler.hpp"

namespace memory_model::heap {

namespace {

enum byte_state : std::uint8_t { unused, live, quiet, freed };

struct block {
    std::size_t offset;
    std::size_t size;
    bool is_live;
    const void* freed_by;
};

struct quiet_range {
    std::size_t block_size;
    std::size_t offset;
    std::size_t length;
};

constexpr std::size_t distance = 16; // between blocks, to notice accesses beyond an end
constexpr int fresh_byte = 0xA5;     // so that memory that was never written does not look like 0

alignas(4096) char memory[capacity];
std::uint8_t state_of[capacity];
std::size_t next = 0;
std::vector<block> blocks; // in the order of their addresses
std::vector<quiet_range> quiet_ranges;

block* block_of(std::size_t offset) noexcept {
    auto behind = std::upper_bound(blocks.begin(), blocks.end(), offset,
                                   [](std::size_t wanted, const block& b) { return wanted < b.offset; });
    return behind == blocks.begin() ? nullptr : &*--behind;
}

} // namespace

void reset() {
    std::memset(state_of, unused, next);
    next = 0;
    blocks.clear();
}

void* allocate(std::size_t size, std::size_t alignment) {
    const std::size_t offset = (next + distance + alignment - 1) / alignment * alignment;
    if (offset + size > capacity)
        fail("the heap is full");
    std::memset(memory + offset, fresh_byte, size);
    std::memset(state_of + offset, live, size);
    for (const quiet_range& range : quiet_ranges)
        if (range.block_size == size)
            std::memset(state_of + offset + range.offset, quiet, range.length);
    blocks.push_back({offset, size, true, nullptr});
    next = offset + size;
    return memory + offset;
}

void release(void* address, const void* code) {
    const std::size_t offset = offset_of(address);
    block* b = block_of(offset);
    if (b == nullptr || b->offset != offset || !b->is_live)
        fail("freed twice, or never allocated: %p at %p", address, code);
    std::memset(state_of + offset, freed, b->size);
    b->is_live = false;
    b->freed_by = code;
}

bool contains(const volatile void* address) noexcept {
    const auto* byte = static_cast<const volatile char*>(address);
    return byte >= memory && byte < memory + capacity;
}

std::size_t offset_of(const volatile void* address) noexcept {
    return static_cast<std::size_t>(static_cast<const volatile char*>(address) - memory);
}

std::size_t used() noexcept {
    return next;
}

std::size_t live_blocks() noexcept {
    return static_cast<std::size_t>(
        std::count_if(blocks.begin(), blocks.end(), [](const block& b) { return b.is_live; }));
}

std::size_t size_of(const void* address) noexcept {
    const block* b = block_of(offset_of(address));
    return b == nullptr ? 0 : b->size;
}

void check_live(const volatile void* address, const void* code) {
    const std::size_t offset = offset_of(address);
    switch (state_of[offset]) {
    case live:
    case quiet:
        return;
    case freed:
        return fail("use after free at %p; it was freed at %p", code, block_of(offset)->freed_by);
    default:
        return fail("access outside of any block at %p", code);
    }
}

void be_quiet_in_blocks(std::size_t block_size, std::size_t offset, std::size_t length) {
    quiet_ranges.push_back({block_size, offset, length});
}

bool is_quiet(const volatile void* address) noexcept {
    return state_of[offset_of(address)] == quiet;
}

} // namespace memory_model::heap
