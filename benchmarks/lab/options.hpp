// options.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_OPTIONS_HPP
#define LAB_OPTIONS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "contenders.hpp"
#include "support/command_line.hpp"

namespace lab {

struct options {
    bool help = false;
    bool list = false;
    bool fixed = true;   // scenarios
    bool sampled = false;
    bool wild = false;
    bool fleet = false;
    std::size_t samples = 300;
    std::string only;
    std::vector<contender> strategies = contenders();
    std::size_t seeds = 1;
    std::optional<std::size_t> initial_limit; // else each scenario's own
    std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
    std::string json; // file
    std::string html; // folder
    std::optional<bool> rows;

    /// By default, prints rows only for the fixed scenarios: hundreds of sampled ones would have too many rows to read.
    bool prints_rows() const { return rows.value_or(!sampled); }
};

inline constexpr std::string_view help_text =
    R"(usage: control_lab [--scenarios fixed|sampled|wild|fleet|all] [--sampled N] [--only TEXT] [--strategies A,B,...]
                   [--seeds N] [--initial-limit N] [--threads N] [--rows | --no-rows] [--json FILE]
                   [--html FOLDER] [--list]

Tests strategies that set concurrency limits, FlowGuard's and others', on simulated servers: with queues, with
contention, with capacity that changes, with bursts and stalls, with many clients. Compares each strategy with an
oracle, which knows each scenario beforehand and sets the best static limit for each of its phases.

  --scenarios WHICH   fixed: a table for reading; sampled: drawn at random, for judging; wild: what users of adaptive
                      limiters reported; fleet: guards that differ, and guards behind guards; all: each of them;
                      default: fixed
  --sampled N         how many scenarios are drawn, always the same ones; from 1 to 100000, default: 300
  --only TEXT         only scenarios whose name contains TEXT
  --strategies A,...  only these strategies, in this order; --list shows them; default: all
  --seeds N           runs of each scenario, with different arrivals and service times; from 1 to 1000, default: 1
  --initial-limit N   initial limit of the strategies that take one, instead of each scenario's own; from 1 to 100000
  --threads N         threads that simulate; from 1 to 1024, default: as many as the machine runs at once
  --rows, --no-rows   whether to print the scores in each scenario, and not only the summary; default: only for
                      --scenarios fixed
  --json FILE         where to write all scores
  --html FOLDER       where to write a chart of each scenario, and index.html, which shows all of them
  --list              prints the names of the scenarios and strategies, and does nothing else
  --help              this text

A run is a discrete-event simulation in virtual time. It depends only on its seed, not on the machine: the same
options print the same figures.

Exit code: 0 if all scenarios ran, whatever the scores; 1 if something failed; 2 for a bad option.
)";

namespace detail {

inline std::string names_of(const std::vector<contender>& all) {
    std::string names;
    for (const contender& c : all)
        names += (names.empty() ? "" : ", ") + c.name;
    return names;
}

inline std::vector<contender> parse_strategies(std::string_view list) {
    const std::vector<contender> all = contenders();
    std::vector<contender> chosen;
    for (std::size_t begin = 0, end = 0; end < list.size(); begin = end + 1) {
        end = std::min(list.find(',', begin), list.size());
        const std::string_view name = list.substr(begin, end - begin);
        const auto named = [name](const contender& c) { return c.name == name; };
        const auto found = std::find_if(all.begin(), all.end(), named);
        if (found == all.end() || std::any_of(chosen.begin(), chosen.end(), named))
            break;
        chosen.push_back(*found);
        if (end == list.size())
            return chosen;
    }
    throw std::invalid_argument("--strategies is '" + std::string(list) +
                                "', must be some of these, each once, with commas between them: " + names_of(all));
}

inline void parse_scenarios(std::string_view which, options& result) {
    const bool all = which == "all";
    result.fixed = all || which == "fixed";
    result.sampled = all || which == "sampled";
    result.wild = all || which == "wild";
    result.fleet = all || which == "fleet";
    if (!result.fixed && !result.sampled && !result.wild && !result.fleet)
        throw std::invalid_argument("--scenarios is '" + std::string(which) +
                                    "', must be fixed, sampled, wild, fleet or all");
}

inline std::string parse_path(std::string_view option, std::string_view text) {
    if (text.empty())
        throw std::invalid_argument(std::string(option) + " is '', must be a path");
    return std::string(text);
}

} // namespace detail

/// Throws std::invalid_argument, with a text for the user.
inline options parse_options(int argc, char** argv) {
    options result;
    for (support::command_line line(argc, argv); line.next();) {
        const std::string_view option = line.option();
        if (option == "--help")
            result.help = true;
        else if (option == "--list")
            result.list = true;
        else if (option == "--scenarios")
            detail::parse_scenarios(line.value(), result);
        else if (option == "--sampled")
            result.samples = line.number_in(1, 100'000);
        else if (option == "--only")
            result.only = line.value();
        else if (option == "--strategies")
            result.strategies = detail::parse_strategies(line.value());
        else if (option == "--seeds")
            result.seeds = line.number_in(1, 1000);
        else if (option == "--initial-limit")
            result.initial_limit = line.number_in(1, 100'000);
        else if (option == "--threads")
            result.threads = line.number_in(1, 1024);
        else if (option == "--rows" || option == "--no-rows")
            result.rows = option == "--rows";
        else if (option == "--json")
            result.json = detail::parse_path(option, line.value());
        else if (option == "--html")
            result.html = detail::parse_path(option, line.value());
        else
            line.reject();
    }
    return result;
}

} // namespace lab

#endif
