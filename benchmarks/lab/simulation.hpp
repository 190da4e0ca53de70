// simulation.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef LAB_SIMULATION_HPP
#define LAB_SIMULATION_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "limiter.hpp"
#include "record.hpp"
#include "scenario.hpp"
#include "server.hpp"
#include "slots.hpp"
#include "support/event_queue.hpp"
#include "support/random_numbers.hpp"
#include "time.hpp"

namespace lab {

/// One run of a scenario, as a sequence of events in the order of their times. The arrivals and the service times
/// depend only on the seed, so that all limiters meet the same ones.
class simulation {
public:
    /// A limiter for each guard of the scenario, or a single one for all of them; and one for the server's own guard,
    /// or null if it has none.
    simulation(const scenario& s, std::vector<std::unique_ptr<limiter>> limiters, std::uint64_t seed,
               std::size_t bins = 200, std::unique_ptr<limiter> inner = nullptr)
        : scenario_(s),
          limiters_(std::move(limiters)),
          inner_(std::move(inner)),
          server_(make_server(s)),
          front_(make_front(s)),
          arrivals_(seed),
          services_(~seed),
          backoffs_(seed ^ 0x5bd1e995),
          others_(seed ^ 0x9e3779b9),
          fronts_(seed ^ 0x7f4a7c15),
          idle_(s.guards()),
          lines_(limiters_.size()),
          has_turn_(limiters_.size()) {
        record_.length = s.length();
        record_.bins.resize(bins);
        record_.succeeded_by_guard.resize(s.guards());
    }

    record run() {
        begin_phase();
        next_arrival_ = interarrival();
        next_ignored_ = next_of_ignored();
        next_watch_ = next_of_watches();
        for (;;) {
            const double completion = server_->next_completion();
            const double arrives = answers_.empty() ? never : answers_.next_time();
            const double time_out = time_outs_.empty() ? never : time_outs_.front().at;
            const double retry = retries_.empty() ? never : retries_.next_time();
            const double turn = turns_.empty() ? never : turns_.next_time();
            const double passes = front_ ? front_->next_completion() : never;
            const double next = std::min({phase_end_, completion, arrives, time_out, retry, turn, passes, next_arrival_,
                                          next_ignored_, next_watch_});
            if (next >= record_.length)
                break;
            pass_time(next);
            if (next == phase_end_)
                next_phase();
            else if (next == completion)
                complete();
            else if (next == arrives)
                answer_next();
            else if (next == time_out)
                give_up();
            else if (next == retry)
                try_again();
            else if (next == turn)
                take_turn();
            else if (next == passes)
                pass_front();
            else if (next == next_ignored_)
                arrive_to_be_ignored();
            else if (next == next_watch_)
                arrive_to_watch();
            else
                arrive();
        }
        pass_time(record_.length);
        finish_record();
        return std::move(record_);
    }

private:
    static constexpr double never = server::never;
    static constexpr std::size_t most_attempts = 4;

    /// Only requests are counted. See scenario::ignored and scenario::watches.
    enum class purpose : std::uint8_t { request, ignored, watch };

    struct caller {
        std::size_t guard = 0;
        double service = 0;
        double enqueued_at = 0;
        std::size_t attempts = 1;
        purpose what = purpose::request;
        std::size_t kind = 0; // of scenario::kinds
        double front_service = 0;
    };
    struct request {
        std::size_t guard = 0;
        std::size_t name = 0; // the limiter's name for the request
        double admitted_at = 0;
        std::uint64_t number = 0;
        double service = 0;
        bool given_up = false;
        purpose what = purpose::request;
        std::optional<std::size_t> inner_name; // the inner limiter's name for the request, if it has admitted it
    };
    struct sent_answer {
        std::size_t request;
        outcome how;
    };
    struct deadline {
        double at;
        std::size_t request;
        std::uint64_t number;
    };

    // ---- Time ----

