// windows.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A guard's windows under the memory model: admissions, the closing of windows, early where somebody straggles, the
// strategy, limits that a window ends, decisions that are read meanwhile, and the end of the state.
//
// The strategy, and the observer of decisions, keep plain members in memory that is checked: that only one thread at a
// time is in them, and sees what the one before did, would otherwise be noticed as a data race.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flowguard/detail/guard_state.hpp"
#include "memory_model/quiet_buckets.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"

namespace {

using flowguard::duration;
using flowguard::outcome;
using flowguard::plan;
using memory_model::choose;
using memory_model::fail;

constexpr std::size_t most_updates = 512;

struct window_choices {
    std::size_t workers = 2 + choose(2);
    bool straggler = choose(2) == 0;                      // one worker's calls take very long
    bool jumps = choose(2) == 0;                          // the clock does, so that windows may be closed early
    std::size_t rounds = (straggler ? 6 : 3) + choose(8); // of a worker: a call begins or ends
    bool reader = choose(2) == 0;                         // a thread reads the decisions
    bool orphaned = choose(4) == 0;                       // the guard goes while calls are in flight

    std::string describe() const {
        return std::to_string(workers) + " workers, " + std::to_string(rounds) + " rounds" +
               (jumps ? ", the clock jumps" : "") + (straggler ? ", a straggler" : "") + (reader ? ", a reader" : "") +
               (orphaned ? ", orphaned" : "");
    }
};

// Goes on a little with each look, or now and then by more than what makes a straggler.
struct random_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<random_clock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept {
        using namespace std::chrono_literals;
        constexpr std::array<duration, 6> steps{0ns, 1us, 0ns, 3ms, 20ms, 0ns};
        at += steps[choose(jumps ? 6 : 3)];
        return time_point(at);
    }

    static inline duration at{};
    static inline bool jumps = false;
};

// What the strategy has decided in this execution. The number of an update is its decision's baseline and reason.
struct decided {
    std::size_t updates = 0;
    std::size_t limit_now = 0; // by the latest plan, as soon as its window is full
    std::size_t dip = 0;       // until then
    std::array<std::size_t, most_updates> limit_of{};
};
decided log_of_updates;

// The threads that are being admitted. Such a one closes a window only if that is early.
std::array<bool, memory_model::most_threads> is_admitting{};

bool& current_is_admitting() {
    return is_admitting[memory_model::current_observer().thread];
}

const std::vector<std::string> reasons = [] {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < most_updates; ++i)
        all.push_back(std::to_string(i));
    return all;
}();

const char* reason_of(std::size_t update) {
    return reasons[update].c_str();
}

std::size_t limit_of_guard();

class random_strategy {
public:
    static constexpr std::size_t first_limit = 2;
    static constexpr std::size_t highest_limit = 3;
    static constexpr std::size_t most_members = 4; // of a window: 1.5 × the highest limit, or what a plan says

    random_strategy(std::size_t lowest_limit, bool windows_are_complete)
        : lowest_limit_(lowest_limit), windows_are_complete_(windows_are_complete) {}

    std::size_t current_limit() const noexcept { return first_limit; }

    plan update(const flowguard::window& w) noexcept {
        ++updates_; // plain: see above
        check_window(w);
        if (limit_of_guard() != log_of_updates.limit_now)
            fail("a window is closed before the limit is what its plan said");
        const plan next{some_limit(), 1 + choose(most_members - 1), choose(2) == 0 ? some_limit() : 0};
        log_of_updates.updates = updates_;
        log_of_updates.dip = next.limit;
        log_of_updates.limit_now = next.then != 0 ? next.then : next.limit;
        log_of_updates.limit_of[updates_] = log_of_updates.limit_now;
        memory_model::count(current_is_admitting() ? "windows closed early" : "windows closed");
        return next;
    }

    duration baseline() const noexcept { return duration(updates_); }
    const char* reason() const noexcept { return reason_of(updates_); }

private:
    std::size_t some_limit() const { return lowest_limit_ + choose(highest_limit - lowest_limit_ + 1); }

    void check_window(const flowguard::window& w) const {
        const std::size_t done = w.samples + w.dropped + w.ignored;
        if (done != w.admitted && windows_are_complete_)
            fail("of a window of %zu members, %zu are counted", w.admitted, done);
        if (w.admitted < 1 || w.admitted > most_members || done > w.admitted + most_members ||
            done + most_members < w.admitted || w.limit < 1 || w.limit > highest_limit)
            fail("an impossible window: admitted %zu, counted %zu, limit %zu", w.admitted, done, w.limit);
        if (w.mean_rtt < duration(0) || w.length < duration(0) || w.admitting < duration(0))
            fail("an impossible window: mean RTT %lld ns, length %lld ns, admitting %lld ns",
                 static_cast<long long>(w.mean_rtt.count()), static_cast<long long>(w.length.count()),
                 static_cast<long long>(w.admitting.count()));
    }

    const std::size_t lowest_limit_;
    const bool windows_are_complete_;
    std::size_t updates_ = 0;
};

class state : public flowguard::detail::guard_state<random_strategy, random_clock> {
public:
    state(random_strategy strategy, const flowguard::guard_options& options, int& destroyed)
        : guard_state(strategy, options), destroyed_(destroyed) {}
    ~state() override { ++destroyed_; }

private:
    int& destroyed_;
};

