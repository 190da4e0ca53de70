// guard_registry.hpp
// ~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_GUARD_REGISTRY_HPP
#define FLOWGUARD_GUARD_REGISTRY_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/check.hpp"
#include "flowguard/detail/base/clock_time.hpp"
#include "flowguard/detail/control/stats_sum.hpp"
#include "flowguard/detail/registry/key_hash.hpp"
#include "flowguard/error.hpp"
#include "flowguard/flow_guard.hpp"
#include "flowguard/guard_options.hpp"
#include "flowguard/guard_stats.hpp"
#include "flowguard/limits.hpp"

namespace flowguard {

/// The options of a guard_registry.
struct guard_registry_options {
    /// How many guards there are at most. In [1, max_limit]. Take more than there are keys in use at a time: a guard
    /// that is forgotten, and made again, must find its limit again.
    std::size_t max_guards = 1000;

    /// A guard may be forgotten when it has not been in use for so long. At least 0.
    duration idle_after = std::chrono::minutes(10);

    /// How many guards guard_registry::stats() names at most. At least 0, at most max_limit.
    std::size_t max_named = 100;
};

/// What guard_registry::stats() returns.
template <class Key>
struct registry_stats {
    struct entry {
        Key key;
        guard_stats stats;
    };

    std::vector<entry> named{}; ///< of guards that have a name; the one that was made first is the first
    /// All other guards together. Gauges are summed over the present guards. Counters and histograms also include
    /// guards without a name that were forgotten, so they never decrease. `pinned` tells if one of them is pinned.
    /// Single times, such as rtt_mean and baseline_rtt, are 0, since they do not add up.
    guard_stats others{};
    std::size_t guards = 0; ///< how many guards there are, with a name or without
    std::uint64_t made = 0; ///< guards that were made
    std::uint64_t forgotten = 0; ///< guards that were forgotten
    std::uint64_t rejected = 0; ///< calls that got no guard, because all guards were in use
};

/// A guard for each key, such as each host that a client calls: made when it is asked for first, and forgotten when it
/// has not been in use for a while.
///
///     flowguard::guard_registry<std::string> guards{flowguard::vegas_strategy{}, {.max_wait = 100ms}};
///
///     asio::awaitable<response> fetch(const url& u) {
///         co_return co_await guards.get(u.host())->run(send, request(u));
///     }
///
/// *Same key, same guard.* All callers that ask for a key get the same guard, on any thread, as long as the registry
/// has it.
///
/// *In use.* A guard is in use while the program holds a shared_ptr to it, a caller waits, or a task runs, long-lived
/// ones included. It is also in use while it is closed, pinned, or has bounds by set_limit_bounds(), since a new guard
/// for its key would have none of these. (A weak_ptr does not count.) A guard in use is never forgotten. A coroutine
/// that was made, and has not started, does not use its guard yet. So the call in `co_spawn(context,
/// guards.get(key)->run(task), token)` may end with `operation_aborted`. Write `co_spawn(context, [g = guards.get(key),
/// task] { return g->run(task); }, token)` instead.
///
/// *Forgetting.* A guard that was not in use for `idle_after` is forgotten by a later call of get() or try_get() for
/// any key, or by forget_idle(). The time counts from when it was asked for last, or was last seen in use by such a
/// call. FlowGuard has no thread: without calls, no guard is forgotten. A guard that is forgotten is destroyed on the
/// thread that made the call, after the call's lock is unlocked.
///
/// *At most max_guards.* If there are max_guards already, and a key without a guard is asked for, then a guard that is
/// not in use is forgotten early: the one that was asked for least recently. If all are in use, get() throws
/// `error::shed`, as a guard does in an overload, and try_get() returns null. To bound the time that this takes, a call
/// looks only at the 16 guards that were asked for least recently; those that it finds in use move to the end of that
/// order. So with more guards than that, a call may be rejected although some guard is idle, and a later call finds it.
///
/// *Metrics.* stats() names `max_named` guards at most: a guard gets a name if it is made while fewer have one, and
/// keeps it until it is forgotten. registry_stats::others has the sums of all other guards.
///
/// *Thread safety.* All functions may be called on any thread at any time, except for construction and destruction.
/// They lock one mutex for O(1), or for longer where they say so. A factory runs, and a guard is destroyed, without the
/// lock. A caller that makes many calls for one key should keep the pointer.
///
/// *Observers.* The observers of a guard are called, and destroyed, without the lock. So they may use the registry,
/// also where it forgets their guard. An idle guard has no waiter, so none of its observers is called while it is
/// forgotten. But in the registry's destructor, the calls that wait end, and on_rejection is called for each of them:
/// then it must not use the registry.
///
/// *Lifetime.* A guard to which the program holds a shared_ptr lives on when the registry is destroyed. All others are
/// destroyed with it, which ends their waiting calls.
///
/// *Guard.* A flow_guard. Times are of its Clock, if that is steady, and otherwise of std::chrono::steady_clock.
///
/// *Key.* Copyable, with a Hash and an Equal, which must not throw. If both of them have `is_transparent`, all
/// functions that take a key take whatever the two of them take, if a Key can be constructed of it. For std::string,
/// this is the default: a look-up by a std::string_view makes no string.
template <class Key, class Guard = flow_guard<>, class Hash = detail::key_hash<Key>, class Equal = std::equal_to<>>
class guard_registry {
public:
    using key_type = Key;
    using guard_type = Guard;

