// mutexes.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/mutexes.hpp"

#include <unordered_map>

#include "memory_model/runtime/scheduler.hpp"

namespace memory_model {

namespace {

struct mutex_state {
    bool is_locked = false;
    std::size_t owner = 0;
    knowledge released;
};

std::unordered_map<const void*, mutex_state> mutexes;

} // namespace

void reset_mutexes() {
    mutexes.clear();
}

bool try_lock(const void* mutex) {
    mutex_state& m = mutexes[mutex];
    observer& who = current_observer();
    if (m.is_locked && m.owner == who.thread)
        fail("a thread locks a mutex twice");
    if (m.is_locked)
        return false;
    m.is_locked = true;
    m.owner = who.thread;
    who.now.join(m.released);
    return true;
}

void lock(const void* mutex) {
    step();
    while (!try_lock(mutex))
        pause();
}

void unlock(const void* mutex) {
    mutex_state& m = mutexes[mutex];
    observer& who = current_observer();
    if (!m.is_locked || m.owner != who.thread)
        fail("a thread unlocks a mutex that it has not locked");
    m.is_locked = false;
    m.released.join(who.now);
    who.next_moment();
}

} // namespace memory_model
