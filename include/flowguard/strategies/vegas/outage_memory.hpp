// outage_memory.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_OUTAGE_MEMORY_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_OUTAGE_MEMORY_HPP

#include <utility>

namespace flowguard::detail::vegas {

// Remembers the limit from before an outage. An outage is a run of windows without a success.
class outage_memory {
public:
    bool is_on() const noexcept { return limit_before_ > 0; }

    // A window had no success. Only the first one of an outage counts.
    void go_on(double limit) noexcept {
        if (!is_on())
            limit_before_ = limit;
    }

    // Ends the outage. Returns the limit from before it.
    double end() noexcept { return std::exchange(limit_before_, 0.0); }

private:
    double limit_before_ = 0; // 0: there is no outage
};

} // namespace flowguard::detail::vegas

#endif
