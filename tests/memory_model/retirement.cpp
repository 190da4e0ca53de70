// retirement.cpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// A retirable object under the memory model. Threads use it while another thread retires it, or one of them does. The
// object owns memory that is checked: if its destructor does not see a use, that is noticed as a data race.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "flowguard/detail/base/retirable.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"

namespace {

using memory_model::choose;
using memory_model::count;
using memory_model::fail;

struct retirement_choices {
    std::size_t users = 1 + choose(3);
    std::size_t uses = 1 + choose(2);     // of each user
    bool user_retires = choose(3) == 0;   // the first user retires the object, while it is inside
    bool retired_twice = choose(3) == 0;  // two threads retire the object
    bool retires = !user_retires || retired_twice;

    std::string describe() const {
        return std::to_string(users) + " users, " + std::to_string(uses) + " uses each" +
               (user_retires ? ", retired inside" : "") + (retired_twice ? ", retired twice" : "");
    }
};

// Has one integer for each user, and one for the thread that retires the object. Each thread writes its own integer
// without synchronization, and the destructor reads them all.
class used_object {
public:
    used_object(int& destroyed, int& seen, const int* left) : destroyed_(&destroyed), seen_(&seen), left_(left) {
        for (auto& place : places_)
            place = std::make_unique<int>(0);
    }
    used_object(const used_object&) = delete;
    used_object& operator=(const used_object&) = delete;
    ~used_object() {
        ++*destroyed_;
        for (const auto& place : places_)
            *seen_ += *place;
        if (left_ != nullptr)
            *seen_ += *left_;
    }

    void use(std::size_t user) { ++*places_[user]; }

private:
    std::array<std::unique_ptr<int>, 3> places_;
    int* destroyed_;
    int* seen_;
    const int* left_;
};

class retirement_scenario {
public:
    explicit retirement_scenario(const retirement_choices& choices) : choices_(choices) {}

    static memory_model::scenario make(std::shared_ptr<retirement_scenario> s) {
        memory_model::scenario made{s->choices_.describe(), {}};
        made.steps.set_up = [s] { s->set_up(); };
        made.steps.finish = [s] { s->finish(); };
        for (std::size_t i = 0; i < s->choices_.users; ++i)
            made.steps.threads.emplace_back([s, i] { s->use(i); });
        if (s->choices_.retires)
            made.steps.threads.emplace_back([s] { s->retire(); });
        if (s->choices_.retired_twice && !s->choices_.user_retires)
            made.steps.threads.emplace_back([s] { s->retire(); });
        return made;
    }

private:
    using held_object = flowguard::detail::retirable<used_object>;

    void set_up() {
        if (retires_alone())
            left_ = new int(0);
        held_ = new held_object(std::in_place, destroyed_, seen_, left_);
    }

    bool retires_alone() const noexcept { return !choices_.retired_twice && !choices_.user_retires; }

    void use(std::size_t user) {
        for (std::size_t i = 0; i < choices_.uses; ++i) {
            const auto inside = held_->enter();
            if (!inside) {
                count("too late");
                continue;
            }
            inside->use(user);
            used_.fetch_add(1, std::memory_order_relaxed);
            if (choices_.user_retires && user == 0)
                retire();
        }
    }

    void retire() {
        if (retires_alone())
            *left_ = 1;
        held_->retire();
    }

    void finish() {
        if (destroyed_ != 1)
            fail("the object was not destroyed once, before its holder");
        const int used = used_.load(std::memory_order_relaxed);
        if (seen_ != used + (retires_alone() ? 1 : 0))
            fail("the object's end did not see all that was done before");
        count("uses", static_cast<std::uint64_t>(used));
        delete held_;
        delete left_;
        if (destroyed_ != 1)
            fail("the holder destroyed the object again");
    }

    const retirement_choices choices_;
    held_object* held_ = nullptr;
    int* left_ = nullptr;
    std::atomic<int> used_{0};
    int destroyed_ = 0;
    int seen_ = 0;
};

memory_model::scenario make_scenario() {
    return retirement_scenario::make(std::make_shared<retirement_scenario>(retirement_choices()));
}

} // namespace

int main(int argc, char** argv) {
    return memory_model::check(argc, argv, {"uses", "too late"}, make_scenario);
}