    void pass_time(double to) {
        record_.in_flight_integral += in_flight_ * (to - now_);
        const std::size_t last = record_.bin_at(to);
        for (; bin_ < last; ++bin_)
            note_limits();
        now_ = to;
        virtual_clock::set(time_point{seconds(to)});
    }

    void note_limits() {
        now_bin().limit = limit();
        if (inner_)
            now_bin().inner_limit = static_cast<double>(inner_->limit());
    }

    bin& now_bin() { return record_.bins[bin_]; }

    double limit() const {
        double sum = 0;
        const std::size_t used = std::min(limiters_.size(), now_phase().guards);
        for (std::size_t i = 0; i < used; ++i)
            sum += static_cast<double>(limiters_[i]->limit());
        return sum;
    }

    const phase& now_phase() const { return scenario_.phases[phase_]; }

    void begin_phase() {
        phase_end_ += now_phase().length;
        server_->begin(now_phase(), now_);
        for (auto& l : limiters_)
            l->begin_phase(phase_);
        if (inner_)
            inner_->begin_phase(phase_);
    }

    void next_phase() {
        if (phase_ + 1 == scenario_.phases.size()) {
            phase_end_ = never;
            return;
        }
        ++phase_;
        begin_phase();
        next_arrival_ = now_ + interarrival();
        next_ignored_ = next_of_ignored();
    }

    // ---- Callers ----

    double interarrival() {
        return now_phase().rate > 0 ? arrivals_.exponential() / (now_phase().rate * scenario_.highest_load_factor())
                                    : never;
    }

    void arrive() {
        next_arrival_ = now_ + interarrival();
        const double highest = scenario_.highest_load_factor();
        if (scenario_.load_varies() && arrivals_.uniform() * highest > scenario_.load_factor(now_))
            return;
        ++now_bin().offered;
        caller who{draw_guard(), draw(scenario_.services, services_) * scenario_.service * now_phase().slowdown, now_};
        if (!scenario_.kinds.empty()) {
            who.kind = draw_kind();
            who.service *= scenario_.cost(now_phase(), who.kind);
        }
        if (front_)
            who.front_service = fronts_.exponential() * scenario_.front_service;
        ask(who);
    }

    std::size_t draw_guard() {
        const std::size_t guards = now_phase().guards;
        if (guards <= 1)
            return 0;
        if (scenario_.first_demand <= 0)
            return arrivals_.below(guards);
        return arrivals_.uniform() < scenario_.first_demand ? 0 : 1 + arrivals_.below(guards - 1);
    }

    std::size_t draw_kind() {
        const std::vector<double>& shares = now_phase().shares;
        double rest = services_.uniform();
        std::size_t kind = 0;
        while (kind + 1 < shares.size() && rest >= shares[kind])
            rest -= shares[kind++];
        return kind;
    }

    double next_of_ignored() {
        const double rate = scenario_.ignored * now_phase().rate;
        return rate > 0 ? now_ + others_.exponential() / rate : never;
    }

    void arrive_to_be_ignored() {
        ask({.enqueued_at = now_, .what = purpose::ignored});
        next_ignored_ = next_of_ignored();
    }

    double next_of_watches() {
        return scenario_.watches > 0 ? now_ + others_.exponential() * scenario_.watch_time / scenario_.watches : never;
    }

    void arrive_to_watch() {
        ask({.enqueued_at = now_, .what = purpose::watch});
        next_watch_ = next_of_watches();
    }

    void ask(const caller& who) {
        auto& line = lines_[who.guard % lines_.size()];
        if (line.empty() && admit(who))
            return;
        if (who.what != purpose::request)
            return;
        if (scenario_.rejected == rejected_callers::wait) {
            line.push_back(who);
            plan_turn(who.guard % lines_.size());
        } else if (scenario_.rejected == rejected_callers::retry && who.attempts < most_attempts)
            retry_later(who);
        else
            ++now_bin().rejected;
    }

