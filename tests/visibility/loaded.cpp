// loaded.cpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Two libraries know each other's errors, although they were loaded so that they share no symbols. The arguments are
// their paths. The first library makes the error.

#include <iostream>

#include <dlfcn.h>

#include "libraries.hpp"

namespace {

// Returns a function of a library, or null.
template <class F>
F* load(const char* path, const char* name) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void* function = library != nullptr ? dlsym(library, name) : nullptr;
    if (function == nullptr)
        std::cout << dlerror() << '\n';
    return reinterpret_cast<F*>(function);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3)
        return 1;
    const auto make = load<decltype(make_an_error)>(argv[1], "make_an_error");
    const auto judge = load<decltype(run_task_that_fails_with)>(argv[2], "run_task_that_fails_with");
    if (make == nullptr || judge == nullptr)
        return 1;
    flowguard::error_code error;
    make(error);
    flowguard::guard_stats s;
    judge(error, s);
    std::cout << error.message() << ", " << s.ignored << " ignored, " << s.dropped << " dropped\n";
    return flowguard::is_flowguard_error(error) && s.ignored == 1 && s.dropped == 0 ? 0 : 1;
}
