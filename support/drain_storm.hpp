// drain_storm.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_DRAIN_STORM_HPP
#define FLOWGUARD_SUPPORT_DRAIN_STORM_HPP

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "flowguard/error.hpp"
#include "flowguard/limits.hpp"
#include "support/asio.hpp"

namespace support {

// Drains that are ended by whatever can end them: the tasks, a time-out, a cancellation, reopen() or close(). It must
// exist until all of their handlers have run.
class drain_storm {
public:
    static constexpr int threads = 2;

    // Starts so many drains on each of the threads, and then opens the guard, so that its callers go on.
    template <class Guard>
    void run(Guard& guard, int drains) {
        std::vector<std::thread> starters;
        for (int t = 0; t < threads; ++t)
            starters.emplace_back([&, t] { start(guard, drains, t); });
        for (std::thread& s : starters)
            s.join();
        guard.reopen();
    }

    std::atomic<int> started{0};
    std::atomic<int> ended{0};
    std::atomic<int> otherwise{0}; // with an error that no drain ends with

private:
    template <class Guard>
    void start(Guard& guard, int drains, int thread) {
        using namespace std::chrono_literals;
        for (int i = 0; i < drains; ++i) {
            asio::cancellation_signal signal;
            guard.async_drain({.serves_waiting = i % 2 == 0,
                               .timeout = i % 3 == 0 ? 0ns : (i % 3 == 1 ? 20us : flowguard::duration::max())},
                              asio::bind_cancellation_slot(signal.slot(), [this](auto e) { count(e); }));
            ++started;
            if (i % 4 == thread)
                signal.emit(asio::cancellation_type::terminal);
            if (i % 5 == 0)
                guard.close();
            if (i % 2 == thread)
                guard.reopen();
        }
    }

    void count(flowguard::error_code e) {
        ++ended;
        if (e && e != flowguard::error::drain_timeout && e != asio::error::operation_aborted)
            ++otherwise;
    }
};

} // namespace support

#endif
