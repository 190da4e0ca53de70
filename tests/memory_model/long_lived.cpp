// long_lived.cpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The places of long-lived calls under the memory model. Each thread takes places and returns them. With one place, its
// holder writes memory that the next one writes, too: if it does not see what the last holder did, that is a data race.
// Another thread, the owner, may seal the places, and then reads that memory when no call runs any more.

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "flowguard/detail/control/long_lived_calls.hpp"
#include "flowguard/guard_stats.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"

namespace {

using memory_model::choose;
using memory_model::count;
using memory_model::fail;

class long_lived_scenario {
public:
    static memory_model::scenario make(std::shared_ptr<long_lived_scenario> s) {
        memory_model::scenario made{s->describe(), {}};
        made.steps.set_up = [s] { s->set_up(); };
        made.steps.finish = [s] { s->finish(); };
        for (std::size_t i = 0; i < s->threads_; ++i)
            made.steps.threads.emplace_back([s] { s->call(); });
        if (s->seals_)
            made.steps.threads.emplace_back([s] { s->seal(); });
        return made;
    }

private:
    std::string describe() const {
        return std::to_string(threads_) + " threads, " + std::to_string(calls_) + " calls each, " +
               std::to_string(most_) + " places" + (seals_ ? ", sealed" : "");
    }

    void set_up() {
        calls_in_ = new flowguard::detail::long_lived_calls(most_);
        memory_ = new int(0);
    }

    void call() {
        for (std::size_t i = 0; i < calls_; ++i) {
            if (!calls_in_->try_enter()) {
                count("shed");
                continue;
            }
            if (running_.fetch_add(1, std::memory_order_relaxed) >= most_)
                fail("more run than there are places");
            if (most_ == 1)
                ++*memory_;
            admitted_.fetch_add(1, std::memory_order_relaxed);
            running_.fetch_sub(1, std::memory_order_relaxed);
            if (calls_in_->leave())
                owner_told_.store(true, std::memory_order_relaxed);
        }
    }

    // As the queue's owner during a drain: if a call runs still, the last one tells the owner.
    void seal() {
        if (!calls_in_->seal()) {
            count("awaited");
            while (!owner_told_.load(std::memory_order_relaxed))
                memory_model::pause();
            if (!calls_in_->seal())
                fail("the owner is told, but a call runs");
        }
        if (running_.load(std::memory_order_relaxed) != 0)
            fail("a call runs");
        if (most_ == 1)
            ++*memory_;
        if (calls_in_->try_enter())
            fail("a call enters sealed places");
        calls_in_->unseal();
    }

    void finish() {
        flowguard::guard_stats s;
        calls_in_->report(s);
        if (s.long_lived != 0)
            fail("a place did not come back");
        if (s.long_lived_admitted != admitted_.load(std::memory_order_relaxed))
            fail("the count of admitted calls is wrong");
        count("admitted", s.long_lived_admitted);
        delete calls_in_;
        delete memory_;
    }

    const std::size_t threads_ = 2 + choose(2);
    const std::size_t calls_ = 1 + choose(3);
    const std::size_t most_ = 1 + choose(2);
    const bool seals_ = choose(2) == 0;
    flowguard::detail::long_lived_calls* calls_in_ = nullptr;
    int* memory_ = nullptr;
    std::atomic<std::size_t> running_{0};
    std::atomic<std::size_t> admitted_{0};
    std::atomic<bool> owner_told_{false};
};

memory_model::scenario make_scenario() {
    return long_lived_scenario::make(std::make_shared<long_lived_scenario>());
}

} // namespace

int main(int argc, char** argv) {
    return memory_model::check(argc, argv, {"admitted", "shed", "awaited"}, make_scenario);
}
