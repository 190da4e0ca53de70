// hooks.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// The functions that the compiler calls in code that it compiles with -fsanitize=thread. Also replaces those functions
// of the C and C++ libraries that the code under test must not get from there. This file takes the place of libtsan, so
// the program is linked without -fsanitize=thread.

#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "memory_model/runtime/heap.hpp"
#include "memory_model/runtime/memory.hpp"
#include "memory_model/runtime/mutexes.hpp"
#include "memory_model/runtime/races.hpp"
#include "memory_model/runtime/scheduler.hpp"

namespace {

namespace model = memory_model;

// Whether atomic operations at this address are modelled.
bool is_modelled(const volatile void* address) noexcept {
    return model::is_observing && (model::heap::contains(address) || model::stacks::contains(address));
}

void plain(const volatile void* address, std::size_t size, model::access kind, const void* code) {
    if (!is_modelled(address))
        return;
    const model::inside_runtime guard;
    if (model::stacks::contains(address)) {
        if (kind == model::access::plain_write)
            model::forget_locations(address, size);
        return;
    }
    model::heap::check_live(address, code);
    if (!model::heap::is_quiet(address))
        model::check_access(model::current_observer(), address, size, kind, code);
}

// Returns true, after a step, if the operation is to be carried out under the memory model. If false, it is carried out
// without the model.
bool begin_atomic(const volatile void* address, std::size_t size, model::access kind, const void* code) {
    if (model::stacks::contains(address)) {
        model::step();
        return true;
    }
    model::heap::check_live(address, code);
    if (model::heap::is_quiet(address))
        return false;
    model::step();
    model::heap::check_live(address, code); // it may have been freed during the step
    model::check_access(model::current_observer(), address, size, kind, code);
    return true;
}

std::uint64_t atomic_load(const volatile void* address, std::size_t size, int order, const void* code) {
    if (is_modelled(address)) {
        const model::inside_runtime guard;
        if (begin_atomic(address, size, model::access::atomic_read, code))
            return model::load(model::current_observer(), address, size, order);
    }
    return model::read_bytes(address, size);
}

void atomic_store(volatile void* address, std::size_t size, std::uint64_t value, int order, const void* code) {
    if (is_modelled(address)) {
        const model::inside_runtime guard;
        if (begin_atomic(address, size, model::access::atomic_write, code))
            return model::store(model::current_observer(), address, size, value, order);
    }
    model::write_bytes(address, size, value);
}

std::uint64_t atomic_modify(volatile void* address, std::size_t size, model::update_function update,
                            std::uint64_t operand, int order, const void* code) {
    if (is_modelled(address)) {
        const model::inside_runtime guard;
        if (begin_atomic(address, size, model::access::atomic_write, code))
            return model::modify(model::current_observer(), address, size, update, operand, order);
    }
    const std::uint64_t before = model::read_bytes(address, size);
    model::write_bytes(address, size, update(before, operand));
    return before;
}

bool atomic_exchange(volatile void* address, std::size_t size, void* expected, std::uint64_t desired, bool weak,
                     model::exchange_orders orders, const void* code) {
    std::uint64_t value = model::read_bytes(expected, size);
    bool succeeds = false;
    bool was_modelled = false;
    if (is_modelled(address)) {
        const model::inside_runtime guard;
        was_modelled = begin_atomic(address, size, model::access::atomic_write, code);
        if (was_modelled)
            succeeds = model::exchange(model::current_observer(), address, size, value, desired, weak, orders);
    }
    if (!was_modelled) {
        const std::uint64_t found = model::read_bytes(address, size);
        succeeds = found == value;
        value = found;
        if (succeeds)
            model::write_bytes(address, size, desired);
    }
    if (!succeeds)
        model::write_bytes(expected, size, value);
    return succeeds;
}

std::uint64_t replace(std::uint64_t, std::uint64_t operand) {
    return operand;
}
std::uint64_t add(std::uint64_t value, std::uint64_t operand) {
    return value + operand;
}
std::uint64_t subtract(std::uint64_t value, std::uint64_t operand) {
    return value - operand;
}
std::uint64_t bit_and(std::uint64_t value, std::uint64_t operand) {
    return value & operand;
}
std::uint64_t bit_or(std::uint64_t value, std::uint64_t operand) {
    return value | operand;
}
std::uint64_t bit_xor(std::uint64_t value, std::uint64_t operand) {
    return value ^ operand;
}

void* allocate(std::size_t size, std::size_t alignment) {
    if (model::is_observing) {
        const model::inside_runtime guard;
        return model::heap::allocate(size, alignment);
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, size) != 0)
        throw std::bad_alloc();
    return memory;
}

void release(void* memory, const void* code) {
    if (!model::heap::contains(memory))
        return std::free(memory);
    if (!model::is_observing)
        return; // the block belongs to an execution that has ended
    const model::inside_runtime guard;
    model::check_release(model::current_observer(), memory, model::heap::size_of(memory), code);
    model::heap::release(memory, code);
}

} // namespace

