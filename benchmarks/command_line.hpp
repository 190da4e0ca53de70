// command_line.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_BENCHMARKS_COMMAND_LINE_HPP
#define FLOWGUARD_BENCHMARKS_COMMAND_LINE_HPP

#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

/// Reads the options of a program, one after the other. What it throws is std::invalid_argument, with a text for the
/// user.
class command_line {
public:
    command_line(int argc, char** argv) : argc_(argc), argv_(argv) {}

    /// Goes on to the next option, if there is one.
    bool next() { return ++at_ < argc_; }

    char* option() const { return argv_[at_]; }

    /// What follows the option.
    std::string_view value() {
        if (at_ + 1 >= argc_)
            throw std::invalid_argument(std::string(option()) + " needs a value");
        return argv_[++at_];
    }

    std::uint64_t number_in(std::uint64_t least, std::uint64_t most) {
        const std::string name = option();
        const std::string_view text = value();
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
            throw std::invalid_argument(name + " is '" + std::string(text) + "', must be in [" + std::to_string(least) +
                                        ", " + std::to_string(most) + "]");
        return number;
    }

private:
    int argc_;
    char** argv_;
    int at_ = 0;
};

#endif
