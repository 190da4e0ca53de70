// wait_order.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_WAIT_ORDER_HPP
#define FLOWGUARD_WAIT_ORDER_HPP

#include <cstdint>

namespace flowguard {

/// The order in which waiters of the same priority and partition, a *lane*, are served.
///
/// In an overload, callers wait longer than their clients do. First come, first served then means that every caller is
/// served too late, and all work is in vain. An adaptive queue instead serves the callers that can still be in time,
/// and tells the others at once:
///
///     state of the lane                                 order
///     a burst                                           first come, first served
///     it stands: at every look for a whole `interval`,  last come, first served; a waiter that has waited longer
///     its first waiter had waited longer than `target`  than `target` is shed, except the one that is next in turn
///     it drains: at no look for a whole `interval` so   first come, first served
///
/// `target` is a wait that does no harm, and `interval` the length of a burst that does none. The defaults suit tasks
/// of some milliseconds; for longer tasks, use half an RTT and ten RTTs. The guard looks at the queue when a caller
/// comes and when a permit is released, so it needs no timer. A look reads the clock once, and once more for each
/// waiter that is shed.
///
/// Whether a lane stands is decided much as in CoDel [1]. What is shed is not: CoDel drops ever more often until the
/// senders slow down, which needs senders that do. What to shed, and the order, are after Facebook's use of it [2].
///
/// [1] K. Nichols, V. Jacobson, A. McGregor, J. Iyengar: Controlled Delay Active Queue Management. RFC 8289, 2018.
/// [2] B. Maurer: Fail at Scale. ACM Queue 13(8), 2015.
enum class wait_order : std::uint8_t {
    fifo,    ///< first come, first served
    adaptive ///< the same, until the lane stands; then last come, first served, and long waits are shed
};

} // namespace flowguard

#endif