// The instruction after the call of a hook, for addr2line.
#define CALLER __builtin_return_address(0)

// Plain accesses. Calls of functions are not checked.
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

#define DEFINE_PLAIN_HOOKS(size)                                                                                       \
    void __tsan_read##size(void* p) {                                                                                  \
        plain(p, size, model::access::plain_read, CALLER);                                                             \
    }                                                                                                                  \
    void __tsan_write##size(void* p) {                                                                                 \
        plain(p, size, model::access::plain_write, CALLER);                                                            \
    }                                                                                                                  \
    void __tsan_unaligned_read##size(void* p) {                                                                        \
        plain(p, size, model::access::plain_read, CALLER);                                                             \
    }                                                                                                                  \
    void __tsan_unaligned_write##size(void* p) {                                                                       \
        plain(p, size, model::access::plain_write, CALLER);                                                            \
    }
DEFINE_PLAIN_HOOKS(1)
DEFINE_PLAIN_HOOKS(2)
DEFINE_PLAIN_HOOKS(4)
DEFINE_PLAIN_HOOKS(8)
DEFINE_PLAIN_HOOKS(16)

void __tsan_vptr_update(void* p, void*) {
    plain(p, sizeof(void*), model::access::plain_write, CALLER);
}
void __tsan_vptr_read(void* p) {
    plain(p, sizeof(void*), model::access::plain_read, CALLER);
}
void __tsan_read_range(void* p, std::size_t size) {
    plain(p, size, model::access::plain_read, CALLER);
}
void __tsan_write_range(void* p, std::size_t size) {
    plain(p, size, model::access::plain_write, CALLER);
}

// Atomic operations.
#define DEFINE_MODIFICATION(bits, name, update)                                                                        \
    std::uint##bits##_t __tsan_atomic##bits##_##name(volatile void* p, std::uint##bits##_t v, int order) {             \
        return static_cast<std::uint##bits##_t>(atomic_modify(p, (bits) / 8, update, v, order, CALLER));               \
    }

#define DEFINE_ATOMIC_HOOKS(bits)                                                                                      \
    std::uint##bits##_t __tsan_atomic##bits##_load(const volatile void* p, int order) {                                \
        return static_cast<std::uint##bits##_t>(atomic_load(p, (bits) / 8, order, CALLER));                            \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile void* p, std::uint##bits##_t v, int order) {                             \
        atomic_store(p, (bits) / 8, v, order, CALLER);                                                                 \
    }                                                                                                                  \
    DEFINE_MODIFICATION(bits, exchange, replace)                                                                       \
    DEFINE_MODIFICATION(bits, fetch_add, add)                                                                          \
    DEFINE_MODIFICATION(bits, fetch_sub, subtract)                                                                     \
    DEFINE_MODIFICATION(bits, fetch_and, bit_and)                                                                      \
    DEFINE_MODIFICATION(bits, fetch_or, bit_or)                                                                        \
    DEFINE_MODIFICATION(bits, fetch_xor, bit_xor)                                                                      \
    bool __tsan_atomic##bits##_compare_exchange_strong(volatile void* p, void* expected, std::uint##bits##_t v,        \
                                                       int success, int failure) {                                     \
        return atomic_exchange(p, (bits) / 8, expected, v, false, {success, failure}, CALLER);                         \
    }                                                                                                                  \
    bool __tsan_atomic##bits##_compare_exchange_weak(volatile void* p, void* expected, std::uint##bits##_t v,          \
                                                     int success, int failure) {                                       \
        return atomic_exchange(p, (bits) / 8, expected, v, true, {success, failure}, CALLER);                          \
    }
DEFINE_ATOMIC_HOOKS(8)
DEFINE_ATOMIC_HOOKS(16)
DEFINE_ATOMIC_HOOKS(32)
DEFINE_ATOMIC_HOOKS(64)

void __tsan_atomic_thread_fence(int order) {
    if (!model::is_observing)
        return;
    const model::inside_runtime guard;
    model::step();
    model::fence(model::current_observer(), order);
}
void __tsan_atomic_signal_fence(int) {}

// Threads. For the system all of them are one thread, so no lock is needed outside of executions.
int sched_yield() {
    if (model::is_observing)
        model::pause();
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    if (!model::is_observing)
        return 0;
    const model::inside_runtime guard;
    model::lock(mutex);
    return 0;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) {
    if (!model::is_observing)
        return 0;
    const model::inside_runtime guard;
    model::step();
    return model::try_lock(mutex) ? 0 : EBUSY;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
    if (!model::is_observing)
        return 0;
    const model::inside_runtime guard;
    model::unlock(mutex);
    return 0;
}

} // extern "C"

// Memory. The forms for arrays, and the forms that do not throw, call these functions.
void* operator new(std::size_t size) {
    return allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    release(memory, CALLER);
}
void operator delete(void* memory, std::size_t) noexcept {
    release(memory, CALLER);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    release(memory, CALLER);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    release(memory, CALLER);
}