    /// Makes the guard for a key. Several threads may call it at a time, also for one key; then one guard is taken, and
    /// the others are destroyed unused. It may use the registry. It must not return null.
    using factory = std::function<std::shared_ptr<Guard>(const Key&)>;

    /// A registry whose guards are made by `make`. Throws std::invalid_argument for options out of range.
    explicit guard_registry(factory make, guard_registry_options options = {})
        : make_(std::move(make)),
          max_guards_(detail::check_range("guard_registry_options::max_guards", options.max_guards, 1, max_limit)),
          idle_after_(detail::check_least("guard_registry_options::idle_after", options.idle_after, 0)),
          max_named_(detail::check_range("guard_registry_options::max_named", options.max_named, 0, max_limit)) {
        if (!make_)
            throw std::invalid_argument("flowguard: the factory of a guard_registry is empty, must be a function");
    }

    /// A registry whose guards all have a copy of `prototype`, and the same options. Throws std::invalid_argument for
    /// options, or an initial limit, out of range.
    explicit guard_registry(typename Guard::strategy_type prototype, const guard_options& of_each = {},
                            guard_registry_options options = {})
        requires std::copy_constructible<typename Guard::strategy_type>
        : guard_registry([prototype, of_each](const Key&) { return std::make_shared<Guard>(prototype, of_each); },
                         options) {
        static_cast<void>(Guard(prototype, of_each)); // throws now what the first get() would throw
    }

    /// The same, with an executor for handlers that have none.
    guard_registry(asio::any_io_executor executor, typename Guard::strategy_type prototype,
                   const guard_options& of_each = {}, guard_registry_options options = {})
        requires std::copy_constructible<typename Guard::strategy_type>
        : guard_registry([executor, prototype,
                          of_each](const Key&) { return std::make_shared<Guard>(executor, prototype, of_each); },
                         options) {
        static_cast<void>(Guard(executor, prototype, of_each));
    }

    guard_registry(const guard_registry&) = delete;
    guard_registry& operator=(const guard_registry&) = delete;
    ~guard_registry() = default;

    /// Returns the guard of a key, and makes it if there is none. Never returns null. Throws system_error with
    /// `error::shed` if there are max_guards, and those that it looks at are in use; std::invalid_argument if the
    /// factory returns null; and what the factory throws. After an exception, the registry has no guard for the key.
    /// Complexity: O(1).
    std::shared_ptr<Guard> get(const Key& key) { return not_null(find_or_make(key)); }
    template <detail::like_key<Key, Hash, Equal> K>
    std::shared_ptr<Guard> get(const K& key) {
        return not_null(find_or_make(key));
    }

