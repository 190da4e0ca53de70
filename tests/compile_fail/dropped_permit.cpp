// dropped_permit.cpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A permit that is not kept would be released at once: compilers warn of that.
// expected: nodiscard

#include "flowguard.hpp"

#pragma GCC diagnostic error "-Wunused-result"

void work(flowguard::dynamic_semaphore& semaphore) {
#ifdef FLOWGUARD_CONTROL
    const flowguard::permit kept = semaphore.acquire_blocking();
#else
    semaphore.acquire_blocking();
#endif
}
