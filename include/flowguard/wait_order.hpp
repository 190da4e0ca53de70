// wait_order.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_WAIT_ORDER_HPP
#define FLOWGUARD_WAIT_ORDER_HPP

#include <cstdint>

namespace flowguard {

/// In which order those who wait for a permit are served.
///
/// In an overload the queue is longer than the callers' patience. First come, first served then means that everybody
/// is served when it is too late, and all the work is for nothing. An adaptive queue serves those who can still be in
/// time instead, and tells the others at once:
///
///     a burst                                        first come, first served
///     it stands: for `interval`, whoever was first   last come, first served; whoever has waited for longer than
///     in line had waited for longer than `target`    `target` is shed, but for the next to be served
///     it drains: for `interval`, nobody had          first come, first served
///
/// `target` is the wait that is no harm, `interval` the length of a burst that is none. Both suit tasks of some
/// milliseconds; for longer ones, half an RTT and ten of them will do. The queue is looked at when somebody comes or a
/// permit is given back, so that it needs no timer. A look reads the
/// clock, once more for each who is shed.
///
/// When it stands is told much as by CoDel [1]. What is shed then is not: its law, to drop ever more often until the
/// senders slow down, needs senders that do. That, and the order, is after what Facebook made of it [2].
///
/// [1] K. Nichols, V. Jacobson, A. McGregor, J. Iyengar: Controlled Delay Active Queue Management. RFC 8289, 2018.
/// [2] B. Maurer: Fail at Scale. ACM Queue 13(8), 2015.
enum class wait_order : std::uint8_t {
    fifo,    ///< first come, first served
    adaptive ///< the same, until the queue stands; then last come, first served, and who waits for too long is shed
};

} // namespace flowguard

#endif
