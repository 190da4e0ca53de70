// trace.cpp
// ~~~~~~~~~
// SPDX-License-Identifier: MIT

// The trace of a guard's decisions under the memory model. One thread adds decisions, and others read them. A reader
// must find whole decisions, in order, and every published decision that is not being overwritten.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "flowguard/detail/control/decision_trace.hpp"
#include "memory_model/runtime/check.hpp"
#include "memory_model/runtime/choices.hpp"

namespace {

using memory_model::choose;
using memory_model::count;
using memory_model::fail;

struct trace_choices {
    std::size_t places = 1 + choose(3);
    std::size_t decisions = 1 + choose(4);
    std::size_t readers = 1 + choose(2);

    std::string describe() const {
        return std::to_string(places) + " places, " + std::to_string(decisions) + " decisions, " +
               std::to_string(readers) + " readers";
    }
};

class trace_scenario {
public:
    explicit trace_scenario(const trace_choices& choices) : choices_(choices) {}

    static memory_model::scenario make(std::shared_ptr<trace_scenario> s) {
        memory_model::scenario made{s->choices_.describe(), {}};
        made.steps.set_up = [s] { s->trace_ = new flowguard::detail::decision_trace(s->choices_.places); };
        made.steps.finish = [s] {
            s->read(s->choices_.decisions);
            delete s->trace_;
        };
        made.steps.threads.emplace_back([s] { s->add(); });
        for (std::size_t i = 0; i < s->choices_.readers; ++i)
            made.steps.threads.emplace_back([s] { s->read(s->trace_->published_.load(std::memory_order_relaxed)); });
        return made;
    }

private:
    void add() {
        for (std::size_t n = 1; n <= choices_.decisions; ++n)
            trace_->add({.before = n, .limit = n, .samples = n, .dropped = n, .ignored = n});
    }

    // Reads the trace. `published` decisions were published before.
    void read(std::size_t published) {
        const std::vector<flowguard::limit_decision> found = trace_->read();
        for (const flowguard::limit_decision& d : found)
            if (d.before != d.limit || d.samples != d.limit || d.dropped != d.limit || d.ignored != d.limit)
                fail("a decision is a mixture of two");
        for (std::size_t i = 1; i < found.size(); ++i)
            if (found[i].limit <= found[i - 1].limit)
                fail("decisions are out of order");
        if (choices_.decisions <= choices_.places && found.size() < published)
            fail("a published decision is missing");
        count("found", found.size());
        if (found.size() < std::min(published, choices_.places))
            count("overwritten");
    }

    const trace_choices choices_;
    flowguard::detail::decision_trace* trace_ = nullptr;
};

memory_model::scenario make_scenario() {
    return trace_scenario::make(std::make_shared<trace_scenario>(trace_choices()));
}

} // namespace

int main(int argc, char** argv) {
    return memory_model::check(argc, argv, {"found", "overwritten"}, make_scenario);
}
