// report.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_REPORT_HPP
#define POSTGRES_GUARD_REPORT_HPP

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <unistd.h>

#include "process.hpp"

namespace postgres_guard {

/// What a process of a fleet tells the program that started it, through a pipe.
struct report {
    enum class kind { answer, loss, limit, end };

    kind what;
    double time; ///< in seconds since the start of the fleet; both processes have the same clock
    double value; ///< answer: the RTT in seconds; limit: the limit; end: how many reports came before
};

inline void send(const descriptor& to, const std::vector<report>& reports) {
    const char* next = reinterpret_cast<const char*>(reports.data());
    for (std::size_t left = reports.size() * sizeof(report); left > 0;) {
        const ssize_t written = ::write(to.number(), next, left);
        if (written < 0 && errno != EINTR)
            throw_errno("cannot write to a pipe");
        if (written > 0) {
            next += written;
            left -= static_cast<std::size_t>(written);
        }
    }
}

/// Reads the reports of one process.
class report_reader {
public:
    explicit report_reader(descriptor from) : from_(std::move(from)) {}

    /// Where the reports come from, for poll().
    int number() const noexcept { return from_.number(); }

    /// Waits until the process has written something, and returns the reports that are complete. Returns nothing after
    /// the end of the process.
    std::optional<std::vector<report>> read() {
        const std::size_t old = unread_.size();
        unread_.resize(old + 65'536);
        ssize_t got = -1;
        do
            got = ::read(from_.number(), unread_.data() + old, unread_.size() - old);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            throw_errno("cannot read from a pipe");
        unread_.resize(old + static_cast<std::size_t>(got));
        if (got == 0)
            return std::nullopt;
        std::vector<report> complete(unread_.size() / sizeof(report));
        const std::size_t size = complete.size() * sizeof(report);
        if (size > 0)
            std::memcpy(complete.data(), unread_.data(), size);
        unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(size));
        return complete;
    }

private:
    descriptor from_;
    std::vector<char> unread_; // may end in the middle of a report
};

} // namespace postgres_guard

#endif
