// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "chart.hpp"
#include "experiment.hpp"
#include "fixed_scenarios.hpp"
#include "fleet_scenarios.hpp"
#include "json.hpp"
#include "options.hpp"
#include "page.hpp"
#include "sampled_scenarios.hpp"
#include "summary.hpp"
#include "support/output_file.hpp"
#include "support/run_main.hpp"
#include "table.hpp"
#include "wild_scenarios.hpp"

namespace lab {

std::vector<scenario> chosen_scenarios(const options& chosen) {
    std::vector<scenario> all;
    if (chosen.fixed)
        all = fixed_scenarios();
    if (chosen.sampled)
        for (scenario& s : sampled_scenarios(chosen.samples))
            all.push_back(std::move(s));
    if (chosen.wild)
        for (scenario& s : wild_scenarios())
            all.push_back(std::move(s));
    if (chosen.fleet)
        for (scenario& s : fleet_scenarios())
            all.push_back(std::move(s));
    std::erase_if(all, [&](const scenario& s) { return s.name.find(chosen.only) == std::string::npos; });
    if (all.empty())
        throw std::invalid_argument("--only is '" + chosen.only + "', must be part of the name of a scenario");
    for (scenario& s : all)
        s.initial_limit = chosen.initial_limit.value_or(s.initial_limit);
    return all;
}

std::vector<std::string> names_of(const std::vector<contender>& who) {
    std::vector<std::string> names;
    for (const contender& c : who)
        names.push_back(c.name);
    return names;
}

void list(const options& chosen, const std::vector<scenario>& scenarios) {
    std::cout << "scenarios:\n";
    for (const scenario& s : scenarios)
        std::cout << "  " << s.name << '\n';
    std::cout << "strategies:\n";
    for (const contender& c : chosen.strategies)
        std::cout << "  " << c.name << '\n';
}

/// Fails early if the output cannot be written.
void prepare_output(const options& chosen) {
    if (!chosen.json.empty())
        support::require_writable(chosen.json);
    if (chosen.html.empty())
        return;
    std::filesystem::create_directories(chosen.html);
    support::write_file(std::filesystem::path(chosen.html) / "index.html",
                        [](std::ostream& out) { out << "Not done yet.\n"; });
}

/// The longest scenarios first, so that no thread is still busy with one of them when the others have finished.
std::vector<std::size_t> order_of(const std::vector<scenario>& scenarios) {
    std::vector<double> requests;
    for (const scenario& s : scenarios)
        requests.push_back(std::accumulate(s.phases.begin(), s.phases.end(), 0.0,
                                           [](double sum, const phase& p) { return sum + p.length * p.rate; }));
    std::vector<std::size_t> order(scenarios.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return requests[a] > requests[b]; });
    return order;
}

void show_progress(std::size_t done, std::size_t of) {
    static const bool on_terminal = isatty(STDERR_FILENO) == 1;
    if (on_terminal)
        std::fprintf(stderr, "\rlab: %zu of %zu scenarios%s", done, of, done == of ? "\n" : "");
}

/// Draws each scenario as soon as it is done: the runs of all of them would not fit into memory.
std::vector<result> run(const options& chosen, const std::vector<scenario>& scenarios) {
    const std::vector<std::string> names = names_of(chosen.strategies);
    const std::vector<std::size_t> order = order_of(scenarios);
    std::vector<result> results(scenarios.size());
    const auto work = [&](std::size_t place) {
        const std::size_t i = order[place];
        const experiment one{.scenarios = {scenarios[i]},
                             .who = chosen.strategies,
                             .seeds = chosen.seeds,
                             .threads = 1,
                             .keep_runs = !chosen.html.empty()};
        result r = std::move(one.run([](std::size_t) {}).front());
        if (one.keep_runs)
            support::write_file(std::filesystem::path(chosen.html) / page::chart_name(r.of),
                                [&](std::ostream& out) { chart(r, names).write(out); });
        r.runs.clear();
        r.oracle_run = {};
        results[i] = std::move(r);
    };
    for_each_in_parallel(scenarios.size(), chosen.threads, work,
                         [&](std::size_t done) { show_progress(done, scenarios.size()); });
    return results;
}

void report(const options& chosen, const std::vector<result>& results) {
    const std::vector<std::string> names = names_of(chosen.strategies);
    if (chosen.prints_rows())
        print_scores(std::cout, results, names);
    print_summary(std::cout, summarize(results, names), results.size());
    if (!std::cout.flush())
        throw std::runtime_error("cannot print");
    if (!chosen.json.empty())
        support::write_file(chosen.json, [&](std::ostream& out) { write_json(out, results, names); });
    if (!chosen.html.empty())
        support::write_file(std::filesystem::path(chosen.html) / "index.html",
                            [&](std::ostream& out) { page(results, names).write(out); });
}

void run_and_report(const options& chosen, const std::vector<scenario>& scenarios) {
    prepare_output(chosen);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<result> results = run(chosen, scenarios);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    report(chosen, results);
    std::fprintf(stderr, "lab: %.1f s\n", taken.count());
}

} // namespace lab

int main(int argc, char** argv) {
    return support::run_main("control_lab", lab::help_text, argc, argv, lab::parse_options,
                             [](const lab::options& chosen) {
                                 const std::vector<lab::scenario> scenarios = lab::chosen_scenarios(chosen);
                                 if (chosen.list)
                                     lab::list(chosen, scenarios);
                                 else
                                     lab::run_and_report(chosen, scenarios);
                             });
}
