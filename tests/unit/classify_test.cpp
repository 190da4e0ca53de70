// classify_test.cpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/classify.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/http/http_status.hpp"
#include "flowguard/sqlstate.hpp"
#include "flowguard/strategies/fixed_limit.hpp"
#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace {

using flowguard::classify;
using flowguard::default_classifier;
using flowguard::detail::classifies;
using flowguard::detail::classify_by;
using flowguard::error_code;
using flowguard::outcome;

// A std::expected for C++20, as far as a classifier looks at it.
template <class T, class E>
class expected {
public:
    expected(T value) : value_(std::move(value)) {} // NOLINT(google-explicit-constructor)
    static expected failed(E error) {
        expected e{T{}};
        e.value_.reset();
        e.error_ = std::move(error);
        return e;
    }

    bool has_value() const noexcept { return value_.has_value(); }
    const T& value() const { return *value_; }
    const E& error() const { return error_; }

private:
    std::optional<T> value_;
    E error_{};
};

const error_code none{};
const error_code aborted = asio::error::operation_aborted;
const error_code timed_out = asio::error::timed_out;

template <class E>
outcome of_exception(E exception) {
    return default_classifier{}(std::make_exception_ptr(std::move(exception)));
}

template <class T>
outcome of_result(const T& result) {
    return default_classifier{}(result);
}

TEST_CASE("An error code counts as a success, as ignored, or as a drop") {
    CHECK(classify(none) == outcome::success);
    CHECK(classify(aborted) == outcome::ignored);
    CHECK(classify(timed_out) == outcome::dropped);
    CHECK(classify(asio::error::eof) == outcome::dropped);
    CHECK(classify(flowguard::error::closed) == outcome::ignored);
    CHECK(classify(flowguard::error::shed) == outcome::ignored);
    CHECK(classify(flowguard::error::wait_timeout) == outcome::ignored);
    CHECK(classify(asio::error::connection_refused) == outcome::dropped);
    STATIC_REQUIRE(noexcept(classify(none)));
}

TEST_CASE("A task without a result counts as a success") {
    CHECK(default_classifier{}() == outcome::success);
}

TEST_CASE("An exception with an error code is classified by that code") {
    CHECK(of_exception(asio::system_error(aborted)) == outcome::ignored);
    CHECK(of_exception(asio::system_error(timed_out)) == outcome::dropped);
    CHECK(of_exception(asio::system_error(aborted, "with a text")) == outcome::ignored);

    // The error codes of the standard library count with both Asios.
    using std::errc;
    CHECK(of_exception(std::system_error(std::make_error_code(errc::operation_canceled))) == outcome::ignored);
    CHECK(of_exception(std::system_error(std::make_error_code(errc::timed_out))) == outcome::dropped);
    CHECK(of_exception(std::system_error(ECANCELED, std::system_category())) == outcome::ignored);
    CHECK(of_result(std::make_error_code(errc::operation_canceled)) == outcome::ignored);
    CHECK(of_result(std::make_error_code(errc::timed_out)) == outcome::dropped);
    CHECK(of_result(std::error_code()) == outcome::success);

    struct derived : asio::system_error {
        using asio::system_error::system_error;
    };
    CHECK(of_exception(derived(aborted)) == outcome::ignored);
}

TEST_CASE("An error of another copy of FlowGuard is FlowGuard's, as its category has the same name") {
    using category = std::remove_cvref_t<decltype(flowguard::error_category())>;
    struct named final : category {
        explicit named(const char* of) : name_(of) {}
        const char* name() const noexcept override { return name_; }
        std::string message(int) const override { return name_; }
        const char* name_;
    };
    static const named copy(flowguard::error_category().name());
    static const named other("other");
    CHECK(flowguard::is_flowguard_error(flowguard::error_code(1, copy)));
    CHECK(flowguard::is_flowguard_error(flowguard::error::shed));
    CHECK_FALSE(flowguard::is_flowguard_error(flowguard::error_code(1, other)));
}

