// fixed_limit.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_STRATEGIES_FIXED_LIMIT_HPP
#define FLOWGUARD_STRATEGIES_FIXED_LIMIT_HPP

#include <cstddef>

#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/share.hpp"
#include "flowguard/limit_strategy.hpp"
#include "flowguard/limits.hpp"
#include "flowguard/window.hpp"

namespace flowguard {

/// A limit that never changes.
///
/// Use it where the capacity is known and does not change, such as the connections of a pool, licences or cores; or to
/// compare another strategy with. If the capacity is a rate, Little's law [1] gives the limit:
///
///     limit = requests a second × RTT in seconds, without queueing
///
/// Such a limit is right for one RTT. When the service becomes slower or loses a replica, the limit is too high. When
/// the service becomes faster or gains a replica, it is too low. This strategy notices neither.
///
/// [1] J. Little: A Proof for the Queuing Formula L = λW. Operations Research 9(3), 1961.
///
/// *Use.* `flow_guard guard{fixed_limit{100}};`
///
/// *Thread safety.* Distinct objects: safe. Shared objects: safe, because nothing changes.
class fixed_limit {
public:
    /// \throws std::invalid_argument unless `limit` is in [1, max_limit]; the message has name, value and range.
    explicit fixed_limit(std::size_t limit) : limit_(detail::check_range("fixed_limit's limit", limit, 1, max_limit)) {}

    /// The limit. Complexity: O(1).
    std::size_t current_limit() const noexcept { return limit_; }

    /// The same limit, whatever the window. Complexity: O(1).
    std::size_t update(const window&) noexcept { return limit_; }

    /// The strategy of one of `parts` parts of a split_guard: an equal share of the limit. The shares of all parts make
    /// up the limit. Throws std::invalid_argument unless `parts` is in [1, limit] and `index` in [0, parts - 1].
    fixed_limit part(std::size_t index, std::size_t parts) const {
        detail::check_part(index, parts);
        detail::check_range("fixed_limit's limit", limit_, parts, max_limit);
        return fixed_limit(detail::share_of(limit_, index, parts));
    }

private:
    std::size_t limit_;
};

static_assert(limit_strategy<fixed_limit>);

} // namespace flowguard

#endif
