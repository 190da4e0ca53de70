// json.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_JSON_HPP
#define LAB_JSON_HPP

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "experiment.hpp"
#include "fixed_scenarios.hpp"
#include "load.hpp"
#include "scenario.hpp"
#include "score.hpp"
#include "summary.hpp"

namespace lab {

/// Writes values, and puts the commas between them.
class json_writer {
public:
    explicit json_writer(std::ostream& out) : out_(out) {}

    template <class Members>
    void object(Members members) {
        enclose('{', '}', members);
    }
    template <class Elements>
    void array(Elements elements) {
        enclose('[', ']', elements);
    }

    /// Writes the name of the value that is written next.
    json_writer& name(std::string_view text) {
        separate();
        quote(text);
        out_ << ':';
        first_ = true;
        return *this;
    }

    template <class T>
    void value(const T& v) {
        separate();
        if constexpr (std::is_same_v<T, bool>)
            out_ << (v ? "true" : "false");
        else if constexpr (std::is_arithmetic_v<T>)
            number(static_cast<double>(v));
        else
            quote(v);
    }
    template <class T>
    void value(const std::optional<T>& v) {
        if (v)
            return value(*v);
        separate();
        out_ << "null";
    }

    template <class T>
    void member(std::string_view text, const T& v) {
        name(text).value(v);
    }

private:
    template <class Contents>
    void enclose(char open, char close, Contents contents) {
        separate();
        out_ << open;
        first_ = true;
        contents();
        out_ << close;
        first_ = false;
    }

    void separate() {
        if (!first_)
            out_ << ",\n";
        first_ = false;
    }

    void number(double v) {
        if (!std::isfinite(v)) { // for which JSON has no number
            out_ << "null";
            return;
        }
        std::array<char, 32> text{};
        out_ << std::string_view(text.data(), std::to_chars(text.data(), text.data() + text.size(), v).ptr);
    }

    void quote(std::string_view text) {
        out_ << '"';
        for (const char c : text) {
            if (c == '"' || c == '\\')
                out_ << '\\';
            out_ << c; // our names have no control characters
        }
        out_ << '"';
    }

    std::ostream& out_;
    bool first_ = true; // in the enclosing object or array
};

namespace detail {

inline const char* name_of(rejected_callers r) {
    switch (r) {
    case rejected_callers::leave:
        return "leave";
    case rejected_callers::retry:
        return "retry";
    case rejected_callers::wait:
        return "wait";
    }
    return "";
}

class json_report {
public:
    explicit json_report(std::ostream& out) : to_(out) {}

    void write(const std::vector<result>& results, const std::vector<std::string>& strategies) {
        to_.object([&] {
            to_.name("scenarios").array([&] {
                for (const result& r : results)
                    write(r, strategies);
            });
            to_.name("summary").array([&] {
                for (const summary& s : summarize(results, strategies))
                    write(s);
            });
        });
    }

private:
    void write(const result& r, const std::vector<std::string>& strategies) {
        to_.object([&] {
            to_.name("parameters");
            write(r.of);
            to_.name("strategies").array([&] {
                for (std::size_t i = 0; i < strategies.size(); ++i)
                    write(strategies[i], r.scores[i]);
            });
        });
    }