TEST_CASE("A task whose result is an exception_ptr is classified by that exception; null is a success") {
    asio::io_context context;
    flowguard::flow_guard guard{flowguard::fixed_limit{1}};
    const auto outcome_of = [&](std::exception_ptr result, auto classify) {
        const auto before = guard.stats();
        const auto call = support::start(
            context, guard.run([&result]() -> asio::awaitable<std::exception_ptr> { co_return result; }, classify));
        support::poll(context);
        REQUIRE(call->succeeded());
        const auto after = guard.stats();
        return after.succeeded > before.succeeded ? outcome::success
               : after.dropped > before.dropped   ? outcome::dropped
                                                  : outcome::ignored;
    };
    const auto failed = std::make_exception_ptr(std::runtime_error("no luck"));
    const auto cancelled = std::make_exception_ptr(asio::system_error(flowguard::error::shed));
    CHECK(outcome_of(nullptr, default_classifier{}) == outcome::success);
    CHECK(outcome_of(failed, default_classifier{}) == outcome::dropped);
    CHECK(outcome_of(cancelled, default_classifier{}) == outcome::ignored);
    CHECK(outcome_of(nullptr, flowguard::drops_only<std::runtime_error>{}) == outcome::success);
    CHECK(outcome_of(failed, flowguard::drops_only<std::runtime_error>{}) == outcome::dropped);
    CHECK(outcome_of(failed, flowguard::drops_only<asio::system_error>{}) == outcome::ignored);
}

TEST_CASE("An exception without an error code is a drop") {
    CHECK(of_exception(std::runtime_error("no luck")) == outcome::dropped);
    CHECK(of_exception(std::logic_error("no sense")) == outcome::dropped);
    CHECK(of_exception(42) == outcome::dropped);
    CHECK(of_exception(aborted) == outcome::dropped); // the thrown object is the error code itself
}

TEST_CASE("A result that is an error code is classified by it") {
    CHECK(of_result(none) == outcome::success);
    CHECK(of_result(aborted) == outcome::ignored);
    CHECK(of_result(timed_out) == outcome::dropped);
}

TEST_CASE("A tuple that begins with an error code is classified by it") {
    CHECK(of_result(std::tuple{none}) == outcome::success);
    CHECK(of_result(std::tuple{none, 42}) == outcome::success);
    CHECK(of_result(std::tuple{aborted, 42}) == outcome::ignored);
    CHECK(of_result(std::tuple{timed_out, std::string("partial")}) == outcome::dropped);
    CHECK(of_result(std::pair{timed_out, 1}) == outcome::dropped);
    CHECK(of_result(std::tuple<error_code, std::unique_ptr<int>>{aborted, nullptr}) == outcome::ignored);
}

TEST_CASE("A tuple that does not begin with an error code is a success") {
    CHECK(of_result(std::tuple{42, timed_out}) == outcome::success);
    CHECK(of_result(std::tuple{42, 43}) == outcome::success);
    CHECK(of_result(std::tuple<>{}) == outcome::success);
}

TEST_CASE("A variant is a success, whatever it holds") {
    using either = std::variant<error_code, std::string>;
    CHECK(of_result(either{std::string("text")}) == outcome::success);
    CHECK(of_result(either{timed_out}) == outcome::success);
    CHECK(of_result(std::variant<int, error_code>{timed_out}) == outcome::success);
}

TEST_CASE("The result of as_tuple is classified by its error code") {
    asio::io_context context;
    asio::steady_timer timer{context, asio::steady_timer::time_point::min()};
    auto wait = [&]() -> asio::awaitable<outcome> {
        const auto result = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        STATIC_REQUIRE(std::is_same_v<decltype(result), const std::tuple<error_code>>);
        co_return default_classifier{}(result);
    };
    const auto expired = support::start(context, wait());
    support::poll(context);
    REQUIRE(expired->succeeded());
    CHECK(*expired->value == outcome::success);

    timer.expires_at(asio::steady_timer::time_point::max());
    const auto cancelled = support::start(context, wait());
    support::poll(context);
    REQUIRE_FALSE(cancelled->done);
    timer.cancel();
    support::poll(context);
    REQUIRE(cancelled->succeeded());
    CHECK(*cancelled->value == outcome::ignored);
}

TEST_CASE("An expected with a value is a success") {
    CHECK(of_result(expected<int, error_code>{42}) == outcome::success);
    CHECK(of_result(expected<int, std::string>{42}) == outcome::success);
    CHECK(of_result(expected<bool, error_code>{false}) == outcome::success);
}

TEST_CASE("An expected with an error code is classified by it") {
    using result = expected<int, error_code>;
    CHECK(of_result(result::failed(aborted)) == outcome::ignored);
    CHECK(of_result(result::failed(timed_out)) == outcome::dropped);
    CHECK(of_result(result::failed(none)) == outcome::success);
}

