// exported.cpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Prints what a guard exports to Prometheus, for operations_test.cmake.

#include <iostream>

#include "flowguard/metrics/prometheus.hpp"

int main() {
    const flowguard::named_stats guards[] = {{"database", {}}};
    std::cout << flowguard::prometheus_text(guards);
}
