// scripted_strategy.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_SCRIPTED_STRATEGY_HPP
#define FLOWGUARD_SUPPORT_SCRIPTED_STRATEGY_HPP

#include "flowguard/testing/scripted_strategy.hpp"

namespace support {

using flowguard::scripted_strategy;

} // namespace support

#endif
