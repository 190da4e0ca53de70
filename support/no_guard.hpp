// no_guard.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_NO_GUARD_HPP
#define FLOWGUARD_SUPPORT_NO_GUARD_HPP

#include <atomic>
#include <cstddef>
#include <type_traits>

namespace support {

/// Takes the place of a flow_guard where a program measures what happens without one. Starts every task at once,
/// without a limit, and only counts the tasks in flight.
///
/// Has no Asio of its own: a task may be an awaitable of standalone Asio or of Boost.Asio.
///
/// *Thread safety.* Safe. It must outlive the tasks.
class no_guard {
public:
    /// Returns what `make_task()` returns: an awaitable of the same type. Ignores the options of the call.
    template <class MakeTask, class... Options>
    std::invoke_result_t<MakeTask&> run(MakeTask make_task, Options...) {
        const counted task(in_flight_);
        co_return co_await make_task();
    }

    std::size_t current_limit() const { return 0; } // no limit
    std::size_t in_flight() const { return in_flight_; }
    std::size_t waiting() const { return 0; }

private:
    // Counts a task also when it ends with an exception, or is destroyed.
    struct counted {
        explicit counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
        ~counted() { --count_; }
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;

        std::atomic<std::size_t>& count_;
    };

    std::atomic<std::size_t> in_flight_{0};
};

} // namespace support

#endif
