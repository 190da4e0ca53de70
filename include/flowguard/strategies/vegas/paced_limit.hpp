// paced_limit.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_PACED_LIMIT_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_PACED_LIMIT_HPP

#include <algorithm>
#include <cstddef>

#include "flowguard/limits.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/options.hpp"

// A limit below one, for a guard that takes whole permits. It is one permit, with a spacing between admissions: if one
// is admitted every RTT / limit, `limit` of them are in flight on average. A small service with many guards needs it.
namespace flowguard::detail::vegas {

// The least limit, of probes as well.
inline double lowest(const vegas_options& o) noexcept {
    return o.min_limit > 1 ? static_cast<double>(o.min_limit) : least_limit;
}

inline std::size_t whole(double limit) noexcept {
    return std::max<std::size_t>(static_cast<std::size_t>((std::min)(limit, 1e18) + 0.5), 1);
}

// `rtt` in nanoseconds. At most 1,000 s, however wrong the RTT is.
inline duration spacing_of(double limit, double rtt) noexcept {
    return limit < 1 ? duration{static_cast<duration::rep>(std::clamp(rtt / limit, 1.0, 1e12))} : duration{};
}

} // namespace flowguard::detail::vegas

#endif
