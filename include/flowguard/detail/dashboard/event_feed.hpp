// event_feed.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_EVENT_FEED_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_EVENT_FEED_HPP

#include <chrono>
#include <cstdint>
#include <string>

#include "flowguard/dashboard.hpp"

namespace flowguard::detail {

// What a server writes to one client of a dashboard's event stream. A server notices that a client is gone by a write
// that fails. A dashboard that takes no samples has no events, so a comment, which clients ignore, is written instead.
template <class Clock = std::chrono::steady_clock>
class dashboard_event_feed {
public:
    // How often the server looks for events, and after how long without one it writes a comment.
    static constexpr std::chrono::milliseconds pause{100};
    static constexpr std::chrono::seconds most_silence{15};

    explicit dashboard_event_feed(const dashboard& board) : board_(&board) {}

    // What is to be written now; empty if that is nothing.
    std::string next() {
        std::string text = board_->next_events(seen_);
        const auto now = Clock::now();
        if (text.empty() && now - written_at_ >= most_silence)
            text = ": keep-alive\n\n";
        if (!text.empty())
            written_at_ = now;
        return text;
    }

private:
    const dashboard* board_;
    std::uint64_t seen_ = 0;
    typename Clock::time_point written_at_ = Clock::now();
};

} // namespace flowguard::detail

#endif
