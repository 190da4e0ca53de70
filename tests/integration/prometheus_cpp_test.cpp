// prometheus_cpp_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/metrics/prometheus_cpp.hpp" // first: self-contained

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <prometheus/text_serializer.h>

namespace {

using namespace std::chrono_literals;
using flowguard::guard_stats;
using flowguard::named_stats;

} // namespace

TEST_CASE("prometheus-cpp writes the same text as the text writer") {
    guard_stats s;
    s.limit = 17;
    s.waiting_by_priority = {0, 3, 0, 12};
    s.succeeded = 1234;
    s.partitions = 2;
    s.rejected_by_partition[1] = {1, 2, 3, 4, 5, 6};
    s.waits_by_priority[2].counts[3] = 8;
    s.waits_by_priority[2].counts.back() = 1;
    s.waits_by_priority[2].sum = 60s;
    s.rtts.counts[19] = 9;
    s.long_lived = 6;
    s.long_lived_admitted = 7;
    s.rtt_p99 = 2s;
    const std::vector<named_stats> guards{{"database", s}, {"a \"b\" \\ c\xff", guard_stats{}}};
    const flowguard::prometheus_collectable collectable([&] { return guards; });
    CHECK(prometheus::TextSerializer().Serialize(collectable.Collect()) == flowguard::prometheus_text(guards));
}
