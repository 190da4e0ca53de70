// scheduler.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_SCHEDULER_HPP
#define FLOWGUARD_TESTS_MEMORY_MODEL_RUNTIME_SCHEDULER_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memory_model/runtime/memory.hpp"

// The threads of an execution are fibers of a single system thread. One of them runs at a time. Before each atomic
// operation, the scheduler may choose another fiber to continue.
namespace memory_model {

struct execution {
    std::function<void()> set_up; // runs alone, before the threads
    std::vector<std::function<void()>> threads;
    std::function<void()> finish; // runs alone, after the threads
};

// Runs an execution. Precondition: the choices are seeded. Returns a text that says what has failed; empty if nothing
// has.
std::string run(const execution& e);

// Ends the current execution. The objects on its threads' stacks are not destroyed.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Called before each atomic operation. Fails if the execution has too many steps.
void step();

// Called by a thread that cannot continue yet: lets another thread continue.
void pause();

// The number of steps of all executions so far.
std::uint64_t steps_taken() noexcept;

observer& current_observer() noexcept;

// The stacks of the threads, one after the other. Atomic objects on them are modelled, too, because other threads may
// use them. Plain objects on them are not checked.
namespace stacks {

inline constexpr std::size_t stack_size = std::size_t{1} << 18; // bytes
inline constexpr std::size_t capacity = most_threads * stack_size;

bool contains(const volatile void* address) noexcept;
std::size_t offset_of(const volatile void* address) noexcept;

} // namespace stacks

// Gives each thread of an execution its own value of the variable, which is null at the beginning. This is for
// thread_local variables of libraries: all threads of an execution are one thread for the system.
void keep_per_thread(void*& variable);

// True while code under test runs: its accesses are checked. False in the runtime, and between executions.
extern bool is_observing;

// While it exists, the runtime is at work, and its own accesses are not checked.
class inside_runtime {
public:
    inside_runtime() noexcept : before_(is_observing) { is_observing = false; }
    ~inside_runtime() { is_observing = before_; }
    inside_runtime(const inside_runtime&) = delete;
    inside_runtime& operator=(const inside_runtime&) = delete;

private:
    const bool before_; // on the fiber's stack, so that another fiber may run in between
};

} // namespace memory_model

#endif
