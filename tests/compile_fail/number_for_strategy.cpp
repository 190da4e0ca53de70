// number_for_strategy.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A guard made with a number does not compile, and says how a guard is made.
// expected: a guard is made with a strategy, not with a number: write flow_guard.vegas_strategy.10..

#include "flowguard.hpp"

#ifdef FLOWGUARD_CONTROL
flowguard::flow_guard guard{flowguard::vegas_strategy{10}};
#else
flowguard::flow_guard guard{10};
#endif
