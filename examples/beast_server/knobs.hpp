// knobs.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_KNOBS_HPP
#define BEAST_SERVER_KNOBS_HPP

#include <charconv>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace beast_server {

/// A whole number that users may set.
struct knob {
    std::string_view name;
    unsigned least;
    unsigned most;

    /// Throws std::invalid_argument, with a text for the user.
    unsigned value_of(std::string_view text) const {
        unsigned value{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
            throw std::invalid_argument(std::string(name) + " has to be a whole number from " + std::to_string(least) +
                                        " to " + std::to_string(most));
        return value;
    }
};

inline constexpr knob workers_knob{"workers", 1, 64};
inline constexpr knob latency_knob{"latency_ms", 1, 500};
inline constexpr knob load_knob{"load", 0, 5000};
inline constexpr knob pin_knob{"pin", 0, 1000};

/// The values to set. A knob without a value stays as it is.
struct knob_settings {
    std::optional<unsigned> workers;    ///< of the simulated service
    std::optional<unsigned> latency_ms; ///< of a task, on average
    std::optional<unsigned> load;       ///< made by the server itself, in requests/s
    std::optional<unsigned> pin;        ///< the limit that an operator sets; 0: the strategy sets it
};

/// Reads settings from a form, such as "workers=4&latency_ms=20". Throws std::invalid_argument, with a text for the
/// user.
inline knob_settings parse_knobs(std::string_view form) {
    knob_settings result;
    if (form.empty())
        throw std::invalid_argument("nothing to set: give some of workers, latency_ms, load and pin");
    while (!form.empty()) {
        const std::string_view field = form.substr(0, form.find('&'));
        form.remove_prefix(field.size() == form.size() ? field.size() : field.size() + 1);
        const std::string_view name = field.substr(0, field.find('='));
        const std::string_view value = name.size() < field.size() ? field.substr(name.size() + 1) : "";
        if (name == workers_knob.name)
            result.workers = workers_knob.value_of(value);
        else if (name == latency_knob.name)
            result.latency_ms = latency_knob.value_of(value);
        else if (name == load_knob.name)
            result.load = load_knob.value_of(value);
        else if (name == pin_knob.name)
            result.pin = pin_knob.value_of(value);
        else
            throw std::invalid_argument("no such knob: there are workers, latency_ms, load and pin");
    }
    return result;
}

} // namespace beast_server

#endif
