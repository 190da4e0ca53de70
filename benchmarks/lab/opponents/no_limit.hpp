// no_limit.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPPONENTS_NO_LIMIT_HPP
#define LAB_OPPONENTS_NO_LIMIT_HPP

#include "../limiter.hpp"

namespace lab {

/// Admits every request. A guard with a high fixed_limit would not do: its windows would grow with the limit.
class no_limit final : public sample_limiter {
public:
    no_limit() : sample_limiter(static_cast<double>(flowguard::max_limit)) {}

private:
    void learn(const sample&) override {}
};

} // namespace lab

#endif