    void retry_later(caller who) {
        const double backoff = scenario_.service * 4 * static_cast<double>(std::size_t{1} << who.attempts);
        ++who.attempts;
        retries_.plan(now_ + backoff * backoffs_.exponential(), who);
    }

    void try_again() { ask(retries_.take()); }

    // Admits callers in line, except those that have given up.
    void serve_line(std::size_t l) {
        auto& line = lines_[l];
        for (; !line.empty(); line.pop_front())
            if (scenario_.time_out > 0 && now_ - line.front().enqueued_at >= scenario_.time_out)
                ++now_bin().rejected;
            else if (!admit(line.front()))
                break;
        plan_turn(l);
    }

    // With a limit below one, a caller in line may be admitted although no request has finished.
    void plan_turn(std::size_t l) {
        const double spacing = lines_[l].empty() || has_turn_[l] ? 0 : limiters_[l]->spacing();
        if (spacing <= 0)
            return;
        has_turn_[l] = true;
        turns_.plan(now_ + spacing / 4, l);
    }

    void take_turn() {
        const std::size_t l = turns_.take();
        has_turn_[l] = false;
        serve_line(l);
    }

    bool admit(const caller& who) {
        limiter& l = *limiters_[who.guard % limiters_.size()];
        const std::size_t before = l.in_flight();
        if (scenario_.kinds_are_told)
            l.tell_kind(who.kind);
        const std::optional<std::size_t> name = l.try_acquire();
        in_flight_ += static_cast<double>(l.in_flight()) - static_cast<double>(before);
        if (!name)
            return false;
        ++unfinished_;
        admitted_at_sum_ += now_;
        const std::size_t r =
            requests_.put({who.guard, *name, now_, ++admitted_, who.service, false, who.what, std::nullopt});
        if (who.what == purpose::ignored) {
            send(r, outcome::ignored, scenario_.ignored_time);
            return true;
        }
        if (who.what == purpose::watch) {
            send(r, outcome::success, scenario_.watch_time);
            return true;
        }
        if (scenario_.time_out > 0)
            time_outs_.push_back({now_ + scenario_.time_out, r, admitted_});
        if (front_)
            front_->start(r, now_, who.front_service);
        else
            reach_server(r);
        return true;
    }

    void pass_front() { reach_server(front_->complete()); }

    void reach_server(std::size_t r) {
        if (refuses()) {
            send(r, outcome::dropped, scenario_.refusal_time);
        } else if (!admit_inside(r)) {
            send(r, scenario_.inner_rejections_are_ignored ? outcome::ignored : outcome::dropped,
                 scenario_.refusal_time);
        } else {
            ++in_service_;
            const request& started = requests_[r];
            server_->start(r, now_, started.service + (takes_connection(started.guard) ? 0 : scenario_.connect));
        }
    }

    // Whether the server's own guard admits a request; true if it has none.
    bool admit_inside(std::size_t r) {
        if (!inner_)
            return true;
        requests_[r].inner_name = inner_->try_acquire();
        return requests_[r].inner_name.has_value();
    }

    // Takes the connection of a guard that was used last, if one is idle.
    bool takes_connection(std::size_t guard) {
        std::deque<double>& idle = idle_[guard];
        while (!idle.empty() && now_ - idle.front() > scenario_.keep_alive)
            idle.pop_front();
        if (idle.empty())
            return false;
        idle.pop_back();
        return true;
    }

    // Whether the server refuses the request that comes now. The rate is bounded by a bucket of 50 ms.
    bool refuses() {
        if (scenario_.outages.at(now_))
            return true;
        if (scenario_.service_limit > 0 && in_service_ >= scenario_.service_limit)
            return true;
        if (scenario_.rate_limit <= 0)
            return false;
        const double most = std::max(1.0, 0.05 * scenario_.rate_limit);
        tokens_ = std::min(most, tokens_ + (now_ - tokens_at_) * scenario_.rate_limit);
        tokens_at_ = now_;
        if (tokens_ < 1)
            return true;
        --tokens_;
        return false;
    }

