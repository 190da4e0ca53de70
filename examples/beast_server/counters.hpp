// counters.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_COUNTERS_HPP
#define BEAST_SERVER_COUNTERS_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace beast_server {

/// How many answers there were of each status. Thread-safe.
class answer_counts {
public:
    void count(unsigned status) { counts_[status < counts_.size() ? status : 0].fetch_add(1, relaxed); }

    std::uint64_t of(unsigned status) const { return counts_[status].load(relaxed); }

    std::uint64_t sum() const {
        std::uint64_t result = 0;
        for (const auto& count : counts_)
            result += count.load(relaxed);
        return result;
    }

    /// Calls `visit(status, count)` for each status that was answered.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t status = 0; status < counts_.size(); ++status)
            if (const std::uint64_t count = counts_[status].load(relaxed); count > 0)
                visit(status, count);
    }

private:
    static constexpr auto relaxed = std::memory_order_relaxed;

    std::array<std::atomic<std::uint64_t>, 600> counts_{};
};

/// What the server counts besides its guard. Thread-safe.
struct counters {
    answer_counts answers; ///< sent on connections
    answer_counts guarded; ///< of the guarded handler, to connections and to the server's own load
    std::atomic<std::uint64_t> opened{0}; ///< connections
    std::atomic<std::uint64_t> closed{0};

    std::uint64_t open() const {
        const std::uint64_t gone = closed; // read first, so that it is never more than `opened`
        return opened - gone;
    }
};

/// In Prometheus' text format.
inline std::string prometheus_text(const counters& all) {
    std::string text;
    const auto begin = [&](std::string_view name, std::string_view type, std::string_view help) {
        text.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name);
        text.append(" ").append(type).append("\n");
    };
    const auto add = [&](std::string_view name, std::uint64_t value) {
        text.append(name).append(" ").append(std::to_string(value)).append("\n");
    };
    const auto add_answers = [&](std::string_view name, std::string_view help, const answer_counts& answers) {
        begin(name, "counter", help);
        answers.for_each([&](std::size_t status, std::uint64_t count) {
            add(std::string(name) + "{status=\"" + std::to_string(status) + "\"}", count);
        });
    };
    add_answers("http_answers_total", "Answers on connections.", all.answers);
    add_answers("http_guarded_answers_total", "Answers of the guarded handler, also to the server's own load.",
                all.guarded);
    begin("http_connections_total", "counter", "Connections that were accepted.");
    add("http_connections_total", all.opened);
    begin("http_connections_open", "gauge", "Connections that are open now.");
    add("http_connections_open", all.open());
    return text;
}

} // namespace beast_server

#endif