    /// The same, but returns null where get() throws `error::shed`.
    std::shared_ptr<Guard> try_get(const Key& key) { return find_or_make(key); }
    template <detail::like_key<Key, Hash, Equal> K>
    std::shared_ptr<Guard> try_get(const K& key) {
        return find_or_make(key);
    }

    /// Returns the guard of a key, or null if there is none. Complexity: O(1).
    std::shared_ptr<Guard> find(const Key& key) const { return find_only(key); }
    template <detail::like_key<Key, Hash, Equal> K>
    std::shared_ptr<Guard> find(const K& key) const {
        return find_only(key);
    }

    /// How many guards there are.
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return guards_.size();
    }

    /// Forgets all guards that have not been in use for `idle_after`, and returns how many. For a timer of your own, if
    /// the memory should be free although no caller asks for a guard. Complexity: O(n).
    std::size_t forget_idle() {
        order forgotten; // destroyed after the lock
        const std::lock_guard lock(mutex_);
        forget_overdue(now(), guards_.size(), forgotten);
        return forgotten.size();
    }

    /// Calls `f(key, guard)` for each guard, in any order: for example to pin or to close all of them. Guards that are
    /// made later are not changed. The guards are in use until it returns. Complexity: O(n).
    template <std::invocable<const Key&, Guard&> F>
    void for_each(F f) const {
        for (const auto& [key, guard] : snapshot())
            f(key, *guard);
    }

    /// The stats of the guards: see registry_stats. Complexity: O(n log n), under the lock.
    registry_stats<Key> stats() const {
        const std::lock_guard lock(mutex_);
        registry_stats<Key> s{.others = forgotten_stats_,
                              .guards = guards_.size(),
                              .made = made_,
                              .forgotten = forgotten_,
                              .rejected = rejected_};
        std::vector<const entry*> named;
        for (const entry& e : order_) {
            if (e.is_named) {
                named.push_back(&e);
                continue;
            }
            const guard_stats of_one = e.guard->stats();
            detail::add_counters(s.others, of_one);
            detail::add_gauges(s.others, of_one);
        }
        std::sort(named.begin(), named.end(), [](const entry* a, const entry* b) { return a->number < b->number; });
        for (const entry* e : named)
            s.named.push_back({*e->key, e->guard->stats()});
        return s;
    }

private:
    struct entry {
        const Key* key; // in guards_
        std::shared_ptr<Guard> guard;
        std::chrono::nanoseconds used_at; // when it was asked for, or was seen in use
        std::uint64_t number; // the guard is the number-th one that was made
        bool is_named;
    };

    // The guard that was asked for, or seen in use, most recently is in front.
    using order = std::list<entry>;

    // How many guards a call of get() looks at, to find some that can be forgotten.
    static constexpr std::size_t most_looks = 16;

    static std::chrono::nanoseconds now() noexcept {
        return detail::time_now<detail::measuring_clock<typename Guard::clock_type>>();
    }

    static std::shared_ptr<Guard> not_null(std::shared_ptr<Guard> found) {
        if (found == nullptr)
            throw system_error(make_error_code(error::shed));
        return found;
    }

    template <class K>
    std::shared_ptr<Guard> find_only(const K& key) const {
        const std::lock_guard lock(mutex_);
        const auto found = guards_.find(key);
        return found == guards_.end() ? nullptr : found->second->guard;
    }

    // The guard is made without the lock. So another thread may have made one for the same key meanwhile, or have taken
    // the last room.
    template <class K>
    std::shared_ptr<Guard> find_or_make(const K& key) {
        order forgotten; // destroyed after the locks
        {
            const std::lock_guard lock(mutex_);
            const std::chrono::nanoseconds at = now();
            auto found = ask_for(key, at);
            forget_overdue(at, most_looks, forgotten);
            if (found != nullptr || !make_room(at, forgotten))
                return found;
        }
        Key own(key);
        std::shared_ptr<Guard> made = make_(own);
        if (made == nullptr)
            throw std::invalid_argument("flowguard: the factory of a guard_registry returned null, must return a "
                                        "guard");
        const std::lock_guard lock(mutex_);
        const std::chrono::nanoseconds at = now();
        auto found = ask_for(key, at);
        if (found != nullptr || !make_room(at, forgotten))
            return found;
        add(std::move(own), made, at);
        return made;
    }

