// member.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_MEMBER_HPP
#define POSTGRES_GUARD_MEMBER_HPP

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <flowguard.hpp>

#include "check.hpp"
#include "load.hpp"
#include "pool.hpp"
#include "recorder.hpp"
#include "report.hpp"

namespace postgres_guard {

/// The limit of a guard. A limit below one is a spacing of admissions, and counts as RTT / spacing.
template <class Guard>
double fractional_limit(const Guard& guard) {
    const flowguard::guard_stats s = guard.stats();
    if (s.spacing.count() == 0)
        return static_cast<double>(s.limit);
    return std::min(1.0, seconds(s.rtt_mean) / seconds(s.spacing));
}

/// What a process of a fleet does: it puts a load on its guard, and reports what happens, until it gets SIGTERM. Then
/// it closes the guard, and waits only for the queries that were sent.
template <class Guard>
class member {
public:
    /// Times are reported since `start`.
    member(asio::io_context& context, Guard& guard, const std::string& where, const workload& work,
           clock::time_point start, const descriptor& to)
        : guard_(guard),
          connections_(where, guard),
          users_(context, connections_, work),
          delay_(clock::now() - start - users_.now()),
          to_(to),
          end_(context, SIGTERM) {
        end_.async_wait([this](const asio::error_code&, int) { leave(); });
        asio::co_spawn(context, report_often(), asio::detached);
    }

    member(const member&) = delete;
    member& operator=(const member&) = delete;

    /// To be called when the context has no work left. Checks that nothing was lost, and sends the rest.
    void end() {
        require_order_when_closed(guard_, users_.seen());
        report_news();
        send(to_, {{report::kind::end, 0, static_cast<double>(sent_)}});
    }

private:
    void leave() {
        leaving_ = true;
        users_.stop();
        guard_.close();
    }

    asio::awaitable<void> report_often() {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (!leaving_) {
            report_news();
            timer.expires_after(100ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
    }

    void report_news() {
        const recorder& seen = users_.seen();
        std::vector<report> news;
        for (; answers_ < seen.answers().size(); ++answers_) {
            const recorder::answer& a = seen.answers()[answers_];
            news.push_back({report::kind::answer, (delay_ + a.time).count(), a.rtt.count()});
        }
        for (; losses_ < seen.losses().size(); ++losses_)
            news.push_back({report::kind::loss, (delay_ + seen.losses()[losses_]).count(), 0});
        news.push_back({report::kind::limit, (delay_ + users_.now()).count(), fractional_limit(guard_)});
        send(to_, news);
        sent_ += news.size();
    }

    Guard& guard_;
    pool<Guard> connections_;
    load<Guard> users_;
    seconds delay_; // from the start of the fleet to that of this process
    const descriptor& to_;
    asio::signal_set end_;
    bool leaving_ = false;
    std::size_t answers_ = 0, losses_ = 0, sent_ = 0; // of those reported
};

/// The whole life of such a process. Returns its exit code.
template <class Strategy>
int live_as_member(Strategy strategy, const std::string& where, const workload& work, clock::time_point start,
                   const descriptor& to) noexcept {
    try {
        asio::io_context context(1);
        flowguard::flow_guard guard{strategy, flowguard::guard_options::for_batch()};
        member self(context, guard, where, work, start, to);
        context.run();
        self.end();
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "postgres_guard: a process of the fleet: %s\n", e.what());
        return 1;
    }
}

} // namespace postgres_guard

#endif
