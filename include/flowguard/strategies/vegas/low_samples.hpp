// low_samples.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_LOW_SAMPLES_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_LOW_SAMPLES_HPP

#include <algorithm>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/baseline.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// The calls that met few others, of one window or of several. Where most calls are short and some are long, the few
// such calls of one window are easily all short. Then their RTTs hardly vary, and they seem to prove that the service
// became faster. So if they are few and clearly shorter than the baseline, they wait for those of the next windows, and
// all of them count together.
class low_samples {
public:
    // Takes those of a window. Returns what is to be learnt now: those of this window, all that wait, or nothing yet.
    measurement complete(const measurement& newest, const baseline& base) noexcept {
        const bool are_few = newest.count < proving_samples && base.samples() >= proving_samples;
        if (count_ <= 0 && !(are_few && base.is_undercut_by(newest)))
            return newest;
        count_ += newest.count;
        sum_ += newest.count * newest.rtt;
        squares_ += newest.count * newest.rtt * newest.rtt * (1 + newest.variation * newest.variation);
        if (count_ < proving_samples)
            return {};
        const measurement all = mean(newest.in_flight);
        *this = {};
        return all;
    }

private:
    measurement mean(double in_flight) const noexcept {
        const double rtt = sum_ / count_;
        const double variance = (std::max)(0.0, squares_ / count_ - rtt * rtt);
        return {.rtt = rtt, .count = count_, .variation = math::sqrt(variance) / rtt, .in_flight = in_flight};
    }

    double count_ = 0; // of those that wait
    double sum_ = 0; // of their RTTs, nanoseconds
    double squares_ = 0;
};

} // namespace flowguard::detail::vegas

#endif
