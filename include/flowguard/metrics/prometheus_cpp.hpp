// prometheus_cpp.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// For services that have prometheus-cpp (https://github.com/jupp0r/prometheus-cpp); not part of flowguard.hpp.

#ifndef FLOWGUARD_METRICS_PROMETHEUS_CPP_HPP
#define FLOWGUARD_METRICS_PROMETHEUS_CPP_HPP

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include "flowguard/metrics/metrics.hpp"
#include "flowguard/metrics/prometheus.hpp"

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
            const bool counter = m.type == metric::kind::counter;
            family.type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
            for (const named_stats& guard : guards)
                values(guard.stats, [&](auto value, std::string_view label = {}, std::string_view label_value = {}) {
                    prometheus::ClientMetric sample;
                    sample.label.push_back({"guard", std::string(guard.name)});
                    if (!label.empty())
                        sample.label.push_back({std::string(label), std::string(label_value)});
                    (counter ? sample.counter.value : sample.gauge.value) = detail::prometheus_value(value);
                    family.metric.push_back(std::move(sample));
                });
            families.push_back(std::move(family));
        });
        return families;
    }

private:
    const source guards_;
};

} // namespace flowguard

#endif