TEST_CASE("An expected with an error enumeration is classified like its error code") {
    using basic_errors = expected<int, asio::error::basic_errors>;
    CHECK(of_result(basic_errors::failed(asio::error::operation_aborted)) == outcome::ignored);
    CHECK(of_result(basic_errors::failed(asio::error::timed_out)) == outcome::dropped);
}

TEST_CASE("An expected with any other error is a drop") {
    CHECK(of_result(expected<int, std::string>::failed("no luck")) == outcome::dropped);
    CHECK(of_result(expected<int, int>::failed(0)) == outcome::dropped);
}

TEST_CASE("Any other result is a success") {
    CHECK(of_result(0) == outcome::success);
    CHECK(of_result(false) == outcome::success);
    CHECK(of_result(std::string("error")) == outcome::success);
    CHECK(of_result(std::optional<int>{}) == outcome::success);
    CHECK(of_result(std::unique_ptr<int>{}) == outcome::success);
    struct response {
        int status;
    };
    CHECK(of_result(response{503}) == outcome::success);
}

TEST_CASE("A classifier that takes only results leaves exceptions to the default") {
    auto classifier = [](const int& status) { return status == 503 ? outcome::dropped : outcome::success; };
    CHECK(classify_by(classifier, 503) == outcome::dropped);
    CHECK(classify_by(classifier, 200) == outcome::success);
    CHECK(classify_by(classifier, std::make_exception_ptr(asio::system_error(aborted))) == outcome::ignored);
    CHECK(classify_by(classifier, std::make_exception_ptr(std::runtime_error("no luck"))) == outcome::dropped);
}

TEST_CASE("A classifier that takes only exceptions leaves results to the default") {
    auto classifier = [](std::exception_ptr) { return outcome::ignored; };
    CHECK(classify_by(classifier, std::make_exception_ptr(std::runtime_error("bad request"))) == outcome::ignored);
    CHECK(classify_by(classifier) == outcome::success);
    CHECK(classify_by(classifier, 503) == outcome::success);
    CHECK(classify_by(classifier, std::tuple{timed_out, 1}) == outcome::dropped);
}

TEST_CASE("A classifier that takes nothing is for tasks without a result") {
    auto classifier = [] { return outcome::ignored; };
    CHECK(classify_by(classifier) == outcome::ignored);
    CHECK(classify_by(classifier, std::make_exception_ptr(std::runtime_error("no luck"))) == outcome::dropped);
    CHECK(classify_by(classifier, timed_out) == outcome::dropped);
}

TEST_CASE("A classifier may take both results and exceptions") {
    struct {
        outcome operator()(const std::string& text) const { return text.empty() ? outcome::dropped : outcome::success; }
        outcome operator()(const std::exception_ptr&) const { return outcome::ignored; }
    } classifier;
    CHECK(classify_by(classifier, std::string()) == outcome::dropped);
    CHECK(classify_by(classifier, std::string("text")) == outcome::success);
    CHECK(classify_by(classifier, std::make_exception_ptr(std::runtime_error("no luck"))) == outcome::ignored);
}

TEST_CASE("A classifier overrides the default if both accept the result") {
    auto classifier = [](const error_code& e) { return e == timed_out ? outcome::success : outcome::dropped; };
    CHECK(classify_by(classifier, timed_out) == outcome::success);
    CHECK(classify_by(classifier, aborted) == outcome::dropped);
}

TEST_CASE("A classifier must take at least one way in which the task may end") {
    using flowguard::detail::classifies_task;
    const auto of_number = [](int) { return outcome::success; };
    const auto of_exception = [](std::exception_ptr) { return outcome::success; };
    const auto of_nothing = [] { return outcome::success; };
    const auto says_nothing = [](int) {};
    STATIC_REQUIRE(classifies_task<decltype(of_number), int>);
    STATIC_REQUIRE_FALSE(classifies_task<decltype(of_number), std::string>);
    STATIC_REQUIRE_FALSE(classifies_task<decltype(of_number), void>);
    STATIC_REQUIRE(classifies_task<decltype(of_exception), int>);
    STATIC_REQUIRE(classifies_task<decltype(of_exception), void>);
    STATIC_REQUIRE(classifies_task<decltype(of_nothing), void>);
    STATIC_REQUIRE_FALSE(classifies_task<decltype(of_nothing), int>);
    STATIC_REQUIRE_FALSE(classifies_task<decltype(says_nothing), int>);
    STATIC_REQUIRE(classifies_task<flowguard::default_classifier, int>);
    STATIC_REQUIRE(classifies_task<flowguard::default_classifier, void>);
}

