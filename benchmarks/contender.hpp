// contender.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// How to add your own semaphore to the comparison:
//
//   1. Write a header with a class that satisfies `contender`, in any namespace, and at its end
//          using your_contender = my_namespace::my_semaphore;
//      mutex_semaphore.hpp is an example.
//   2. cmake --preset release -D FLOWGUARD_CONTENDER=/path/to/my_semaphore.hpp
//   3. cmake --build --preset release --target semaphore_benchmark
//      build/release/benchmarks/semaphore_benchmark

#ifndef FLOWGUARD_BENCHMARKS_CONTENDER_HPP
#define FLOWGUARD_BENCHMARKS_CONTENDER_HPP

#include <asio/any_io_executor.hpp>
#include <asio/use_awaitable.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>

/// A semaphore that the benchmarks can use. Its members:
/// - `name`: the name that is printed.
/// - `is_thread_safe`: whether the semaphore takes part in the comparison on several threads.
/// - `most_cancelled`: the most waiters to cancel in one measurement. Choose a low number if each cancellation looks
///   through all waiters.
/// - `async_acquire(token)`: acquires a permit. It may have any completion signature. Handlers may have an associated
///   cancellation slot.
/// - `release()`: releases the permit.
template <class S>
concept contender = std::constructible_from<S, asio::any_io_executor, std::size_t> && requires(S& s) {
    { S::name } -> std::convertible_to<const char*>;
    { S::is_thread_safe } -> std::convertible_to<bool>;
    { S::most_cancelled } -> std::convertible_to<std::int64_t>;
    s.async_acquire(asio::use_awaitable);
    s.release();
};

#endif
