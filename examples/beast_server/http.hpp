// http.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef BEAST_SERVER_HTTP_HPP
#define BEAST_SERVER_HTTP_HPP

#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

namespace beast_server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

inline response answer_of(http::status status, std::string body, std::string_view type = "text/plain; charset=utf-8") {
    response answer(status, 11);
    answer.set(http::field::content_type, {type.data(), type.size()});
    answer.set(http::field::cache_control, "no-store");
    answer.body() = std::move(body);
    return answer;
}

inline std::string_view path_of(const request& r) {
    const std::string_view target(r.target().data(), r.target().size());
    return target.substr(0, target.find('?'));
}

} // namespace beast_server

#endif
