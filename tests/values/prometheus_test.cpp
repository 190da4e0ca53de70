// prometheus_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/metrics/prometheus.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <string>

namespace {

using namespace std::chrono_literals;
using flowguard::guard_stats;
using flowguard::named_stats;
using flowguard::prometheus_text;
using flowguard::rejection;
using flowguard::time_histogram;

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

} // namespace

TEST_CASE("Stats are written in Prometheus' text format") {
    guard_stats s;
    s.limit = 17;
    s.min_limit = 3;
    s.max_limit = 40;
    s.pinned = true;
    s.spacing = 25ms;
    s.in_flight = 9;
    s.waiting_by_priority = {0, 3, 0, 12};
    s.succeeded = 12'345'678'901;
    s.task_timeouts = 3;
    s.partitions = 2;
    s.rejected_by_partition[0][static_cast<std::size_t>(rejection::queue_full)] = 4;
    s.rejected_by_partition[1][static_cast<std::size_t>(rejection::timed_out)] = 5;
    s.long_lived = 6;
    s.long_lived_admitted = 7;
    s.rtt_mean = 1500us;
    s.rtt_p99 = 2s;
    s.baseline_rtt = 250ns;
    const named_stats guards[] = {{"database", s}, {"billing", guard_stats{}}};
    const std::string text = prometheus_text(guards);
    CHECK(text.starts_with("# HELP flowguard_limit How many tasks may run at once.\n"
                           "# TYPE flowguard_limit gauge\n"
                           "flowguard_limit{guard=\"database\"} 17\n"
                           "flowguard_limit{guard=\"billing\"} 0\n"
                           "# HELP flowguard_limit_min "));
    CHECK(has_line(text, "flowguard_limit_min{guard=\"database\"} 3"));
    CHECK(has_line(text, "flowguard_limit_max{guard=\"database\"} 40"));
    CHECK(has_line(text, "flowguard_limit_pinned{guard=\"database\"} 1"));
    CHECK(has_line(text, "flowguard_limit_pinned{guard=\"billing\"} 0"));
    CHECK(has_line(text, "flowguard_spacing_seconds{guard=\"database\"} 0.025"));
    CHECK(has_line(text, "flowguard_spacing_seconds{guard=\"billing\"} 0"));
    CHECK(has_line(text, "flowguard_waiting{guard=\"database\",priority=\"critical\"} 3"));
    CHECK(has_line(text, "flowguard_waiting{guard=\"database\",priority=\"sheddable\"} 12"));
    CHECK(has_line(text, "# TYPE flowguard_tasks_total counter"));
    CHECK(has_line(text, "flowguard_tasks_total{guard=\"database\",outcome=\"success\"} 12345678901"));
    CHECK(has_line(text, "flowguard_tasks_timed_out_total{guard=\"database\"} 3"));
    CHECK(has_line(text, "flowguard_rejected_total{guard=\"database\",reason=\"queue_full\",partition=\"0\"} 4"));
    CHECK(has_line(text, "flowguard_rejected_total{guard=\"database\",reason=\"timed_out\",partition=\"1\"} 5"));
    CHECK(has_line(text, "flowguard_rejected_total{guard=\"billing\",reason=\"timed_out\",partition=\"0\"} 0"));
    CHECK_FALSE(has_line(text, "flowguard_rejected_total{guard=\"billing\",reason=\"closed\",partition=\"1\"} 0"));
    CHECK(has_line(text, "# TYPE flowguard_long_lived gauge"));
    CHECK(has_line(text, "flowguard_long_lived{guard=\"database\"} 6"));
    CHECK(has_line(text, "flowguard_long_lived_admitted_total{guard=\"database\"} 7"));
    CHECK(has_line(text, "flowguard_window_rtt_seconds{guard=\"database\",percentile=\"99\"} 2"));
    CHECK(has_line(text, "flowguard_window_rtt_mean_seconds{guard=\"database\"} 0.0015"));
    CHECK(has_line(text, "flowguard_baseline_rtt_seconds{guard=\"database\"} 2.5e-07"));
    CHECK(text.ends_with("\n"));
}

TEST_CASE("A histogram is written with the number of times up to each bound") {
    guard_stats s;
    time_histogram& waits = s.waits_by_priority[static_cast<std::size_t>(flowguard::priority::sheddable)];
    waits.counts[time_histogram::index_of(1ms)] = 3;
    waits.counts[time_histogram::index_of(1s)] = 2;
    waits.counts.back() = 1;
    waits.sum = 73s;
    s.rtts.counts[0] = 7;
    s.rtts.sum = 125ms;
    const named_stats guards[] = {{"a", s}};
    const std::string text = prometheus_text(guards);
    CHECK(has_line(text, "# TYPE flowguard_wait_seconds histogram"));
    const std::string wait = "{guard=\"a\",priority=\"sheddable\"";
    CHECK(has_line(text, "flowguard_wait_seconds_count" + wait + "} 6"));
    CHECK(has_line(text, "flowguard_wait_seconds_sum" + wait + "} 73"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"5e-05\"} 0"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"0.0005\"} 0"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"0.001\"} 3"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"0.5\"} 3"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"1\"} 5"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"50\"} 5"));
    CHECK(has_line(text, "flowguard_wait_seconds_bucket" + wait + ",le=\"+Inf\"} 6"));
    CHECK(has_line(text, "flowguard_wait_seconds_count{guard=\"a\",priority=\"critical\"} 0"));
    CHECK(has_line(text, "# TYPE flowguard_rtt_seconds histogram"));
    CHECK(has_line(text, "flowguard_rtt_seconds_bucket{guard=\"a\",le=\"5e-05\"} 7"));
    CHECK(has_line(text, "flowguard_rtt_seconds_sum{guard=\"a\"} 0.125"));
}

TEST_CASE("Each metric is described once, and each line is a comment or a sample") {
    const named_stats guards[] = {{"a", {}}, {"b", {}}, {"c", {}}};
    const std::string text = prometheus_text(guards);
    std::size_t samples = 0;
    std::size_t comments = 0;
    for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1)
        ++(text[begin] == '#' ? comments : samples);
    CHECK(comments == 2 * 19);
    const std::size_t of_histogram = 20 + 2; // buckets, sum and count
    CHECK(samples == 3 * (13 + 4 + 4 * of_histogram + 3 + of_histogram + 6 + 2));
    CHECK(prometheus_text({}).find("{") == std::string::npos);
}

TEST_CASE("The name of a guard may be anything") {
    const named_stats guards[] = {{"a \"b\" \\ c\nd", {}}, {"e\xff", {}}};
    CHECK(has_line(prometheus_text(guards), "flowguard_limit{guard=\"a \\\"b\\\" \\\\ c\\nd\"} 0"));
    CHECK(has_line(prometheus_text(guards), "flowguard_limit{guard=\"e\xef\xbf\xbd\"} 0"));
}
