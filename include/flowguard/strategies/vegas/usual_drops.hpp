// usual_drops.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_USUAL_DROPS_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_USUAL_DROPS_HPP

#include <algorithm>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// The share of drops that lower concurrency does not prevent.
class usual_drops {
public:
    explicit usual_drops(double tolerance) noexcept : tolerance_(tolerance) {}

    // An ordinary window shows at most how many are usual, luck aside; the limit of one shows it exactly.
    void learn(const measurement& m) noexcept {
        set(m.limit > 1 ? (std::min)(share_, m.drops + 2 * error(m)) : m.drops);
    }

    // A probe shows it.
    void set(double share) noexcept { share_ = (std::min)(share, most_usual_drops); }

    // The share of drops beyond the usual ones; 0 if that is within tolerance and two standard errors.
    double excess(const measurement& m) const noexcept {
        const double excess = m.drops - share_;
        return excess > tolerance_ + 2 * error(m) ? excess : 0;
    }

private:
    // The standard error of a window's share of drops, if that is the usual share.
    double error(const measurement& m) const noexcept { return math::sqrt(share_ * (1 - share_) / m.ended); }

    double tolerance_;
    double share_ = 0;
};

} // namespace flowguard::detail::vegas

#endif
