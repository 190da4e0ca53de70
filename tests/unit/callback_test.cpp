// callback_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A guard in servers whose handlers are callbacks, as in docs/http.md.

#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flowguard.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using support::poll;

// As in Crow: the server keeps the response until any thread calls end(), which sends it.
namespace crow_like {

struct request {
    std::string url;
};

class response {
public:
    explicit response(std::vector<std::string>& sent) : sent_(&sent) {}

    int code = 200;
    std::string body{};

    void set_header(const std::string& name, const std::string& value) { headers_ += " " + name + ": " + value; }
    void end() { sent_->push_back(std::to_string(code) + " " + body + headers_); }

private:
    std::vector<std::string>* sent_;
    std::string headers_;
};

} // namespace crow_like

// As in restinio: the handler shares the request, and answers through it, at once or later.
namespace restinio_like {

enum class request_handling_status { accepted, rejected };

struct request {
    std::string target;
    std::vector<std::string>* sent;

    void respond(int status, const std::string& body) const { sent->push_back(std::to_string(status) + " " + body); }
};
using request_handle = std::shared_ptr<request>;

} // namespace restinio_like

// A database with callbacks. It answers when the test says so.
class database {
public:
    void query(const std::string& what, std::function<void(bool, std::string)> done) {
        pending_.emplace_back([what, done = std::move(done)](bool ok) { done(ok, what); });
    }

    bool answer(bool ok = true) {
        if (pending_.empty())
            return false;
        const auto next = std::move(pending_.front());
        pending_.erase(pending_.begin());
        next(ok);
        return true;
    }

private:
    std::vector<std::function<void(bool)>> pending_;
};

} // namespace

TEST_CASE("A guard sheds in a handler that is a callback") {
    using crow_like::request;
    using crow_like::response;

    std::vector<std::string> sent;
    database db;
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};

    const auto rows = [&](const request& req, response& res) {
        auto ticket = guard.try_acquire();
        if (!ticket) {
            res.code = 503;
            res.set_header("Retry-After", std::to_string(flowguard::retry_after(guard.stats()).count()));
            return res.end();
        }
        auto shared = std::make_shared<decltype(ticket)>(std::move(ticket)); // std::function copies
        db.query(req.url, [&res, shared](bool ok, const std::string& found) {
            ok ? shared->success() : shared->drop();
            res.code = ok ? 200 : 503;
            res.body = found;
            res.end();
        });
    };

    std::vector<std::unique_ptr<response>> responses;
    const auto serve = [&](const std::string& url) {
        rows(request{url}, *responses.emplace_back(std::make_unique<response>(sent)));
    };
    serve("/a");
    serve("/b");
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].starts_with("503  Retry-After: "));
    REQUIRE(db.answer());
    CHECK(sent.back() == "200 /a");
    serve("/c");
    REQUIRE(db.answer(false));
    CHECK(sent.back() == "503 /c");
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().succeeded == 1);
    CHECK(guard.stats().dropped == 1);
    CHECK(guard.stats().shed == 1);
}

TEST_CASE("A guard lets calls wait in a handler that is a callback") {
    using restinio_like::request_handle;
    using restinio_like::request_handling_status;

    asio::io_context context;
    std::vector<std::string> sent;
    database db;
    flowguard::flow_guard guard{context.get_executor(), flowguard::fixed_limit{1}, {.max_waiters = 1}};
    using ticket = decltype(guard)::ticket;

    const auto rows = [&](const request_handle& req) {
        guard.async_acquire([&, req](flowguard::error_code error, ticket admitted) {
            if (error)
                return req->respond(503, error.message());
            auto shared = std::make_shared<ticket>(std::move(admitted));
            db.query(req->target, [req, shared](bool ok, const std::string& found) {
                ok ? shared->success() : shared->drop();
                req->respond(ok ? 200 : 503, found);
            });
        });
        return request_handling_status::accepted;
    };

    const auto serve = [&](const std::string& target) {
        CHECK(rows(std::make_shared<restinio_like::request>(restinio_like::request{target, &sent})) ==
              request_handling_status::accepted);
        poll(context);
    };
    serve("/a");
    serve("/b");
    serve("/c");
    CHECK(sent == std::vector<std::string>{"503 shed"});
    while (db.answer())
        poll(context);
    CHECK(sent == std::vector<std::string>{"503 shed", "200 /a", "200 /b"});
    CHECK(guard.in_flight() == 0);
    CHECK(guard.stats().succeeded == 2);
}