TEST_CASE("drops_only takes no exceptions for drops but those of its types") {
    const flowguard::drops_only<std::range_error, flowguard::system_error> classify_some;
    CHECK(classify_some(std::make_exception_ptr(std::range_error("full"))) == outcome::dropped);
    CHECK(classify_some(std::make_exception_ptr(std::runtime_error("not found"))) == outcome::ignored);
    CHECK(classify_some(std::make_exception_ptr(1)) == outcome::ignored);
    CHECK(classify_some(std::make_exception_ptr(flowguard::system_error(timed_out))) == outcome::dropped);
    CHECK(classify_some(std::make_exception_ptr(flowguard::system_error(aborted))) == outcome::ignored);
    const flowguard::drops_only<std::runtime_error> classify_base;
    CHECK(classify_base(std::make_exception_ptr(std::range_error("full"))) == outcome::dropped);
    CHECK(classify_base(std::make_exception_ptr(std::logic_error("not found"))) == outcome::ignored);
    CHECK(classify_by(classify_base, timed_out) == outcome::dropped);
    CHECK(classify_by(classify_base, 1) == outcome::success);
}

TEST_CASE("A classifier may have a state, and change it") {
    int calls = 0;
    auto classifier = [n = 0, &calls](const int&) mutable {
        calls = ++n;
        return n % 2 == 0 ? outcome::dropped : outcome::success;
    };
    CHECK(classify_by(classifier, 1) == outcome::success);
    CHECK(classify_by(classifier, 1) == outcome::dropped);
    CHECK(calls == 2);
}

// Ready-made classifiers

TEST_CASE("An HTTP status counts as a success, as ignored, or as a drop") {
    using flowguard::classify_http_status;
    for (const unsigned status : {100U, 200U, 204U, 301U, 304U, 404U, 410U})
        CHECK(classify_http_status(status) == outcome::success);
    for (const unsigned status : {0U, 99U, 400U, 401U, 403U, 408U, 409U, 422U, 500U, 501U})
        CHECK(classify_http_status(status) == outcome::ignored);
    for (const unsigned status : {429U, 502U, 503U, 504U})
        CHECK(classify_http_status(status) == outcome::dropped);
}

TEST_CASE("A response is classified by the status that is found in it") {
    enum class status : std::uint16_t { ok = 200, service_unavailable = 503 };
    struct response {
        status code;
        status result() const { return code; }
    };
    const response good{status::ok};
    const response bad{status::service_unavailable};
    CHECK(flowguard::by_http_status(&response::code)(good) == outcome::success);
    CHECK(flowguard::by_http_status(&response::result)(bad) == outcome::dropped);
    CHECK(flowguard::by_http_status([](const response& r) { return r.code; })(bad) == outcome::dropped);
    CHECK(flowguard::by_http_status()(429) == outcome::dropped);
    using by_code = decltype(flowguard::by_http_status(&response::code));
    STATIC_REQUIRE(classifies<by_code, response>);
    STATIC_REQUIRE_FALSE(classifies<by_code, std::exception_ptr>); // the default classifier takes it
    STATIC_REQUIRE_FALSE(classifies<by_code, int>);
    STATIC_REQUIRE_FALSE(classifies<flowguard::by_http_status<>, std::exception_ptr>);
    STATIC_REQUIRE(flowguard::detail::classifies_task<flowguard::by_http_status<>, int>);
}

TEST_CASE("An SQLSTATE counts as a success, as ignored, or as a drop") {
    using flowguard::classify_sqlstate;
    for (const char* state : {"00000", "01000", "02000"})
        CHECK(classify_sqlstate(state) == outcome::success);
    for (const char* state : {"42601", "23505", "22012", "57000", "57P04", "55000", "XX000", "", "0"})
        CHECK(classify_sqlstate(state) == outcome::ignored);
    for (const char* state : {"08006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P02", "57P03"})
        CHECK(classify_sqlstate(state) == outcome::dropped);
    CHECK(classify_sqlstate(static_cast<const char*>(nullptr)) == outcome::success);
    CHECK(classify_sqlstate(std::string("53300")) == outcome::dropped);
}

} // namespace
