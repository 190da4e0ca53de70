// fixed_scenarios.hpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_FIXED_SCENARIOS_HPP
#define LAB_FIXED_SCENARIOS_HPP

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "scenario.hpp"

namespace lab {

namespace detail {

inline std::string name_of(spread s) {
    switch (s) {
    case spread::fixed:
        return "fixed";
    case spread::exponential:
        return "exponential";
    case spread::lognormal:
        return "lognormal";
    case spread::bimodal:
        return "bimodal";
    case spread::two_classes:
        return "two classes";
    case spread::tail:
        return "tail";
    }
    return "";
}

inline std::string text_of(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.')
        text.pop_back();
    return text;
}

// One step of a scenario: its load, and its server.
struct step {
    double length; // seconds
    double load;   // over the capacity of the first step
    double workers = 0; // 0: as before
    double slowdown = 1;
    std::size_t guards = 1;
};

class builder {
public:
    builder(std::string family, const std::string& name, double workers, double service) : workers_(workers) {
        scenario_.name = family + ' ' + name;
        scenario_.family = std::move(family);
        scenario_.service = service;
        scenario_.time_out = 2;
    }

    template <class F>
    builder& with(F change) {
        change(scenario_);
        return *this;
    }

    scenario steps(const std::vector<step>& all) {
        const double capacity = scenario_.capacity(workers_);
        for (const step& s : all) {
            if (s.workers > 0)
                workers_ = s.workers;
            scenario_.phases.push_back({s.length, s.load * capacity, workers_, s.slowdown, s.guards});
        }
        return scenario_;
    }

private:
    scenario scenario_;
    double workers_;
};

} // namespace detail

/// A fixed table of scenarios, for reading. The names give the load over the capacity: `2x`.
inline std::vector<scenario> fixed_scenarios() {
    using detail::builder;
    std::vector<scenario> all;

    // Many requests in each run, few of them long, on any size of server.
    struct size {
        double workers, service, length;
    };
    const size small{4, 0.01, 60}, middle{40, 0.02, 60}, large{400, 0.05, 40};

    for (const size& s : {small, middle, large})
        for (const spread how : {spread::fixed, spread::exponential, spread::lognormal})
            for (const double load : {0.7, 1.2, 3.0})
                all.push_back(
                    builder("queue",
                            detail::text_of(s.workers) + ' ' + detail::name_of(how) + ' ' + detail::text_of(load) + 'x',
                            s.workers, s.service)
                        .with([how](scenario& sc) { sc.services = how; })
                        .steps({{s.length, load}}));

    for (const size& s : {small, middle, large})
        all.push_back(builder("classes", "bimodal " + detail::text_of(s.workers) + " 1.5x", s.workers, s.service)
                          .with([](scenario& sc) { sc.services = spread::bimodal; })
                          .steps({{s.length, 1.5}}));
    all.push_back(builder("classes", "1 to 50 1.5x", 40, 0.02)
                      .with([](scenario& sc) { sc.services = spread::two_classes; })
                      .steps({{60, 1.5}}));

    struct sharing {
        const char* name;
        double contention, coherence;
    };
    for (const sharing& c : {sharing{"best at 97", 0.05, 0.0001}, sharing{"best at 21", 0.1, 0.002},
                             sharing{"best at 44", 0.02, 0.0005}, sharing{"best at 7", 0.05, 0.02}})
        for (const double load : {0.7, 2.0})
            all.push_back(builder("contention", std::string(c.name) + ' ' + detail::text_of(load) + 'x', 0, 0.01)
                              .with([c](scenario& sc) {
                                  sc.contention = c.contention;
                                  sc.coherence = c.coherence;
                              })
                              .steps({{60, load}}));

    for (const auto& [workers, downstream] : {std::pair{4.0, 0.09}, std::pair{40.0, 0.02}, std::pair{40.0, 0.2}})
        all.push_back(builder("downstream",
                              detail::text_of(workers) + " + " + detail::text_of(downstream * 1e3) + " ms 1.5x",
                              workers, 0.02)
                          .with([d = downstream](scenario& sc) {
                              sc.downstream = d;
                              sc.time_out += d;
                          })
                          .steps({{60, 1.5}}));

    all.push_back(
        builder("capacity", "40 to 16 to 40 1.5x", 40, 0.02).steps({{30, 1.5}, {30, 1.5, 16}, {30, 1.5, 40}}));
    all.push_back(builder("capacity", "4 to 12 3x", 4, 0.01).steps({{40, 3}, {40, 3, 12}}));
    all.push_back(builder("capacity", "400 to 100 1.2x", 400, 0.05).steps({{30, 1.2}, {30, 1.2, 100}}));

    all.push_back(builder("slower", "4 times 40 2x", 40, 0.02).steps({{30, 2}, {40, 2, 0, 4}, {30, 2}}));
    all.push_back(builder("slower", "4 times 40 0.5x", 40, 0.02).steps({{30, 0.5}, {40, 0.5, 0, 4}, {30, 0.5}}));
    all.push_back(builder("slower", "2 times 4 1.5x", 4, 0.01).steps({{30, 1.5}, {30, 1.5, 0, 2}, {30, 1.5}}));

    all.push_back(builder("crowd", "4 0.5x 5x 0.5x", 4, 0.01).steps({{20, 0.5}, {30, 5}, {20, 0.5}}));
    all.push_back(builder("crowd", "40 0.5x 5x 0.5x", 40, 0.02).steps({{20, 0.5}, {30, 5}, {20, 0.5}}));
    all.push_back(builder("crowd", "400 idle to 2x", 400, 0.05).steps({{20, 0.02}, {30, 2}}));

    for (const size& s : {small, middle})
        all.push_back(
            builder("pulses", detail::text_of(s.workers) + " 0.6x, 3x a fifth of the time", s.workers, s.service)
                .with([](scenario& sc) {
                    sc.pulses = {.every = 2, .lasts = 0.4};
                    sc.pulse_factor = 5;
                })
                .steps({{s.length, 0.6}}));
    all.push_back(builder("pulses", "40 a day in two minutes", 40, 0.02)
                      .with([](scenario& sc) {
                          sc.swing = 0.8;
                          sc.swing_period = 120;
                      })
                      .steps({{120, 1}}));

    for (const double load : {0.7, 1.5})
        all.push_back(builder("stalls", "40 " + detail::text_of(load) + "x, 0.3 s every 5 s", 40, 0.02)
                          .with([](scenario& sc) { sc.stalls = {.every = 5, .lasts = 0.3}; })
                          .steps({{60, load}}));

    for (const std::size_t guards : {std::size_t{4}, std::size_t{32}, std::size_t{128}})
        all.push_back(builder("guards", std::to_string(guards) + " 1.5x", 40, 0.02).steps({{120, 1.5, 0, 1, guards}}));
    all.push_back(builder("guards", "1000 on 400 1.5x", 400, 0.05).steps({{120, 1.5, 0, 1, 1000}}));
    all.push_back(builder("guards", "8 to 32 to 8 1.5x", 40, 0.02)
                      .steps({{60, 1.5, 0, 1, 8}, {60, 1.5, 0, 1, 32}, {60, 1.5, 0, 1, 8}}));
    all.push_back(builder("guards", "32 for an hour 1.5x", 40, 0.02).steps({{3600, 1.5, 0, 1, 32}}));

    for (const auto& [name, what] :
         {std::pair{"retry", rejected_callers::retry}, std::pair{"wait", rejected_callers::wait}})
        all.push_back(builder("callers", std::string(name) + " 40 1.5x", 40, 0.02)
                          .with([w = what](scenario& sc) { sc.rejected = w; })
                          .steps({{60, 1.5}}));
    return all;
}

} // namespace lab

#endif
