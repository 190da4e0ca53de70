// route.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_ROUTE_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_ROUTE_HPP

#include <string_view>

namespace flowguard::detail {

// What a request wants of a dashboard.
enum class dashboard_route {
    none, // nothing: it is for another part of the server
    page,
    snapshot,
    events,
    to_page // it names the prefix alone: a redirection to the page
};

// For the target of a request, a path and perhaps a query. `prefix` is empty, or begins with a slash and does not end
// with one.
inline dashboard_route dashboard_route_of(std::string_view target, std::string_view prefix) noexcept {
    std::string_view path = target.substr(0, target.find('?'));
    if (!path.starts_with(prefix))
        return dashboard_route::none;
    path.remove_prefix(prefix.size());
    if (path == "/")
        return dashboard_route::page;
    if (path == "/snapshot")
        return dashboard_route::snapshot;
    if (path == "/events")
        return dashboard_route::events;
    return path.empty() && !prefix.empty() ? dashboard_route::to_page : dashboard_route::none;
}

} // namespace flowguard::detail

#endif
