// priority.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_PRIORITY_HPP
#define FLOWGUARD_PRIORITY_HPP

#include <cstddef>
#include <cstdint>

namespace flowguard {

/// How much a request matters. Among waiters, a higher priority is served first, and a lower one is shed first.
///
/// The four are those of B. Beyer et al.: Site Reliability Engineering, chapter 21, Handling Overload (O'Reilly, 2016).
enum class priority : std::uint8_t {
    critical_plus, ///< its failure does serious harm that users see
    critical, ///< its failure is seen by users; the default
    sheddable_plus, ///< partial unavailability is expected: batch jobs, which try again
    sheddable ///< frequent unavailability is expected
};

/// How many priorities there are.
inline constexpr std::size_t priority_count = 4;

/// The name of a priority, as above. Complexity: O(1).
constexpr const char* to_string(priority of) noexcept {
    switch (of) {
    case priority::critical_plus:
        return "critical_plus";
    case priority::critical:
        return "critical";
    case priority::sheddable_plus:
        return "sheddable_plus";
    case priority::sheddable:
        break;
    }
    return "sheddable";
}

} // namespace flowguard

#endif
