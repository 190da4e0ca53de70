// prometheus_fuzz.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A libFuzzer target for prometheus_text(). It looks for stats, and names of guards, whose text is not in Prometheus'
// format, version 0.0.4, or that are read back from the text as something else.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "flowguard/detail/base/utf8.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/metrics/metrics.hpp"
#include "flowguard/metrics/prometheus.hpp"
#include "flowguard/time_histogram.hpp"
#include "support/byte_source.hpp"
#include "tests/fuzz/require.hpp"

namespace {

using fuzz::require;

constexpr std::string_view digits = "0123456789";
constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

// Reads a text from its begin to its end.
class reader {
public:
    explicit reader(std::string_view text) : rest_(text) {}

    bool is_done() const { return rest_.empty(); }

    void skip(std::string_view expected) {
        require(rest_.substr(0, expected.size()) == expected, "no '" + std::string(expected) + "' where it must be");
        rest_.remove_prefix(expected.size());
    }

    bool skip_if(std::string_view expected) {
        const bool is_there = rest_.substr(0, expected.size()) == expected;
        if (is_there)
            skip(expected);
        return is_there;
    }

    std::string_view name() {
        const std::size_t length =
            std::min(rest_.find_first_not_of(std::string(letters) + std::string(digits)), rest_.size());
        require(length > 0 && digits.find(rest_[0]) == std::string_view::npos, "no name where it must be");
        return take(length);
    }

    // The rest of the line, without its end.
    std::string_view line() {
        const std::size_t end = rest_.find('\n');
        require(end != std::string_view::npos, "the last line does not end");
        const std::string_view result = take(end);
        skip("\n");
        return result;
    }

    // The value of a label, with its quotation marks.
    std::string label() {
        std::string value;
        skip("\"");
        while (!skip_if("\"")) {
            if (skip_if("\\n"))
                value += '\n';
            else if (skip_if("\\\\"))
                value += '\\';
            else if (skip_if("\\\""))
                value += '"';
            else {
                require(!rest_.empty() && rest_[0] != '\n' && rest_[0] != '\\', "a label does not end");
                value += take(1);
            }
        }
        return value;
    }

private:
    std::string_view take(std::size_t length) {
        const std::string_view result = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return result;
    }

    std::string_view rest_;
};

void check_number(std::string_view text) {
    double value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && end == text.data() + text.size(), "'" + std::string(text) + "' is no number");
}

void check_text(const std::string& text, std::string_view guard) {
    std::string metric; // of the last # TYPE
    for (reader read(text); !read.is_done();) {
        if (read.skip_if("# HELP ")) {
            metric = read.name();
            read.skip(" ");
            require(read.line().find('\\') == std::string_view::npos, "a description with an escape");
            read.skip("# TYPE ");
            read.skip(metric);
            read.skip(" ");
            const std::string_view type = read.line();
            require(type == "gauge" || type == "counter" || type == "histogram", "type");
            continue;
        }
        read.skip(metric);
        if (!read.skip_if("_bucket") && !read.skip_if("_sum"))
            read.skip_if("_count");
        read.skip("{guard=");
        require(read.label() == flowguard::detail::utf8(guard), "the guard's name is another one");
        while (read.skip_if(",")) {
            read.name();
            read.skip("=");
            read.label();
        }
        read.skip("} ");
        check_number(read.line());
    }
}

// Any bits in any field, but for the text, the bool, and the count of partitions.
flowguard::guard_stats stats_from(support::byte_source& from) {
    using flowguard::guard_stats;
    static_assert(std::is_trivially_copyable_v<guard_stats>);
    guard_stats stats;
    const guard_stats usual;
    const auto fill = [&](auto& field) {
        for (std::size_t i = 0; i < sizeof field / sizeof(std::uint64_t); ++i) {
            const auto bits = from.take<std::uint64_t>();
            std::memcpy(reinterpret_cast<char*>(&field) + i * sizeof bits, &bits, sizeof bits);
        }
    };
    fill(stats);
    stats.limit_reason = usual.limit_reason;
    std::memset(&stats.pinned, from.take<std::uint8_t>() % 2, sizeof stats.pinned);
    stats.partitions = from.between(1, flowguard::max_partitions);
    return stats;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    support::byte_source from({data, size});
    const std::size_t length = std::min<std::size_t>(from.take<std::uint8_t>(), size / 2);
    std::string name;
    for (std::size_t i = 0; i < length; ++i)
        name += from.take<char>();
    const flowguard::named_stats guards[] = {{name, stats_from(from)}};
    check_text(flowguard::prometheus_text(guards), name);
    return 0;
}
