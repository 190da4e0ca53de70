// random_numbers.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_RANDOM_NUMBERS_HPP
#define FLOWGUARD_SUPPORT_RANDOM_NUMBERS_HPP

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <random>

namespace support {

/// Random numbers that are the same with every standard library. The standard specifies the results of engines, but not
/// those of distributions, so the distributions are our own.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) : engine_(seed) {}

    double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; } // in (0, 1)
    double exponential() { return -std::log(uniform()); } // with mean 1

    // By G. Box, M. Muller: A Note on the Generation of Random Normal Deviates, 1958.
    double normal() {
        const double radius = std::sqrt(2 * exponential());
        return radius * std::cos(2 * std::numbers::pi * uniform());
    }

    std::size_t below(std::size_t n) { return static_cast<std::size_t>(uniform() * static_cast<double>(n)); }

    /// A number whose logarithm is uniform.
    double between(double least, double most) { return least * std::pow(most / least, uniform()); }

private:
    std::mt19937_64 engine_;
};

} // namespace support

#endif
