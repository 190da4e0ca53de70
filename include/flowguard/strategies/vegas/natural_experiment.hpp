// natural_experiment.hpp
// ~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_VEGAS_NATURAL_EXPERIMENT_HPP
#define FLOWGUARD_STRATEGIES_VEGAS_NATURAL_EXPERIMENT_HPP

#include <algorithm>
#include <optional>

#include "flowguard/detail/base/math.hpp"
#include "flowguard/strategies/vegas/constants.hpp"
#include "flowguard/strategies/vegas/experiment.hpp"
#include "flowguard/strategies/vegas/measurement.hpp"

namespace flowguard::detail::vegas {

// Ordinary windows are an experiment as well. When the concurrency fell clearly, for whatever reason, and the RTT did
// not follow, the fall was of no use: either nothing had queued, and the RTT is what the service takes by itself, or
// other clients keep the queue up. All windows after the fall count together, also while the concurrency falls on. If
// a wrong baseline makes the limit fall and fall, no single level has enough samples.
class natural_experiment {
public:
    struct finding {
        measurement low; // after the fall
        double limit_before;
    };

    // Adds a window. Returns a finding once there are enough samples from both sides of a fall, and the RTT did not
    // follow.
    std::optional<finding> learn(const measurement& m) noexcept {
        if (!m.has_rtt() || m.in_flight <= 0)
            return std::nullopt;
        if (m.in_flight > same_concurrency * level_) {
            begin_at(m);
        } else if (m.in_flight >= level_ / same_concurrency) {
            add_window(high_, m);
            high_.count = (std::min)(high_.count, experiment_memory);
            low_ = {};
        } else if (telling_fall * m.in_flight <= high_.in_flight) {
            add_window(low_, m);
            return judge();
        }
        return std::nullopt;
    }

private:
    void begin_at(const measurement& m) noexcept {
        high_ = m;
        high_.count = (std::min)(m.count, experiment_memory);
        level_ = m.in_flight;
        low_ = {};
    }

    std::optional<finding> judge() noexcept {
        const double fall = math::log(high_.in_flight / low_.in_flight);
        const double error = (std::max)(high_.variation, low_.variation) *
                             math::sqrt(1 / high_.count + 1 / low_.count) / fall; // of the exponent
        if (low_.count < least_experiment || (error > experiment_error && low_.count < most_experiment))
            return std::nullopt;
        const double exponent = measured_exponent(high_, low_);
        const finding f{low_, high_.limit};
        begin_at(low_); // which may fall again
        return exponent < did_not_follow ? std::optional(f) : std::nullopt;
    }

    static void add_window(measurement& sum, const measurement& m) noexcept {
        add(sum, m);
        sum.limit = (std::max)(sum.limit, m.limit);
    }

    measurement high_; // before the fall
    measurement low_; // after it
    double level_ = 0; // the concurrency of high_, when it began
};

} // namespace flowguard::detail::vegas

#endif
