// require.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_TESTS_FUZZ_REQUIRE_HPP
#define FLOWGUARD_TESTS_FUZZ_REQUIRE_HPP

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fuzz {

// Ends the program if this does not hold, so that libFuzzer keeps the input.
inline void require(bool holds, const std::string& what) {
    if (holds)
        return;
    std::fprintf(stderr, "wrong: %s\n", what.c_str());
    std::abort();
}

} // namespace fuzz

#endif
