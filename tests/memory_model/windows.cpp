// windows.cpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A guard's windows under the memory model. Covers admissions, also of calls with several permits; windows that are
// closed by their last member, or early if a member straggles; the strategy and its limits; probes that a time limit
// ends; windows that are discarded for a scheduled probe; admissions that have turns; callers that wait and watch; an
// operator who pins the limit and sets bounds; decisions that are read meanwhile; and the end of the strategy, the
// observer and the state.
//
// The strategy and the observer of decisions own memory that is checked. These faults are noticed as a data race or as
// a use after free: two threads are inside at once, a thread does not see what the thread before it did, or a thread
// uses them after they were destroyed.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flowguard/detail/control/guard_state.hpp"
#include "memory_model/quiet_buckets.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"
#include "memory_model/test_waiter.hpp"

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
    bool jumps = choose(2) == 0;                          // the clock jumps, so that windows may be closed early
    std::size_t rounds = (straggler ? 6 : 3) + choose(8); // of each worker; in a round, a call begins or ends
    bool reader = choose(2) == 0;                         // a thread reads the decisions
    bool looker = choose(2) == 0;                         // a thread looks whether a probe must end
    bool orphaned = choose(4) == 0;                       // the guard is destroyed while calls are in flight
    bool hand = choose(4) == 0;                           // a thread changes the limit by hand

    bool has_hand() const { return hand && !orphaned; }

    std::string describe() const {
        return std::to_string(workers) + " workers, " + std::to_string(rounds) + " rounds" +
               (jumps ? ", the clock jumps" : "") + (straggler ? ", a straggler" : "") + (reader ? ", a reader" : "") +
               (looker ? ", a looker" : "") + (orphaned ? ", orphaned" : "") + (has_hand() ? ", a hand" : "");
    }
};

// Advances a little when it is read. If it jumps, it sometimes advances so far that members become stragglers, or goes
// back.
struct random_clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<random_clock>;
    static constexpr bool is_steady = true;

    static time_point now() noexcept {
        using namespace std::chrono_literals;
        constexpr std::array<duration, 7> steps{0ns, 1us, 0ns, 3ms, 20ms, 0ns, -30ms};
        at += steps[choose(jumps ? 7 : 3)];
        return time_point(at);
    }

    static inline duration at{};
    static inline bool jumps = false;
};

// The decisions of the strategy in this execution. A decision's baseline and its reason are the number of the update.
struct decided {
    std::size_t updates = 0;
    std::size_t limit_now = 0; // the limit of the latest plan, after its window is full
    std::size_t probe = 0;       // the limit of the latest plan, until then
    std::size_t scheduled = 0;   // the limit of the probe that the latest plan schedules; 0: there is none
    bool by_hand = false;        // the limit may be another one by now
    std::array<std::size_t, most_updates> limit_of{};
};
decided log_of_updates;

// The threads that are inside admit(). If such a thread closes a window, it closes it early.
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
    static constexpr std::size_t pinned_limit = 4; // which no plan has
    static constexpr std::size_t most_members = 4; // of a window: 1.5 × the highest limit, or as a plan says

    random_strategy(std::size_t lowest_limit, bool windows_are_complete)
        : lowest_limit_(lowest_limit),
          windows_are_complete_(windows_are_complete),
          updates_(std::make_unique<std::size_t>(0)) {}

    std::size_t current_limit() const noexcept { return first_limit; }

    plan update(const flowguard::window& w) noexcept {
        const std::size_t update = ++*updates_; // plain: see above
        check_window(w);
        if (w.limit == pinned_limit)
            fail("the strategy is asked about a window of a pinned limit");
        if (!log_of_updates.by_hand && limit_of_guard() != log_of_updates.limit_now)
            fail("a window is closed before the limit is what its plan said");
        const std::size_t limit = some_limit();
        const std::size_t then = choose(2) == 0 ? some_limit() : 0;
        const duration within = choose(3) == 0 ? duration::max() : duration(choose(4) * 1000);
        plan next{limit, 1 + choose(most_members - 1), then, within};
        next.spacing = some_spacing();
        next.then_spacing = some_spacing();
        if (choose(2) == 0)
            next.scheduled = {.begins_in = duration(1 + choose(4) * 1000),
                              .limit = some_limit(),
                              .admissions = 1 + choose(most_members - 1),
                              .within = within,
                              .spacing = some_spacing()};
        log_of_updates.updates = update;
        log_of_updates.probe = next.limit;
        log_of_updates.scheduled = next.then == 0 ? next.scheduled.limit : 0;
        log_of_updates.limit_now = next.then != 0 ? next.then : next.limit;
        log_of_updates.limit_of[update] = log_of_updates.limit_now;
        memory_model::count(current_is_admitting() ? "windows closed early" : "windows closed");
        return next;
    }

    duration baseline() const noexcept { return duration(*updates_); }
    const char* reason() const noexcept { return reason_of(*updates_); }

