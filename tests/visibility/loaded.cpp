// loaded.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The errors of a library are known, though it was loaded so that it shares no symbols: its path is the argument.

#include <iostream>

#include <dlfcn.h>

#include "libraries.hpp"

int main(int argc, char** argv) {
    void* library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
    void* found = library != nullptr ? dlsym(library, "shed_a_call") : nullptr;
    if (found == nullptr) {
        std::cout << "shed_a_call is not found: " << dlerror() << '\n';
        return 1;
    }
    flowguard::error_code error;
    reinterpret_cast<decltype(&shed_a_call)>(found)(error);
    const flowguard::guard_stats s = run_task_that_fails_with(error);
    std::cout << error.message() << ", " << s.ignored << " ignored, " << s.dropped << " dropped\n";
    return flowguard::is_flowguard_error(error) && s.ignored == 1 && s.dropped == 0 ? 0 : 1;
}