state* guard = nullptr;

std::size_t limit_of_guard() {
    return guard->limit();
}

class window_scenario {
public:
    explicit window_scenario(const window_choices& choices) : choices_(choices) {}

    static memory_model::scenario make(const std::shared_ptr<window_scenario>& s) {
        memory_model::scenario made{s->choices_.describe(), {}};
        made.steps.set_up = [s] { s->set_up(); };
        made.steps.finish = [s] { s->finish(); };
        for (std::size_t i = 0; i < s->choices_.workers; ++i)
            made.steps.threads.emplace_back([s, i] {
                if (s->choices_.straggler && i == 0)
                    s->straggle();
                else
                    s->work();
            });
        if (s->choices_.reader && !s->choices_.orphaned)
            made.steps.threads.emplace_back([s] { s->read(); });
        return made;
    }

private:
    struct call {
        flowguard::detail::membership membership;
        bool in_flight = false;
    };

    struct shared {
        std::atomic<std::size_t> users{0};
        std::size_t decisions = 0; // that the observer was told
    };

    void set_up() {
        log_of_updates = {};
        is_admitting = {};
        log_of_updates.limit_now = random_strategy::first_limit;
        log_of_updates.dip = random_strategy::first_limit;
        random_clock::at = std::chrono::microseconds(1);
        random_clock::jumps = choices_.jumps;
        shared_ = new shared;
        shared_->users.store(choices_.workers, std::memory_order_relaxed);
        flowguard::guard_options options;
        options.min_window = 1 + choose(3);
        options.trace = 1 + choose(3);
        options.on_decision = [this](const flowguard::limit_decision& d) { check_decision(d); };
        guard = new state(random_strategy(choices_.straggler ? 2 : 1, !choices_.jumps && !choices_.straggler), options, destroyed_);
    }

    void check_decision(const flowguard::limit_decision& d) {
        ++shared_->decisions; // plain: see above
        if (static_cast<std::size_t>(d.baseline_rtt.count()) != shared_->decisions)
            fail("the observer is told of another decision than the next");
    }

    static bool begin(call& c) {
        if (!guard->take(flowguard::detail::lane_number()))
            return false;
        current_is_admitting() = true;
        c.membership = guard->admit(0);
        current_is_admitting() = false;
        c.in_flight = true;
        memory_model::count("admitted");
        return true;
    }

    static void end(call& c) {
        c.in_flight = false;
        guard->finish(c.membership, static_cast<outcome>(choose(3)));
    }

    void work() {
        std::array<call, 2> calls;
        for (std::size_t i = 0; i < choices_.rounds; ++i) {
            call& c = calls[choose(calls.size())];
            if (c.in_flight)
                end(c);
            else
                begin(c);
        }
        leave_guard();
        for (call& c : calls)
            if (c.in_flight && choose(8) == 0)
                guard->withdraw(c.membership);
            else if (c.in_flight)
                end(c);
    }

    void straggle() {
        for (int i = 0; i < 3; ++i) {
            call c;
            if (!begin(c))
                continue;
            const std::size_t jump_at = choose(20);
            // Long enough for the others to fill its window, and then to close it.
            for (std::size_t pauses = 0; pauses < 40; ++pauses) {
                memory_model::pause();
                if (pauses == jump_at)
                    random_clock::at += std::chrono::hours(1);
            }
            end(c);
        }
        leave_guard();
    }

    // Calls in flight may outlive the guard's handle.
    void leave_guard() {
        if (choices_.orphaned && shared_->users.fetch_sub(1, std::memory_order_acq_rel) == 1)
            guard->orphan();
    }

    void read() {
        for (int i = 0; i < 3; ++i) {
            for (const flowguard::limit_decision& d : guard->trace()) {
                const auto update = static_cast<std::size_t>(d.baseline_rtt.count());
                if (update < 1 || update >= most_updates || d.reason != reason_of(update) ||
                    d.limit != log_of_updates.limit_of[update])
                    fail("a decision is torn");
                memory_model::count("decisions read");
            }
            static_cast<void>(guard->stats());
        }
    }

    void finish() {
        if (!choices_.orphaned) {
            const std::size_t limit = guard->limit();
            if (limit != log_of_updates.limit_now && limit != log_of_updates.dip)
                fail("the limit is %zu, and not that of the latest plan", limit);
            if (guard->in_flight() != 0)
                fail("permits are missing");
            if (guard->available() != limit)
                fail("%zu permits are available where the limit is %zu", guard->available(), limit);
            if (guard->stats().windows != log_of_updates.updates || shared_->decisions != log_of_updates.updates)
                fail("a window is not counted, or a decision not told");
            guard->orphan();
        }
        if (destroyed_ != 1)
            fail("the state was not destroyed once");
    }

    const window_choices choices_;
    shared* shared_ = nullptr;
    int destroyed_ = 0;
};

memory_model::scenario make_scenario() {
    return window_scenario::make(std::make_shared<window_scenario>(window_choices()));
}

} // namespace

int main(int argc, char** argv) {
    memory_model::keep_buckets_quiet();
    return memory_model::check(argc, argv, {"admitted", "windows closed", "windows closed early", "decisions read"},
                               make_scenario);
}
