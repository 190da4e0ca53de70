// fleet.hpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_FLEET_HPP
#define POSTGRES_GUARD_FLEET_HPP

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

#include "check.hpp"
#include "load.hpp"
#include "member.hpp"
#include "pool.hpp"
#include "process.hpp"
#include "recorder.hpp"
#include "report.hpp"

namespace postgres_guard {

struct limit_sample {
    seconds time;
    double limit;
};

/// What is known of one process of a fleet.
struct member_record {
    process running;
    report_reader reports;
    recorder seen{};
    std::vector<limit_sample> limits{};
    std::size_t received = 0; // reports
    bool complete = false; // it has reported its end, and how many reports it sent
    bool ended = false;
};

/// Processes in front of one server, each with a guard of its own. For a program with one thread.
class fleet {
public:
    fleet(std::string where, const workload& work) : where_(std::move(where)), work_(work) {}

    /// The time since the start of the fleet.
    seconds now() const { return clock::now() - start_; }

    /// Starts a process, and returns its index.
    template <class Strategy>
    std::size_t start(Strategy strategy) {
        std::pair<descriptor, descriptor> pipe =
            descriptor::pipe(); // the child needs the second end, and the parent the first
        process child =
            process::copy([&] { return live_as_member(std::move(strategy), where_, work_, start_, pipe.second); });
        members_.push_back({.running = std::move(child), .reports = report_reader(std::move(pipe.first))});
        return members_.size() - 1;
    }

    /// Waits until each of these processes has answers.
    void wait_for_answers(const std::vector<std::size_t>& of) {
        wait_until("each process gets answers", [&] {
            for (const std::size_t i : of)
                if (members_[i].seen.answered() == 0)
                    return false;
            return true;
        });
    }

    /// Ends these processes, and checks that they end well.
    void stop(const std::vector<std::size_t>& some) {
        for (const std::size_t i : some)
            members_[i].running.signal(SIGTERM);
        wait_until("each process ends after SIGTERM", [&] {
            for (const std::size_t i : some)
                if (!members_[i].ended)
                    return false;
            return true;
        });
    }

    /// Lets the processes work for a while.
    void run_for(seconds length) {
        for (const seconds end = now() + length; now() < end;)
            receive(end - now());
    }

    const std::vector<member_record>& members() const { return members_; }

    /// The answers of all processes together. Those of the last 100 ms may not have been reported.
    summary between(seconds begin, seconds end) const { return all_.between(begin, end); }

private:
    // The longest time to wait for a process. On a busy machine, a server with hundreds of connections that compute
    // takes half a minute to open more of them.
    static constexpr auto longest_wait = 120s;

    template <class Condition>
    void wait_until(const char* what, Condition condition) {
        for (const auto latest = clock::now() + longest_wait; !condition();) {
            require(clock::now() < latest, what);
            receive(seconds(0.1));
        }
    }

    // Takes the reports that are there. Waits for them if there are none.
    void receive(seconds timeout) {
        std::vector<pollfd> pipes;
        for (const member_record& m : members_) // poll() leaves out negative numbers
            pipes.push_back({.fd = m.ended ? -1 : m.reports.number(), .events = POLLIN, .revents = 0});
        const auto whole = std::chrono::ceil<std::chrono::milliseconds>(timeout);
        if (::poll(pipes.data(), pipes.size(), static_cast<int>(whole.count())) <= 0)
            return;
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (pipes[i].revents != 0)
                receive_from(members_[i]);
    }

    void receive_from(member_record& m) {
        const auto news = m.reports.read();
        if (!news) {
            m.ended = true;
            require(m.running.wait_for(longest_wait) == 0 && m.complete,
                    "a process ends only when it is told to, and each of its calls is accounted for");
            return;
        }
        for (const report& r : *news)
            take(m, r);
    }

    void take(member_record& m, const report& r) {
        const seconds time(r.time);
        if (r.what == report::kind::end) {
            require(r.value == static_cast<double>(m.received), "all reports of a process arrive");
            m.complete = true;
            return;
        }
        ++m.received;
        if (r.what == report::kind::limit)
            m.limits.push_back({time, r.value});
        for (recorder* to : {&m.seen, &all_}) {
            if (r.what == report::kind::answer)
                to->answered(time, seconds(r.value));
            else if (r.what == report::kind::loss)
                to->lost(time);
        }
    }

    std::string where_;
    workload work_;
    clock::time_point start_ = clock::now();
    std::vector<member_record> members_;
    recorder all_; // the answers of different processes are not in the order of their times
};

} // namespace postgres_guard

#endif
