// wait_order.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_WAIT_ORDER_HPP
#define FLOWGUARD_WAIT_ORDER_HPP

#include <cstdint>

namespace flowguard {

/// The order in which waiters of the same priority and partition, a *lane*, are served.
///
/// In an overload, callers wait longer for a permit than their clients wait for the answer. With first come, first
/// served, every caller is then served too late, and all work is in vain. An adaptive queue instead serves the callers
/// that can still be in time, and rejects the others at once:
///
///     state of the lane                                 order
///     a burst                                           first come, first served
///     it stands: at every look for a whole `interval`,  last come, first served; a waiter that has waited longer
///     its first waiter had waited longer than `target`  than `target` is shed, except the one that is next in turn
///     it drains: at every look for a whole `interval`,  first come, first served
///     its first waiter had waited at most `target`
///
/// `target` should be a wait that does no harm, and `interval` the length of a burst that does no harm. Unless
/// guard_options tells them, the guard finds them from what it knows of the guarded service:
///
///     target      half an RTT plus two turnovers; at least 5 ms
///     interval    ten RTTs; at least 100 ms
///
/// The *RTT* is the strategy's `baseline()`, or the mean of the latest window if that is shorter or there is no
/// baseline. If calls differ in cost, it is the RTT of their mix. A *turnover* is the mean time between two admissions:
/// the mean RTT over the limit. Under a limit below one, it is the plan's spacing, which then counts as the RTT as
/// well. Until the first window is closed, the RTT is the mean of the calls that have ended, and 0 if none has. After a
/// flow_guard::reset(), the times stay as they are until the next window is closed.
///
/// The guard looks at the queue when a caller arrives and when a permit is released, so it needs no timer. A look reads
/// the clock a few times, and once more for each waiter that is shed.
///
/// Whether a lane stands is decided much as in CoDel [1]. Shedding is different: CoDel drops more and more often until
/// the senders slow down, which helps only if they do. The choice of what to shed, and the order, follow Facebook's use
/// of CoDel [2].
///
/// [1] K. Nichols, V. Jacobson, A. McGregor, J. Iyengar: Controlled Delay Active Queue Management. RFC 8289, 2018.
/// [2] B. Maurer: Fail at Scale. ACM Queue 13(8), 2015.
enum class wait_order : std::uint8_t {
    fifo, ///< first come, first served; no waiter is shed for having waited too long
    adaptive ///< the same, until the lane stands; then last come, first served, and long waiters are shed
};

} // namespace flowguard

#endif
