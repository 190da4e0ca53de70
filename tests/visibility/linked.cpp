// linked.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A program and the shared libraries that it is linked with share one category of errors, and one service of contexts.

#include <iostream>

#include "libraries.hpp"

int main() {
    flowguard::error_code error;
    shed_a_call(error);
    flowguard::guard_stats s;
    run_task_that_fails_with(error, s);
    const bool same = error == flowguard::error::shed && category_of_the_other() == &flowguard::error_category();
    const bool same_service = service_of_the_other() == &flowguard::detail::context_service::id;
    std::cout << (same_service ? "one service, " : "several services, ")
              << (same ? "one category" : "several categories") << ", " << s.ignored << " ignored, " << s.dropped
              << " dropped\n";
    return same && same_service && s.ignored == 1 && s.dropped == 0 ? 0 : 1;
}
