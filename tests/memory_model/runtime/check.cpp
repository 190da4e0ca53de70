// check.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "memory_model/runtime/check.hpp"

#include <sys/single_threaded.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "memory_model/runtime/choices.hpp"
#include "memory_model/runtime/memory.hpp"

namespace memory_model {

namespace {

constexpr std::uint64_t default_executions = 20'000;
constexpr std::uint64_t enough_executions = 2'000; // in so many, every expected event must occur

std::vector<std::pair<const char*, std::uint64_t>> counts;

std::uint64_t count_of(const char* what) {
    for (const auto& [name, times] : counts)
        if (std::strcmp(name, what) == 0)
            return times;
    return 0;
}

bool read_number(const char* text, std::uint64_t& number) {
    const char* end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, number);
    return error == std::errc() && rest == end;
}

void print_summary(std::uint64_t executions, const char* verdict) {
    std::printf("%llu executions, %.1f steps each, %llu stale reads, %llu spurious failures",
                static_cast<unsigned long long>(executions),
                static_cast<double>(steps_taken()) / static_cast<double>(executions),
                static_cast<unsigned long long>(memory_counts.stale_reads),
                static_cast<unsigned long long>(memory_counts.spurious_failures));
    for (const auto& [name, times] : counts)
        std::printf(", %llu %s", static_cast<unsigned long long>(times), name);
    std::printf(": %s\n", verdict);
}

} // namespace

void count(const char* what, std::uint64_t times) {
    const inside_runtime guard;
    for (auto& [name, n] : counts)
        if (std::strcmp(name, what) == 0) {
            n += times;
            return;
        }
    counts.emplace_back(what, times);
}

int check(int argc, char** argv, const std::vector<const char*>& expected, scenario (*make)()) {
    std::uint64_t executions = default_executions;
    std::uint64_t first_seed = 1;
    if (argc > 1 && (!read_number(argv[1], executions) || executions == 0)) {
        std::fprintf(stderr, "executions: '%s' is not a number from 1 on\n", argv[1]);
        return 2;
    }
    if (argc > 2 && !read_number(argv[2], first_seed)) {
        std::fprintf(stderr, "first seed: '%s' is not a number\n", argv[2]);
        return 2;
    }

    __libc_single_threaded = 0; // makes the counts of shared pointers atomic, as real threads would
    for (std::uint64_t i = 0; i < executions; ++i) {
        begin_choices(first_seed + i);
        const scenario s = make();
        const std::string failure = run(s.steps);
        if (!failure.empty()) {
            std::printf("seed %llu (%s): %s\n", static_cast<unsigned long long>(first_seed + i), s.description.c_str(),
                        failure.c_str());
            print_summary(i + 1, "one failed");
            std::fflush(stdout);
            std::_Exit(1); // the objects that the execution leaves behind may be in any state, and cannot be destroyed
        }
    }

    for (const char* what : expected)
        if (executions >= enough_executions && count_of(what) == 0) {
            std::printf("not a single execution counted: %s\n", what);
            print_summary(executions, "something is missing");
            return 1;
        }
    print_summary(executions, "none failed");
    return 0;
}

} // namespace memory_model