    // What follows is called under the lock.

    // Returns the guard of a key; null if there is none.
    template <class K>
    std::shared_ptr<Guard> ask_for(const K& key, std::chrono::nanoseconds at) {
        const auto found = guards_.find(key);
        if (found == guards_.end())
            return nullptr;
        see_in_use(found->second, at);
        return found->second->guard;
    }

    void see_in_use(typename order::iterator e, std::chrono::nanoseconds at) noexcept {
        e->used_at = at;
        order_.splice(order_.begin(), order_, e);
    }

    void add(Key key, std::shared_ptr<Guard> guard, std::chrono::nanoseconds at) {
        const bool is_named = named_ < max_named_;
        order one;
        one.push_back({nullptr, std::move(guard), at, made_ + 1, is_named});
        const auto place = guards_.emplace(std::move(key), one.begin()).first; // the last step that may throw
        one.front().key = &place->first;
        order_.splice(order_.begin(), one);
        ++made_;
        named_ += is_named ? 1 : 0;
    }

    // Forgets guards that were not in use for long. Looks at `most` guards at most.
    void forget_overdue(std::chrono::nanoseconds at, std::size_t most, order& forgotten) noexcept {
        for (; most > 0 && !order_.empty(); --most) {
            if (detail::saturated_difference(at, order_.back().used_at) < idle_after_)
                return;
            forget_oldest(at, forgotten);
        }
    }

    // Returns whether one more guard may be added.
    bool make_room(std::chrono::nanoseconds at, order& forgotten) noexcept {
        if (guards_.size() < max_guards_)
            return true;
        for (std::size_t looks = (std::min)(most_looks, guards_.size()); looks > 0; --looks)
            if (forget_oldest(at, forgotten))
                return true;
        ++rejected_;
        return false;
    }

    // Forgets the guard that was asked for least recently; but if it is in use, it becomes the first one instead.
    bool forget_oldest(std::chrono::nanoseconds at, order& forgotten) noexcept {
        const auto oldest = std::prev(order_.end());
        if (is_in_use(oldest->guard)) {
            see_in_use(oldest, at);
            return false;
        }
        if (oldest->is_named)
            --named_;
        else
            detail::add_counters(forgotten_stats_, oldest->guard->stats());
        ++forgotten_;
        guards_.erase(guards_.find(*oldest->key));
        forgotten.splice(forgotten.end(), order_, oldest);
        return true;
    }

    // No thread can get another pointer meanwhile, since the registry's is the only one.
    static bool is_in_use(const std::shared_ptr<Guard>& guard) noexcept {
        if (guard.use_count() > 1 || is_changed_by_hand(*guard))
            return true;
        // use_count() alone does not make the calls visible that the last other holder made. To give up a share does,
        // because a holder that destroys the guard must see them.
        std::shared_ptr<Guard>(guard).reset();
        return !guard->is_idle();
    }

    // Whether an operator has closed, pinned or bounded the guard: a new one would not know of that.
    static bool is_changed_by_hand(const Guard& guard) noexcept {
        const guard_stats s = guard.stats();
        return guard.is_closed() || s.pinned || s.min_limit != 1 || s.max_limit != max_limit;
    }

    std::vector<std::pair<Key, std::shared_ptr<Guard>>> snapshot() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::pair<Key, std::shared_ptr<Guard>>> all;
        all.reserve(guards_.size());
        for (const entry& e : order_)
            all.emplace_back(*e.key, e.guard);
        return all;
    }

    const factory make_;
    const std::size_t max_guards_;
    const duration idle_after_;
    const std::size_t max_named_;
    mutable std::mutex mutex_; // of all that follows
    order order_;
    std::unordered_map<Key, typename order::iterator, Hash, Equal> guards_;
    std::size_t named_ = 0; // how many have a name
    std::uint64_t made_ = 0;
    std::uint64_t forgotten_ = 0;
    std::uint64_t rejected_ = 0;
    guard_stats forgotten_stats_; // the counters of those that had no name
};

} // namespace flowguard

#endif
