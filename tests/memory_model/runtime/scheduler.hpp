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

// The threads of an execution: fibers of a single system thread, of which one runs at a time. Before each atomic
// operation another one may be chosen to go on.
namespace memory_model {

struct execution {
    std::function<void()> set_up; // alone, before the threads
    std::vector<std::function<void()>> threads;
    std::function<void()> finish; // alone, after the threads
};

// Runs an execution; the choices have been seeded. Returns what failed, or nothing.
std::string run(const execution& e);

// Ends the execution that runs. What its threads have on their stacks is abandoned.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Called before each atomic operation. Ends an execution that comes to nothing.
void step();

// Lets another thread go on: for a thread that cannot go on itself.
void pause();

// How many steps there were in all executions.
std::uint64_t steps_taken() noexcept;

observer& current_observer() noexcept;

// The stacks of the threads, one behind the other. Atomic objects there are modelled as well, for a thread may let
// others see its stack; what is plain there is not checked.
namespace stacks {

inline constexpr std::size_t stack_size = std::size_t{1} << 18; // bytes
inline constexpr std::size_t capacity = most_threads * stack_size;

bool contains(const volatile void* address) noexcept;
std::size_t offset_of(const volatile void* address) noexcept;

} // namespace stacks

// Each thread of an execution has a value of its own there, null in the beginning: for the thread_local variables of
// libraries, for all threads are one to the system.
void keep_per_thread(void*& variable);

// True while code under test runs, whose accesses are checked; false in the runtime, and between executions.
extern bool is_observing;

// The runtime is at work, and does not observe itself.
class inside_runtime {
public:
    inside_runtime() noexcept : before_(is_observing) { is_observing = false; }
    ~inside_runtime() { is_observing = before_; }
    inside_runtime(const inside_runtime&) = delete;
    inside_runtime& operator=(const inside_runtime&) = delete;

private:
    const bool before_; // on the stack of the fiber, so it may be left for another in between
};

} // namespace memory_model

#endif
