// record.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_RECORD_HPP
#define LAB_RECORD_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace lab {

/// What happened in a stretch of time.
struct bin {
    std::size_t offered = 0;
    std::size_t rejected = 0;
    std::size_t succeeded = 0;
    double limit = 0;        // at the end of the bin; the sum of all guards in use
    double inner_limit = 0;  // at the end of the bin; of the server's own guard, if it has one
    std::vector<float> rtts; // of requests that were answered or given up; seconds
};

/// The value below which a share `q` of the values lies; 0 if there are none.
inline double quantile(std::vector<float> values, double q) {
    if (values.empty())
        return 0;
    const auto rank = std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())));
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
    return values[rank];
}

/// A run of a scenario, in equally long bins.
struct record {
    double length = 0; // seconds
    std::vector<bin> bins;
    std::vector<std::size_t> succeeded_by_guard; // in the last quarter

    // For Little's law, over the whole run: the integral of the number in flight, and the sum of all times in flight.
    double in_flight_integral = 0;
    double time_in_flight = 0;

    double bin_length() const { return length / static_cast<double>(bins.size()); }
    std::size_t bin_at(double time) const {
        return std::min(bins.size() - 1, static_cast<std::size_t>(std::max(0.0, time) / bin_length()));
    }

    template <class F>
    double sum(std::size_t first, std::size_t end, F of) const {
        double total = 0;
        for (std::size_t i = first; i < end; ++i)
            total += static_cast<double>(of(bins[i]));
        return total;
    }

    double succeeded(std::size_t first, std::size_t end) const {
        return sum(first, end, [](const bin& b) { return b.succeeded; });
    }

    /// How many answers took at most so long. A wait that was given up is none.
    double in_time(std::size_t first, std::size_t end, double longest) const {
        return sum(first, end, [longest](const bin& b) {
            return std::count_if(b.rtts.begin(), b.rtts.end(), [longest](float rtt) { return rtt <= longest; });
        });
    }

    double p99(std::size_t first, std::size_t end) const {
        std::vector<float> all;
        for (std::size_t i = first; i < end; ++i)
            all.insert(all.end(), bins[i].rtts.begin(), bins[i].rtts.end());
        return quantile(std::move(all), 0.99);
    }
};

} // namespace lab

#endif
