// semaphore_chaos_stress_test.cpp
// ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Everything that may go wrong in a service happens to one semaphore, at once: floods, cancellations, timeouts, waits
// for more permits than there are, limits that change, contexts that are destroyed. Best run with -fsanitize=thread,
// and with address,undefined. With FLOWGUARD_STRESS=100 it takes minutes.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "chaos.hpp"
#include "flowguard/dynamic_semaphore.hpp"
#include "support/asio.hpp"

namespace {

using namespace std::chrono_literals;
using chaos::any_number;
using chaos::call;
using chaos::canary;
using chaos::chance;
using chaos::crew;
using chaos::ending;
using chaos::rounds;
using flowguard::dynamic_semaphore;
using flowguard::permit;

// Everything that happens to one semaphore.
class semaphore_chaos : public chaos::world<semaphore_chaos> {
public:
    // The limit is `low` or `high`. Some calls want more permits than `low`, but few enough to be served under `high`
    // beside the calls that hang. Others want more than `high`; they wait until the semaphore is closed.
    static constexpr std::size_t low = 10;
    static constexpr std::size_t high = 40;
    static constexpr std::size_t hanging = 6;
    static constexpr std::size_t most_ordinary = low - hanging;
    static constexpr std::size_t most_heavy = high - hanging;
    static constexpr std::size_t too_many = high + 1;

    void run(int workers, int calls) {
        std::optional<crew> all(std::in_place);
        crew_ = &*all;
        semaphore_.emplace(all->shelf(), high);
        std::vector<held_permits> held;
        for (std::size_t i = 0; i < hanging; i += 2) {
            held.emplace_back(held_permits{call(seen_, 2)});
            held.back().held = semaphore_->try_acquire_permit_n(2);
            REQUIRE(held.back().held);
        }
        for (int i = 0; i < 3; ++i)
            wait_once(all->shelf().get_executor(), too_many, nullptr, nullptr);

        start_workers(workers, calls);
        for (int i = 0; i < 3; ++i)
            spawn(all->any_strand(), want_much());
        run_outsiders({[this] { flood_by_waiting(); }, [this] { flood_by_trying(); }, [this] { look_on(); },
                       [this] { let_contexts_come_and_go(); }});

        for (held_permits& h : held)
            h.finish();
        held.clear();
        all->join();
        check();
        semaphore_.reset();
        all.reset();
        CHECK(canary::alive == 0);
    }

private:
    friend class chaos::world<semaphore_chaos>;

    struct held_permits {
        call record;
        permit held{};

        void take(permit granted) { held = std::move(granted); }
        void finish() {
            held.release();
            record.end(ending::succeeded);
        }
    };

    static std::chrono::milliseconds short_time() { return any_number() % 8 * 1ms; }

    // Waits for `n` permits, in one of several ways, and holds them for a while. Returns whether it had them. Its
    // executor runs on one thread at a time.
    asio::awaitable<bool> any_call(std::size_t n) {
        call c(seen_, n);
        try {
            switch (any_number() % 5) {
            case 0: {
                const permit p = co_await semaphore_->acquire(n);
                co_await rounds(any_number() % 4);
                break;
            }
            case 1: {
                const permit p = co_await semaphore_->acquire_for(short_time(), n);
                co_await rounds(any_number() % 4);
                break;
            }
            case 2: {
                const auto here = co_await asio::this_coro::executor;
                const auto signal = std::make_shared<asio::cancellation_signal>();
                asio::post(here, [signal] { signal->emit(asio::cancellation_type::total); });
                co_await semaphore_->async_acquire_n(n,
                                                     asio::bind_cancellation_slot(signal->slot(), asio::use_awaitable));
                semaphore_->release(n);
                break;
            }
            case 3:
                if (!semaphore_->try_acquire_n(n)) {
                    c.end(ending::shed);
                    co_return false;
                }
                semaphore_->release(n);
                break;
            default:
                co_await semaphore_->async_acquire_n(n, asio::use_awaitable);
                semaphore_->release(n);
                break;
            }
        } catch (const asio::system_error& e) {
            c.end_rejected(e.code());
            co_return false;
        }
        c.end(ending::succeeded);
        co_return true;
    }
    asio::awaitable<bool> ordinary_call() { return any_call(1 + any_number() % most_ordinary); }
    asio::awaitable<void> one_call() { co_await ordinary_call(); }

    void progress(std::uint64_t n) {
        if (n % 16 == 0)
            semaphore_->set_limit(n % 32 == 0 ? low : high);
        if (n % 64 == 0)
            semaphore_->cancel(crew_->any_context());
    }
    bool close_at_end() {
        semaphore_->close();
        return true;
    }

    asio::awaitable<void> want_much() {
        while (!is_over()) {
            co_await any_call(low + 1 + any_number() % (most_heavy - low));
            co_await rounds(1);
        }
    }

    template <class Executor>
    void wait_once(const Executor& executor, std::size_t n, asio::cancellation_signal* signal,
                   std::atomic<std::int64_t>* outstanding) {
        auto handler = chaos::handler_on(executor, held_permits{call(seen_, n)}, signal, outstanding);
        if (n != 1 || chance(2))
            semaphore_->async_acquire_permit_n(n, std::move(handler));
        else
            semaphore_->async_acquire_permit_for(short_time(), std::move(handler));
    }

    void flood_by_waiting() {
        world::flood_by_waiting(60, asio::cancellation_type::partial,
                                [this](const auto& executor, asio::cancellation_signal* signal) {
                                    if (signal != nullptr && unserved_ < 20 && chance(2)) // or waits till the end
                                        wait_once(executor, too_many, signal, &unserved_);
                                    else
                                        wait_once(executor, 1 + any_number() % most_ordinary, signal, &outstanding_);
                                });
    }

    void flood_by_trying() {
        while (!is_over()) {
            for (int i = 0; i < 16; ++i) {
                const std::size_t n = 1 + any_number() % most_heavy;
                call c(seen_, n);
                permit p = semaphore_->try_acquire_permit_n(n);
                const bool had = static_cast<bool>(p);
                p.release();
                c.end(had ? ending::succeeded : ending::shed);
            }
            std::this_thread::yield();
        }
    }

    template <class Executor>
    void start_call(const Executor& executor, signals& own) {
        const std::size_t n = chance(6) ? too_many : 1 + any_number() % most_ordinary;
        switch (any_number() % 3) {
        case 0:
            return spawn(executor, one_call());
        case 1:
            return wait_once(executor, n, nullptr, nullptr);
        default:
            return wait_once(executor, n, &own[any_number() % own.size()], nullptr);
        }
    }

    std::size_t in_flight() const { return semaphore_->in_flight(); }
    std::size_t waiting() const { return semaphore_->waiting(); }

    void look() {
        if (semaphore_->in_flight() > high || semaphore_->available_permits() > high)
            ++impossible_in_flight_;
    }

    void check() const {
        check_calls();
        for (const ending how : {ending::succeeded, ending::shed, ending::timed_out, ending::cancelled, ending::closed,
                                 ending::destroyed}) {
            CAPTURE(static_cast<int>(how));
            CHECK(seen_[how] > 0);
        }
    }

    std::optional<dynamic_semaphore> semaphore_;
    std::atomic<std::int64_t> unserved_{0}; // waits of flood_by_waiting() for too many
};

} // namespace

TEST_CASE("A semaphore goes on serving, and loses no permit, whatever goes wrong at once") {
    semaphore_chaos world;
    world.run(8, 400 * chaos::endurance());
}
