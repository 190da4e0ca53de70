// math.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// The functions of <cmath> that FlowGuard needs, for doubles alone. In libstdc++, <cmath> brings the Bessel functions
// and their like along, and costs a file that includes flowguard.hpp nearly a tenth of what Asio costs it. So this file
// alone includes <cmath>, and only for a compiler without these built-in functions.

#ifndef FLOWGUARD_DETAIL_BASE_MATH_HPP
#define FLOWGUARD_DETAIL_BASE_MATH_HPP

#if defined(__GNUC__)
#define FLOWGUARD_DETAIL_MATH(function) __builtin_##function
#else
#include <cmath>
#define FLOWGUARD_DETAIL_MATH(function) ::std::function
#endif

namespace flowguard::detail::math {

inline double absolute(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(fabs)(x);
}
inline double ceil(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(ceil)(x);
}
inline double exp2(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(exp2)(x);
}
inline double floor(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(floor)(x);
}
inline double hypot(double x, double y) noexcept {
    return FLOWGUARD_DETAIL_MATH(hypot)(x, y);
}
inline bool is_finite(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(isfinite)(x);
}
inline double log(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(log)(x);
}
inline double log2(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(log2)(x);
}
inline double pow(double x, double y) noexcept {
    return FLOWGUARD_DETAIL_MATH(pow)(x, y);
}
inline double round(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(round)(x);
}
inline double sqrt(double x) noexcept {
    return FLOWGUARD_DETAIL_MATH(sqrt)(x);
}

} // namespace flowguard::detail::math

#undef FLOWGUARD_DETAIL_MATH

#endif
