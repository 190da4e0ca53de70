// scheduler.cpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/scheduler.hpp"

#include <ucontext.h>

#include <array>
#include <cstdarg>
#include <cstdio>

#include "memory_model/runtime/choices.hpp"
#include "memory_model/runtime/heap.hpp"
#include "memory_model/runtime/mutexes.hpp"
#include "memory_model/runtime/races.hpp"

namespace memory_model {

bool is_observing = false;

namespace {

constexpr std::uint64_t most_steps = 60'000; // of one execution, which usually has some hundred
constexpr std::size_t most_kept_variables = 4;

struct fiber {
    ucontext_t context{};
    const std::function<void()>* body = nullptr;
    bool runs = false;
    observer knows;
    std::array<void*, most_kept_variables> kept{};
};

std::array<fiber, most_threads> fibers;
alignas(4096) std::array<char, stacks::capacity> stack_memory;
std::size_t current = 0;
std::size_t threads = 0; // fibers 1 … threads; fiber 0 sets up and finishes
ucontext_t runner;       // the context that called run()
std::string failure;
std::uint64_t steps_before = 0; // of earlier executions
std::uint64_t steps = 0;
std::vector<void**> kept_variables;

void exchange_kept_variables(fiber& from, fiber& to) {
    for (std::size_t i = 0; i < kept_variables.size(); ++i) {
        from.kept[i] = *kept_variables[i];
        *kept_variables[i] = to.kept[i];
    }
}

void switch_to(std::size_t next) {
    if (next == current)
        return;
    fiber& from = fibers[current];
    fiber& to = fibers[next];
    current = next;
    exchange_kept_variables(from, to);
    swapcontext(&from.context, &to.context);
}

// Returns any fiber that has not ended, except `except`. If there is no other fiber, returns `except`.
std::size_t any_other(std::size_t except) {
    std::array<std::size_t, most_threads> others{};
    std::size_t n = 0;
    for (std::size_t i = 1; i <= threads; ++i)
        if (fibers[i].runs && i != except)
            others[n++] = i;
    return n == 0 ? except : others[choose(n)];
}

void run_body() {
    is_observing = true;
    (*fibers[current].body)();
    is_observing = false;
    fibers[current].runs = false;
    const std::size_t next = current == 0 ? 0 : any_other(current);
    if (next != current)
        switch_to(next);
    setcontext(&runner); // this fiber was the last
}

void prepare(std::size_t number, const std::function<void()>& body) {
    fiber& f = fibers[number];
    f.body = &body;
    f.runs = true;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = stack_memory.data() + number * stacks::stack_size;
    f.context.uc_stack.ss_size = stacks::stack_size;
    f.context.uc_link = nullptr;
    makecontext(&f.context, run_body, 0);
}

// Runs the fibers, beginning with this one, until all have ended or one has failed.
void enter(std::size_t first) {
    current = first;
    exchange_kept_variables(fibers[0], fibers[first]);
    swapcontext(&runner, &fibers[first].context);
    is_observing = false;
    exchange_kept_variables(fibers[current], fibers[0]);
    current = 0;
}

void run_alone(const std::function<void()>& body) {
    prepare(0, body);
    enter(0);
}

void run_threads(const execution& e) {
    threads = e.threads.size();
    for (std::size_t i = 1; i <= threads; ++i) {
        fibers[i].knows.begin(i, fibers[0].knows);
        fibers[i].kept.fill(nullptr);
        prepare(i, e.threads[i - 1]);
    }
    if (threads != 0)
        enter(1 + choose(threads));
    for (std::size_t i = 1; i <= threads; ++i)
        fibers[0].knows.now.join(fibers[i].knows.now);
}

void reset() {
    reset_races();
    reset_memory();
    reset_mutexes();
    heap::reset();
    failure.clear();
    steps_before += steps;
    steps = 0;
    threads = 0;
    fibers[0].knows.begin(0, fibers[0].knows);
    for (void** variable : kept_variables)
        *variable = nullptr;
}

} // namespace

std::string run(const execution& e) {
    reset();
    if (e.threads.size() >= most_threads)
        return "too many threads";
    run_alone(e.set_up);
    if (failure.empty())
        run_threads(e);
    if (failure.empty())
        run_alone(e.finish);
    return failure;
}

void fail(const char* format, ...) {
    is_observing = false;
    std::array<char, 512> text{};
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.data(), text.size(), format, arguments);
    va_end(arguments);
    failure = text.data();
    setcontext(&runner);
    __builtin_unreachable();
}

void step() {
    if (++steps > most_steps)
        fail("no progress in %llu steps", static_cast<unsigned long long>(most_steps));
    if (current != 0 && happens(habit.switches))
        switch_to(any_other(most_threads));
}

void pause() {
    const inside_runtime guard;
    if (++steps > most_steps)
        fail("no progress in %llu steps", static_cast<unsigned long long>(most_steps));
    if (current != 0)
        switch_to(any_other(current));
}

std::uint64_t steps_taken() noexcept {
    return steps_before + steps;
}

observer& current_observer() noexcept {
    return fibers[current].knows;
}

bool stacks::contains(const volatile void* address) noexcept {
    const auto* byte = static_cast<const volatile char*>(address);
    return byte >= stack_memory.data() && byte < stack_memory.data() + stack_memory.size();
}

std::size_t stacks::offset_of(const volatile void* address) noexcept {
    return static_cast<std::size_t>(static_cast<const volatile char*>(address) - stack_memory.data());
}

void keep_per_thread(void*& variable) {
    kept_variables.push_back(&variable);
}

} // namespace memory_model