    // ---- Ends of requests ----

    void complete() {
        const std::size_t r = server_->complete();
        --in_service_;
        if (requests_[r].inner_name) // the server does not know whether the caller gave up
            inner_->finish(*requests_[r].inner_name, outcome::success);
        if (scenario_.downstream > 0 || distance_of(r) > 0)
            send(r, outcome::success, scenario_.downstream);
        else
            answer(r, outcome::success);
    }

    double distance_of(std::size_t r) { return scenario_.distance_of(requests_[r].guard); }

    // The network takes its time both ways, which is added here.
    void send(std::size_t r, outcome how, double takes) { answers_.plan(now_ + takes + distance_of(r), {r, how}); }

    void answer_next() {
        const sent_answer a = answers_.take();
        answer(a.request, a.how);
    }

    void answer(std::size_t r, outcome how) {
        const request done = requests_.take(r);
        requests_[r].number = 0;
        if (done.given_up) // its connection is closed
            return;
        if (done.what == purpose::request && how == outcome::success) {
            if (scenario_.connect > 0)
                idle_[done.guard].push_back(now_);
            ++now_bin().succeeded;
            if (now_ >= 0.75 * record_.length)
                ++record_.succeeded_by_guard[done.guard];
        }
        end(done, how);
    }

    void give_up() {
        const deadline t = time_outs_.front();
        time_outs_.pop_front();
        request& r = requests_[t.request];
        if (r.number != t.number)
            return; // answered in time
        r.given_up = true;
        end(r, outcome::dropped);
    }

    void end(const request& r, outcome how) {
        const double rtt = now_ - r.admitted_at;
        const bool is_refused = how != outcome::success && !r.given_up; // neither an answer, nor a wait in vain
        if (r.what == purpose::request && !is_refused)
            now_bin().rtts.push_back(static_cast<float>(rtt - scenario_.distance_of(r.guard)));
        record_.time_in_flight += rtt;
        --unfinished_;
        admitted_at_sum_ -= r.admitted_at;
        limiter& l = *limiters_[r.guard % limiters_.size()];
        const std::size_t before = l.in_flight();
        l.finish(r.name, how);
        in_flight_ += static_cast<double>(l.in_flight()) - static_cast<double>(before);
        serve_line(r.guard % limiters_.size());
    }

    void finish_record() {
        note_limits();
        record_.time_in_flight += unfinished_ * now_ - admitted_at_sum_;
    }

    scenario scenario_;
    std::vector<std::unique_ptr<limiter>> limiters_;
    std::unique_ptr<limiter> inner_; // the server's own; null if it has none
    std::unique_ptr<server> server_;
    std::unique_ptr<server> front_; // null if there is none
    support::random_numbers arrivals_, services_, backoffs_, others_, fronts_;
    std::vector<std::deque<double>> idle_; // by guard: when each idle connection was last used
    std::vector<std::deque<caller>> lines_; // by limiter
    slots<request> requests_;
    support::event_queue<sent_answer, double> answers_; // on their way to the callers
    std::deque<deadline> time_outs_;
    support::event_queue<caller, double> retries_;
    std::vector<bool> has_turn_; // by limiter
    support::event_queue<std::size_t, double> turns_; // of lines

    double now_ = 0;
    double phase_end_ = 0;
    double next_arrival_ = 0;
    double next_ignored_ = never;
    double next_watch_ = never;
    std::size_t in_service_ = 0; // at the server, given up or not
    double tokens_ = 0; // of the rate limit
    double tokens_at_ = 0;
    std::size_t phase_ = 0;
    std::size_t bin_ = 0;
    std::uint64_t admitted_ = 0;
    double in_flight_ = 0; // as the limiters count
    double unfinished_ = 0; // as the simulation counts
    double admitted_at_sum_ = 0; // of the unfinished requests
    record record_;
};

} // namespace lab

#endif
