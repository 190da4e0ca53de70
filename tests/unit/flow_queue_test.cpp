// flow_queue_test.cpp
// ~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/queue/flow_queue.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/random_numbers.hpp"

namespace {

using flowguard::detail::flow_queue;
using flowguard::detail::flow_waiter;
using flowguard::detail::waiter;
using flowguard::detail::waiter_list;

class caller final : public flow_waiter {
public:
    caller(std::size_t permits, std::uint64_t key) : flow_waiter(permits) { set_flow(key); }

    void complete() noexcept override {}
    void destroy() noexcept override {}
    void watch() noexcept override {}
    asio::execution_context* context() override { return nullptr; }
};

// Belongs to no flow.
class loner final : public waiter {
public:
    loner() : waiter(1) {}

    void complete() noexcept override {}
    void destroy() noexcept override {}
    void watch() noexcept override {}
    asio::execution_context* context() override { return nullptr; }
};

// The same turns as plain arithmetic: a flow's tag is looked for among all.
class reference {
public:
    void push(const caller& w) {
        flow& f = flows_[w.flow];
        f.waiters.push_back(&w);
        if (f.waiters.size() == 1)
            f = {now() + w.wanted, w.wanted, ++count_, std::move(f.waiters)};
        look();
    }

    void remove(const caller& w, bool granted) {
        flow& f = flows_[w.flow];
        f.waiters.erase(std::find(f.waiters.begin(), f.waiters.end(), &w));
        if (granted)
            f.charged = std::min<std::int64_t>(f.charged - std::int64_t{w.wanted}, 0);
        if (f.waiters.empty()) {
            flows_.erase(w.flow);
        } else if (const std::int64_t wanted = f.waiters.front()->wanted; wanted > f.charged) {
            f.tag += static_cast<std::uint64_t>(wanted - f.charged);
            f.charged = wanted;
            f.order = ++count_;
        }
        look();
    }

    const waiter* next() const {
        const auto least = first();
        return least == flows_.end() ? nullptr : least->second.waiters.front();
    }

private:
    struct flow {
        std::uint64_t tag = 0;
        std::int64_t charged = 0;
        std::uint64_t order = 0;
        std::deque<const caller*> waiters{};
    };

    std::map<std::uint64_t, flow>::const_iterator first() const {
        return std::min_element(flows_.begin(), flows_.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second.tag, a.second.order) < std::pair(b.second.tag, b.second.order);
        });
    }

    std::uint64_t now() const { return now_; }
    void look() {
        if (!flows_.empty())
            now_ = first()->second.tag;
    }

    std::map<std::uint64_t, flow> flows_;
    std::uint64_t now_ = 0;
    std::uint64_t count_ = 0;
};

TEST_CASE("Random waiters of flows are served in the same order as by a simple search") {
    const waiter_list rest;
    for (const std::size_t most_wanted : {std::size_t{1}, std::size_t{5}, (std::size_t{1} << 28) - 1}) {
        support::random_numbers random(most_wanted);
        flow_queue queue;
        reference model;
        std::vector<std::unique_ptr<caller>> waiting;
        for (int step = 0; step < 6000; ++step) {
            const bool fills = step % 1000 < 500;
            if (waiting.empty() || random.below(10) < (fills ? 6 : 4)) {
                const std::uint64_t flow = random.below(12) << (random.below(2) * 50);
                waiting.push_back(std::make_unique<caller>(1 + random.below(most_wanted), flow));
                queue.push_back(*waiting.back(), rest, 0, false);
                model.push(*waiting.back());
            } else {
                const bool granted = random.below(3) != 0;
                const auto gone = granted
                                      ? std::find_if(waiting.begin(), waiting.end(),
                                                     [&](const auto& w) { return w.get() == queue.next(rest, false); })
                                      : waiting.begin() + static_cast<std::ptrdiff_t>(random.below(waiting.size()));
                REQUIRE(gone != waiting.end());
                if (granted)
                    queue.count_turn(**gone);
                queue.remove(**gone, false);
                model.remove(**gone, granted);
                waiting.erase(gone);
            }
            REQUIRE(queue.empty() == waiting.empty());
            if (!waiting.empty())
                REQUIRE(queue.next(rest, false) == model.next());
        }
    }
}

TEST_CASE("A flow whose waiters want more permits has fewer turns") {
    flow_queue queue;
    const waiter_list rest;
    std::deque<caller> heavy;
    std::deque<caller> light;
    for (int i = 0; i < 20; ++i) {
        queue.push_back(heavy.emplace_back(5, 1), rest, 0, false);
        queue.push_back(light.emplace_back(1, 2), rest, 0, false);
    }
    std::size_t permits_of_heavy = 0;
    std::size_t permits_of_light = 0;
    while (permits_of_light < 20) {
        auto& w = static_cast<flow_waiter&>(*queue.next(rest, false));
        (w.flow == 1 ? permits_of_heavy : permits_of_light) += w.wanted;
        queue.count_turn(w);
        queue.remove(w, false);
    }
    CHECK(permits_of_heavy >= 15);
    CHECK(permits_of_heavy <= 25);
}

TEST_CASE("A waiter keeps its turn only while its flow is next") {
    flow_queue queue;
    waiter_list rest;
    loner alone;
    caller a{1, 1};
    caller b{1, 2};
    rest.push_back(alone);
    queue.push_back(a, rest, 1, false);
    queue.push_back(b, rest, 1, false);
    CHECK(queue.next(rest, false, &a) == &alone); // the rest is next
    queue.count_turn(alone);
    rest.remove(alone);
    queue.remove_from_rest(rest, false);
    caller newer{1, 1};
    queue.push_back(newer, rest, 0, false);
    CHECK(queue.next(rest, false, &newer) == &newer);
    CHECK(queue.next(rest, false, &b) == &a);
}

TEST_CASE("If no flow is known to be the longest, the waiter to evict is the last to come but the one that is kept") {
    flow_queue queue;
    const waiter_list rest;
    caller a{1, 1};
    caller b{1, 2};
    caller c{1, 3};
    for (caller* w : {&a, &b, &c})
        queue.push_back(*w, rest, 0, false);
    queue.remove(a, false); // it was the longest
    CHECK(queue.last(rest, false, nullptr) == &c);
    CHECK(queue.last(rest, false, &c) == &b);
    queue.remove(b, false);
    CHECK(queue.last(rest, false, &c) == nullptr);
}

TEST_CASE("While a lane stands, the newest waiter of the flow in turn is next") {
    flow_queue queue;
    const waiter_list rest;
    caller a(1, 1);
    caller b(1, 1);
    caller c(1, 2);
    for (caller* w : {&a, &b, &c})
        queue.push_back(*w, rest, 0, true);
    CHECK(queue.next(rest, true) == &b);
    CHECK(queue.oldest(rest) == &a);
    CHECK(queue.last(rest, true, &b) == &a);
    queue.count_turn(b);
    queue.remove(b, true);
    CHECK(queue.next(rest, true) == &c);
    queue.remove(c, true);
    CHECK(queue.next(rest, true) == &a);
    CHECK(queue.oldest(rest, &a) == nullptr);
}

} // namespace
