// fixed_limit.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_FIXED_LIMIT_HPP
#define FLOWGUARD_FIXED_LIMIT_HPP

#include <cstddef>

#include "flowguard/detail/check.hpp"
#include "flowguard/limit_strategy.hpp"

namespace flowguard {

/// A limit that stays what it is.
///
/// Right where the capacity is known and does not change: connections of a pool, licences, cores; or to compare
/// another strategy with. Capacity that is a rate makes a limit by Little's law [1]:
///
///     limit = requests a second × RTT in seconds, without queueing
///
/// Such a limit is right for one RTT. When the service becomes slower or loses a replica, too much is let in, and
/// when it becomes faster or gains one, too little: nothing here notices.
///
/// [1] J. Little: A Proof for the Queuing Formula L = λW. Operations Research 9(3), 1961.
///
/// *Use.* `flow_guard guard{fixed_limit{100}};`
///
/// *Thread safety.* Distinct objects: safe. Shared objects: safe, for nothing changes.
class fixed_limit {
public:
    /// \throws std::invalid_argument unless `limit` is in [1, max_limit]; the message has name, value and range.
    explicit fixed_limit(std::size_t limit) : limit_(detail::check_range("fixed_limit's limit", limit, 1, max_limit)) {}

    /// The limit. Constant.
    std::size_t current_limit() const noexcept { return limit_; }

    /// The same, whatever the window. Constant.
    std::size_t update(const window&) noexcept { return limit_; }

private:
    std::size_t limit_;
};

static_assert(limit_strategy<fixed_limit>);

} // namespace flowguard

#endif
