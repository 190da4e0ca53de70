// prometheus_cpp.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that have prometheus-cpp (https://github.com/jupp0r/prometheus-cpp); not part of flowguard.hpp.

#ifndef FLOWGUARD_METRICS_PROMETHEUS_CPP_HPP
#define FLOWGUARD_METRICS_PROMETHEUS_CPP_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include "flowguard/detail/base/utf8.hpp"
#include "flowguard/metrics/metrics.hpp"
#include "flowguard/metrics/prometheus.hpp"
#include "flowguard/time_histogram.hpp"

namespace flowguard {

/// Gives prometheus-cpp the stats of guards, under the same names as prometheus_text().
///
///     auto guards = std::make_shared<flowguard::prometheus_collectable>([&] {
///         return std::vector<flowguard::named_stats>{{"database", database.stats()}, {"billing", billing.stats()}};
///     });
///     exposer.RegisterCollectable(guards); // which keeps a weak_ptr
///
/// *Thread safety.* Threads of prometheus-cpp call Collect(), which calls the function that the object was made with.
/// That function may call flow_guard::stats().
class prometheus_collectable final : public prometheus::Collectable {
public:
    using source = std::function<std::vector<named_stats>()>;

    explicit prometheus_collectable(source guards) : guards_(std::move(guards)) {}

    std::vector<prometheus::MetricFamily> Collect() const override {
        const std::vector<named_stats> guards = guards_();
        std::vector<prometheus::MetricFamily> families;
        visit_metrics([&](const metric& m, auto values) {
            prometheus::MetricFamily family;
            family.name = prometheus_name(m);
            family.help = m.description;
            family.type = type_of(m.type);
            for (const named_stats& guard : guards)
                values(guard.stats, [&](auto value, std::initializer_list<metric_attribute> attributes = {}) {
                    prometheus::ClientMetric sample;
                    sample.label.push_back({"guard", detail::utf8(guard.name)});
                    for (const metric_attribute& a : attributes)
                        sample.label.push_back({std::string(a.key), std::string(a.value)});
                    if constexpr (std::is_same_v<decltype(value), time_histogram>)
                        sample.histogram = histogram_of(value);
                    else
                        (m.type == metric::kind::counter ? sample.counter.value : sample.gauge.value) =
                            detail::prometheus_value(value);
                    family.metric.push_back(std::move(sample));
                });
            families.push_back(std::move(family));
        });
        return families;
    }

private:
    static prometheus::MetricType type_of(metric::kind kind) noexcept {
        switch (kind) {
        case metric::kind::gauge:
            return prometheus::MetricType::Gauge;
        case metric::kind::counter:
            return prometheus::MetricType::Counter;
        case metric::kind::histogram:
            break;
        }
        return prometheus::MetricType::Histogram;
    }

    static prometheus::ClientMetric::Histogram histogram_of(const time_histogram& h) {
        prometheus::ClientMetric::Histogram found;
        found.sample_count = h.total();
        found.sample_sum = detail::prometheus_value(h.sum);
        std::uint64_t up_to_here = 0;
        for (std::size_t i = 0; i < h.counts.size(); ++i) {
            up_to_here += h.counts[i];
            found.bucket.push_back({up_to_here, i < h.bounds.size() ? detail::prometheus_value(h.bounds[i])
                                                                    : std::numeric_limits<double>::infinity()});
        }
        return found;
    }

    const source guards_;
};

} // namespace flowguard

#endif