private:
    std::size_t some_limit() const { return lowest_limit_ + choose(highest_limit - lowest_limit_ + 1); }

    // Of a limit of one. In half of the plans, there is none.
    static duration some_spacing() { return duration(choose(2) == 0 ? 0 : 1 + choose(3) * 1000); }

    void check_window(const flowguard::window& w) const {
        const std::size_t done = w.all.samples + w.dropped + w.ignored + w.unfinished;
        if (done != w.admitted && windows_are_complete_)
            fail("of a window of %zu members, %zu are counted", w.admitted, done);
        // For ignored calls, a window may have up to twenty times as many members as planned.
        if (w.admitted > 20 * most_members || done > w.admitted + most_members || done + most_members < w.admitted ||
            w.limit < 1 || w.limit > highest_limit)
            fail("an impossible window: admitted %zu, counted %zu, limit %zu", w.admitted, done, w.limit);
        if (w.all.mean < duration(0) || w.length < duration(0) || w.admitting < duration(0))
            fail("an impossible window: mean RTT %lld ns, length %lld ns, admitting %lld ns",
                 static_cast<long long>(w.all.mean.count()), static_cast<long long>(w.length.count()),
                 static_cast<long long>(w.admitting.count()));
    }

    const std::size_t lowest_limit_;
    const bool windows_are_complete_;
    std::unique_ptr<std::size_t> updates_;
};

class state : public flowguard::detail::guard_state<random_strategy, random_clock> {
public:
    state(random_strategy strategy, const flowguard::guard_options& options, int& destroyed)
        : guard_state(std::move(strategy), options), destroyed_(destroyed) {}
    ~state() override { ++destroyed_; }

private:
    int& destroyed_;
};

state* guard = nullptr;

std::size_t limit_of_guard() {
    return guard->limit();
}

// A waiter whose executor cannot keep a timer for the end of a probe.
class watching_waiter final : public memory_model::test_waiter {
public:
    explicit watching_waiter(std::size_t permits) : test_waiter(permits, flowguard::detail::lane_number(), nullptr) {}

    void watch() noexcept override {
        memory_model::count("watches");
        guard->watch_in_vain();
    }
};

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
        if (s->choices_.looker && !s->choices_.orphaned)
            made.steps.threads.emplace_back([s] { s->look(); });
        if (s->choices_.has_hand())
            made.steps.threads.emplace_back([s] { s->change_by_hand(); });
        return made;
    }

