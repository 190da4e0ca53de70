// command_line.hpp
// ~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_COMMAND_LINE_HPP
#define FLOWGUARD_SUPPORT_COMMAND_LINE_HPP

#include <charconv>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace support {

/// Reads the options of a program, an example or a benchmark, one after the other. Throws std::invalid_argument, with a
/// text for the user.
class command_line {
public:
    command_line(int argc, char** argv) : argc_(argc), argv_(argv) {}

    /// Goes on to the next option, if there is one.
    bool next() { return ++at_ < argc_; }

    char* option() const { return argv_[at_]; }

    /// The value that follows the option.
    std::string_view value() {
        if (at_ + 1 >= argc_)
            throw std::invalid_argument(std::string(option()) + " needs a value");
        return argv_[++at_];
    }

    /// The value that follows the option. It has to be a number in [least, most].
    template <class Number = std::uint64_t>
    Number number_in(std::type_identity_t<Number> least, std::type_identity_t<Number> most) {
        const std::string name = option();
        const std::string_view text = value();
        Number number{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size() && number >= least && number <= most)
            return number;
        std::ostringstream message;
        message << name << " is '" << text << "', must be in [" << least << ", " << most << ']';
        throw std::invalid_argument(message.str());
    }

    /// Rejects an unknown option.
    [[noreturn]] void reject() const { throw std::invalid_argument("unknown option '" + std::string(option()) + "'"); }

private:
    int argc_;
    char** argv_;
    int at_ = 0;
};

} // namespace support

#endif
