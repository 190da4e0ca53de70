// command_line_fuzz.cpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A libFuzzer target for the command lines of the examples, and for the form of beast_server's page. It looks for
// arguments, one a line, that are neither rejected by a std::invalid_argument nor within their ranges.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "examples/api_client/options.hpp"
#include "examples/beast_server/knobs.hpp"
#include "examples/beast_server/options.hpp"
#include "examples/overload_demo/options.hpp"
#include "examples/postgres_guard/options.hpp"
#include "examples/server_options.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using fuzz::require;

template <class T>
bool within(T value, T least, T most) {
    return value >= least && value <= most;
}

void check(const examples::options& o) {
    require(within(o.workers, 1U, 64U) && within(o.latency_ms, 1U, 500U), "an option of the servers");
}
void check(const overload_demo::options& o) {
    require(within(o.load, 1.1, 10.0), "--load of overload_demo");
}
void check(const beast_server::options& o) {
    require(within(o.threads, 1U, 64U) && within(o.workers, 1U, 64U) && within(o.latency_ms, 1U, 500U) &&
                o.load <= 5000 && within<long>(o.timeout.count(), 1, 600),
            "an option of beast_server");
}
void check(const api_client::options& o) {
    require(within(o.seconds, 0.1, 60.0), "--seconds of api_client");
}
void check(const postgres_guard::options& o) {
    require(within(o.seconds, 0.2, 600.0) && within(o.rounds, 1, 100) && within(o.timeout, 0.0, 3600.0) &&
                (o.processes == 0 || within<std::size_t>(o.processes, 2, 64)),
            "an option of postgres_guard");
}
void check(const beast_server::knob_settings& k) {
    require(within(k.workers.value_or(1), 1U, 64U) && within(k.latency_ms.value_or(1), 1U, 500U) &&
                k.load.value_or(0) <= 5000 && k.pin.value_or(0) <= 1000,
            "a knob of beast_server");
}

// Checks what `parse` returns, unless it rejects its input.
template <class Parse>
void check_parse(Parse parse) {
    try {
        check(parse());
    } catch (const std::invalid_argument& rejected) {
        require(!std::string_view(rejected.what()).empty(), "a rejection without a text");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string form(reinterpret_cast<const char*>(data), size);
    check_parse([&] { return beast_server::parse_knobs(form); });

    std::string text = "program\n" + form + '\n';
    std::vector<char*> arguments;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        text[end] = '\0';
        arguments.push_back(&text[begin]);
        begin = end + 1;
    }
    const int count = static_cast<int>(arguments.size());
    check_parse([&] { return examples::parse_options(count, arguments.data()); });
    check_parse([&] { return overload_demo::parse_options(count, arguments.data()); });
    check_parse([&] { return beast_server::parse_options(count, arguments.data()); });
    check_parse([&] { return api_client::parse_options(count, arguments.data()); });
    check_parse([&] { return postgres_guard::parse_options(count, arguments.data()); });
    return 0;
}