private:
    struct call {
        flowguard::detail::membership membership;
        bool in_flight = false;
    };

    struct shared {
        std::atomic<std::size_t> users{0};
        std::size_t decisions = 0; // how many the observer was told
    };

    void set_up() {
        log_of_updates = {};
        is_admitting = {};
        log_of_updates.limit_now = random_strategy::first_limit;
        log_of_updates.probe = random_strategy::first_limit;
        log_of_updates.by_hand = choices_.has_hand();
        random_clock::at = std::chrono::microseconds(1);
        random_clock::jumps = choices_.jumps;
        shared_ = new shared;
        shared_->users.store(choices_.workers, std::memory_order_relaxed);
        flowguard::guard_options options;
        options.min_window = 1 + choose(3);
        options.trace = 1 + choose(3);
        options.on_decision = [this, owned = std::make_shared<std::size_t>(0)](const flowguard::limit_decision& d) {
            check_decision(d, ++*owned); // plain: see above
        };
        guard = new state(random_strategy(lowest_limit(), !choices_.jumps && !choices_.straggler), options, destroyed_);
        if (choose(4) != 0)
            guard->loop_.start(); // else the first call does
    }

    void check_decision(const flowguard::limit_decision& d, std::size_t number) {
        shared_->decisions = number; // plain, too
        if (static_cast<std::size_t>(d.baseline_rtt.count()) != number)
            fail("the observer is told of another decision than the next");
    }

    // Waits for permits. Returns whether they were granted.
    static bool wait(std::size_t permits) {
        watching_waiter w(permits);
        if (guard->wait(w) != flowguard::detail::wait_start::queued)
            return false;
        while (!w.has_ended())
            memory_model::pause();
        return w.was_granted();
    }

    static bool begin(call& c, bool may_wait = false) {
        const auto permits = static_cast<std::uint32_t>(choose(3) == 0 ? 1 + choose(4) : 1);
        if (!guard->take(flowguard::detail::lane_number(), permits) && !(may_wait && wait(permits)))
            return false;
        current_is_admitting() = true;
        c.membership = guard->admit(0, choose(2), permits);
        current_is_admitting() = false;
        c.in_flight = true;
        memory_model::count("admitted");
        if (permits > guard->limit())
            memory_model::count("heavier than the limit");
        if (guard->loop_.turns_.is_pending())
            memory_model::count("turns begun");
        return true;
    }

    // Few calls are ignored: they would make the next window larger, and windows are to be opened often.
    static outcome some_outcome() {
        const std::size_t any = choose(12);
        return any == 0 ? outcome::ignored : any < 4 ? outcome::dropped : outcome::success;
    }

    static void end(call& c) {
        c.in_flight = false;
        guard->finish(c.membership, some_outcome());
    }

    void work() {
        std::array<call, 2> calls;
        for (std::size_t i = 0; i < choices_.rounds; ++i) {
            call& c = calls[choose(calls.size())];
            if (c.in_flight)
                end(c);
            else
                begin(c, std::none_of(calls.begin(), calls.end(), [](const call& other) { return other.in_flight; }) &&
                             choose(2) == 0); // a worker that waits holds no permit
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
            // Long enough for the other threads to fill the call's window, and then to close it.
            for (std::size_t pauses = 0; pauses < 40; ++pauses) {
                memory_model::pause();
                if (pauses == jump_at)
                    random_clock::at += std::chrono::hours(1);
            }
            end(c);
        }
        leave_guard();
    }

    // The last user destroys the guard's handle. Calls in flight may outlive it.
    void leave_guard() {
        if (choices_.orphaned && shared_->users.fetch_sub(1, std::memory_order_acq_rel) == 1)
            guard->orphan();
    }

    void read() {
        for (int i = 0; i < 3; ++i) {
            for (const flowguard::limit_decision& d : guard->trace()) {
                const auto update = static_cast<std::size_t>(d.baseline_rtt.count());
                if (update == 0 && choices_.has_hand())
                    continue; // a change by hand
                if (update < 1 || update >= most_updates || d.reason != reason_of(update) ||
                    d.limit != log_of_updates.limit_of[update])
                    fail("a decision is torn");
                memory_model::count("decisions read");
            }
            static_cast<void>(guard->stats());
        }
    }

    static void look() {
        for (int i = 0; i < 3; ++i) {
            const bool had_turn = guard->loop_.turns_.is_pending();
            if (guard->loop_.look())
                memory_model::count(had_turn ? "turns ended in time" : "probes ended in time");
            memory_model::pause();
        }
    }

    // The only thread that changes the limit by hand: so what it says is in force at once, and stays.
    void change_by_hand() {
        for (int i = 0; i < 3; ++i) {
            switch (choose(4)) {
            case 0:
                guard->pin_limit(random_strategy::pinned_limit);
                is_pinned_ = true;
                break;
            case 1:
                guard->unpin_limit();
                is_pinned_ = false;
                break;
            default:
                least_ = lowest_limit() + choose(2);
                most_ = std::max(least_, random_strategy::highest_limit - choose(2));
                guard->set_limit_bounds(least_, most_);
            }
            for (int look = 0; look < 3; ++look) {
                check_limit(guard->limit());
                memory_model::pause();
            }
        }
    }

    void check_limit(std::size_t limit) const {
        memory_model::count(is_pinned_ ? "looks at a pinned limit" : "looks at a bounded limit");
        if (is_pinned_ ? limit != random_strategy::pinned_limit : limit < least_ || limit > most_)
            fail("the limit is %zu, and not what was said by hand", limit);
    }

    std::size_t lowest_limit() const { return choices_.straggler ? 2 : 1; }

    void finish() {
        if (!choices_.orphaned) {
            // A turn that is pending ends at the latest when the clock is far ahead. Nothing else bars the semaphore.
            random_clock::jumps = false;
            random_clock::at += std::chrono::hours(1000);
            static_cast<void>(guard->loop_.turns_.end_if_due(random_clock::at));
            const std::size_t limit = guard->limit();
            if (choices_.has_hand())
                check_limit(limit);
            // The limit of a probe is raised for long-running calls, but not beyond the limit that follows the probe.
            const auto is_probe = [limit](std::size_t probe) {
                return limit >= probe && limit <= std::max(probe, log_of_updates.limit_now);
            };
            if (!choices_.has_hand() && limit != log_of_updates.limit_now && !is_probe(log_of_updates.probe) &&
                !(log_of_updates.scheduled != 0 && is_probe(log_of_updates.scheduled)))
                fail("the limit is %zu, and not that of the latest plan", limit);
            if (guard->loop_.long_running_.load(std::memory_order_relaxed) != 0)
                fail("a straggler is counted that has left, or the other way round");
            if (guard->surplus_.counted_ != guard->surplus_.discounted_)
                fail("a permit beyond the first of its call is counted that is back, or the other way round");
            if (guard->in_flight() != 0)
                fail("permits are missing");
            if (guard->available() != limit)
                fail("%zu permits are available where the limit is %zu", guard->available(), limit);
            if (guard->stats().windows != log_of_updates.updates || shared_->decisions != log_of_updates.updates)
                fail("a window is not counted, or a decision not told");
            if (guard->loop_.own_ != nullptr)
                memory_model::count("windows discarded", guard->loop_.own_->closings - log_of_updates.updates);
            guard->orphan();
        }
        if (destroyed_ != 1)
            fail("the state was not destroyed once");
    }

    const window_choices choices_;
    shared* shared_ = nullptr;
    int destroyed_ = 0;
    // What was said by hand.
    bool is_pinned_ = false;
    std::size_t least_ = 1;
    std::size_t most_ = flowguard::max_limit;
};

memory_model::scenario make_scenario() {
    return window_scenario::make(std::make_shared<window_scenario>(window_choices()));
}

} // namespace

int main(int argc, char** argv) {
    int destroyed = 0;
    auto* const example = new state(random_strategy(1, true), {}, destroyed);
    memory_model::keep_buckets_quiet(*example);
    example->orphan();
    return memory_model::check(argc, argv,
                               {"admitted", "heavier than the limit", "windows closed", "windows closed early",
                                "windows discarded", "probes ended in time", "turns begun", "turns ended in time",
                                "watches", "decisions read", "looks at a pinned limit", "looks at a bounded limit"},
                               make_scenario);
}
