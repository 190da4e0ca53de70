// run_main.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_RUN_MAIN_HPP
#define FLOWGUARD_SUPPORT_RUN_MAIN_HPP

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <type_traits>

namespace support {

/// Thrown by a program that cannot do its work here, because something that it needs is missing.
struct left_out : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The main() of a program with options. `parse_options(argc, argv)` returns the options, among them `bool help`, or
/// throws an exception with a text for the user. `run(options)` does the work, and may return whether it succeeded.
///
/// Returns 0 for success, 1 for a failure, 2 for bad options, and 77, as CTest's SKIP_RETURN_CODE, for left_out.
template <class Parse, class Run>
int run_main(const char* name, std::string_view help_text, int& argc, char** argv, Parse parse_options, Run run) {
    std::invoke_result_t<Parse, int&, char**> options;
    try {
        options = parse_options(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << name << ": " << e.what() << "; see --help\n";
        return 2;
    }
    if (options.help) {
        std::cout << help_text;
        return 0;
    }
    try {
        if constexpr (std::is_same_v<std::invoke_result_t<Run, decltype(options)&>, bool>)
            return run(options) ? 0 : 1;
        else
            run(options);
    } catch (const left_out& e) {
        std::cerr << name << ": left out: " << e.what() << '\n';
        return 77;
    } catch (const std::exception& e) {
        std::cerr << name << ": " << e.what() << '\n';
        return 1;
    }
    return 0;
}

} // namespace support

#endif