    // All times are in seconds.
    void write(const scenario& s) {
        to_.object([&] {
            to_.member("name", s.name);
            to_.member("family", s.family);
            to_.member("service", s.service);
            to_.member("services", name_of(s.services));
            to_.member("contention", s.contention);
            to_.member("coherence", s.coherence);
            to_.member("shares_processors", s.shares_processors);
            to_.member("batch", s.batch);
            to_.member("batch_base", s.batch_base);
            to_.member("batch_each", s.batch_each);
            to_.name("outages");
            write(s.outages);
            to_.member("rate_limit", s.rate_limit);
            to_.member("service_limit", s.service_limit);
            to_.member("refusal_time", s.refusal_time);
            to_.member("ignored", s.ignored);
            to_.member("ignored_time", s.ignored_time);
            to_.member("watches", s.watches);
            to_.member("watch_time", s.watch_time);
            to_.member("connect", s.connect);
            to_.member("keep_alive", s.keep_alive);
            to_.member("downstream", s.downstream);
            to_.name("stalls");
            write(s.stalls);
            to_.name("pulses");
            write(s.pulses);
            to_.member("pulse_factor", s.pulse_factor);
            to_.member("swing", s.swing);
            to_.member("swing_period", s.swing_period);
            to_.member("time_out", s.time_out);
            to_.member("rejected_callers", name_of(s.rejected));
            if (s.compares_guards) {
                to_.member("distance", s.distance);
                to_.member("static_limit", s.static_limit);
                to_.member("first_demand", s.first_demand);
                to_.member("inner_guard", s.inner_guard);
                to_.member("inner_rejections_are_ignored", s.inner_rejections_are_ignored);
                to_.member("front_workers", s.front_workers);
                to_.member("front_service", s.front_service);
            }
            to_.member("initial_limit", s.initial_limit);
            to_.member("highest_load", highest_load(s));
            to_.member("light", is_light(s));
            to_.name("phases").array([&] {
                for (const phase& p : s.phases)
                    write(p);
            });
        });
    }

    void write(const recurring& r) {
        to_.object([&] {
            to_.member("every", r.every);
            to_.member("lasts", r.lasts);
        });
    }

    void write(const phase& p) {
        to_.object([&] {
            to_.member("length", p.length);
            to_.member("rate", p.rate);
            to_.member("workers", p.workers);
            to_.member("slowdown", p.slowdown);
            to_.member("guards", p.guards);
        });
    }

    void write(const std::string& strategy, const std::vector<score>& by_seed) {
        to_.object([&] {
            to_.member("strategy", strategy);
            to_.name("seeds").array([&] {
                for (const score& s : by_seed)
                    write(s);
            });
        });
    }

    void write(const score& s) {
        to_.object([&] {
            to_.member("in_time", s.in_time);
            to_.member("in_time_strict", s.in_time_strict);
            to_.member("goodput", s.goodput);
            to_.member("p99", s.p99);
            to_.member("quality", s.quality());
            to_.member("good", s.is_good());
            to_.member("rejected", s.rejected);
            to_.member("recovery", s.recovery);
            to_.member("oscillation", s.oscillation);
            to_.member("fairness", s.fairness);
            if (s.least_share) { // the scenario compares guards
                to_.member("least_share", s.least_share);
                to_.member("far_share", s.far_share);
                to_.member("static_share", s.static_share);
                to_.member("inner_oscillation", s.inner_oscillation);
            }
        });
    }

    void write(const summary& s) {
        to_.object([&] {
            to_.member("strategy", s.strategy);
            to_.member("in_time", s.in_time.value());
            to_.member("in_time_strict", s.in_time_strict.value());
            to_.member("worst_in_time", s.worst_in_time);
            to_.member("quality", s.quality.value());
            to_.member("goodput", s.goodput.value());
            to_.member("p99", s.p99.value());
            to_.member("good_share", s.good_share());
            to_.member("worst_goodput", s.worst_goodput);
            to_.member("worst_p99", s.worst_p99);
            to_.member("worst_false_rejections", s.worst_false_rejections);
            to_.member("mean_fairness", s.mean_fairness);
            to_.name("quality_by_family").object([&] {
                for (const auto& [family, quality] : s.quality_by_family)
                    to_.member(family, quality.value());
            });
        });
    }

    json_writer to_;
};

} // namespace detail

/// Writes the scenarios, the scores of each strategy in them with each seed, and the summary.
inline void write_json(std::ostream& out, const std::vector<result>& results,
                       const std::vector<std::string>& strategies) {
    detail::json_report(out).write(results, strategies);
    out << '\n';
}

} // namespace lab

#endif
