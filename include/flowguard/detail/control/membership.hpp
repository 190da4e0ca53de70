// membership.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_MEMBERSHIP_HPP
#define FLOWGUARD_DETAIL_CONTROL_MEMBERSHIP_HPP

#include <chrono>
#include <cstdint>

namespace flowguard::detail {

class sample_window;

// What an admitted task remembers about its admission.
struct membership {
    sample_window* window = nullptr; // null: admitted after the window was full, and so no sample
    std::chrono::nanoseconds admitted_at{};
    std::uint32_t generation = 0; // of the window
    std::uint32_t permits = 0; // of a call with several; see guard_state
    bool low = false;
    std::uint8_t partition = 0;
    std::uint8_t kind = 0;
};

} // namespace flowguard::detail

#endif
