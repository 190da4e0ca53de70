// backoff.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef API_CLIENT_BACKOFF_HPP
#define API_CLIENT_BACKOFF_HPP

#include <algorithm>
#include <chrono>
#include <cmath>

#include "shared_random.hpp"

namespace api_client {

/// How long to wait before a retry: exponential backoff with full jitter, after M. Brooker: Exponential Backoff And
/// Jitter, AWS Architecture Blog, 2015.
///
///     wait = Retry-After + random in [0, min(cap, base × 2^retry))
///
/// Without jitter, callers that fail together come back together. A server asks all callers for the same Retry-After,
/// which is the least wait. So the jitter is added to it, too.
struct backoff {
    using duration = std::chrono::steady_clock::duration;

    duration base{};
    duration cap{};

    /// `retry` counts from 0; `retry_after` is 0 if the server asked for nothing.
    duration wait(unsigned retry, duration retry_after, shared_random& random) const {
        const double grown = std::ldexp(static_cast<double>(base.count()), static_cast<int>(std::min(retry, 60U)));
        const double ceiling = std::min(grown, static_cast<double>(cap.count()));
        return retry_after + duration(static_cast<duration::rep>(ceiling * random.uniform()));
    }
};

} // namespace api_client

#endif
