// testing.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For unit tests of services that use FlowGuard: see docs/testing.md. Not part of flowguard.hpp.

#ifndef FLOWGUARD_TESTING_HPP
#define FLOWGUARD_TESTING_HPP

#include "flowguard/testing/manual_clock.hpp"
#include "flowguard/testing/scripted_strategy.hpp"

#endif
