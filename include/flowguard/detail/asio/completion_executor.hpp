// completion_executor.hpp
// ~~~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_COMPLETION_EXECUTOR_HPP
#define FLOWGUARD_DETAIL_ASIO_COMPLETION_EXECUTOR_HPP

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

#include "flowguard/detail/asio/asio.hpp"

namespace flowguard::detail {

// Memory inside a waiter for the operation that its executor makes of its completion. So completing the waiter
// allocates nothing, and cannot fail if the executor takes an allocator.
class completion_memory {
public:
    completion_memory() noexcept = default;
    completion_memory(const completion_memory&) = delete;
    completion_memory& operator=(const completion_memory&) = delete;

    // Returns null if the size does not fit, or the memory is taken: a strand needs a second piece.
    void* take(std::size_t size, std::size_t alignment) noexcept {
        if (taken_ || size > sizeof(bytes_) || alignment > alignof(void*))
            return nullptr;
        taken_ = true;
        return bytes_;
    }

    bool contains(const void* p) const noexcept { return p == bytes_; }

private:
    static constexpr std::size_t size_of_asio_operation = 5 * sizeof(void*); // with a completion and its allocator

    alignas(void*) std::byte bytes_[size_of_asio_operation];
    bool taken_ = false;
};

// Allocates from a waiter's completion_memory (its room) first, then from the memory that Asio keeps for a thread's
// next operation. Deallocation compares addresses with the room, but does not touch it: the waiter may be gone by then.
template <class T>
class completion_allocator {
public:
    using value_type = T;

    explicit completion_allocator(completion_memory* room) noexcept : room_(room) {}
    template <class U>
    completion_allocator(const completion_allocator<U>& other) noexcept // NOLINT(google-explicit-constructor)
        : room_(other.room()) {}

    T* allocate(std::size_t n) {
        if (room_ != nullptr)
            if (void* memory = room_->take(n * sizeof(T), alignof(T)))
                return static_cast<T*>(memory);
        return asio::recycling_allocator<T>().allocate(n);
    }

    void deallocate(T* p, std::size_t n) noexcept {
        if (room_ == nullptr || !room_->contains(p))
            asio::recycling_allocator<T>().deallocate(p, n);
    }

    completion_memory* room() const noexcept { return room_; }

    template <class U>
    friend bool operator==(const completion_allocator& a, const completion_allocator<U>& b) noexcept {
        return a.room() == b.room();
    }

private:
    completion_memory* room_;
};

// Executors of the Networking TS, such as io_context::strand, have member functions in place of properties.
template <class Executor>
inline constexpr bool is_of_networking_ts = !asio::execution::is_executor<Executor>::value;

using context_property = asio::execution::context_as_t<asio::execution_context&>;

template <class Executor>
inline constexpr bool has_context =
    is_of_networking_ts<Executor> || asio::can_query<const Executor&, context_property>::value;

// The context of an executor; null if the executor does not tell one.
template <class Executor>
asio::execution_context* context_of(const Executor& executor) {
    if constexpr (is_of_networking_ts<Executor>)
        return &executor.context();
    else if constexpr (has_context<Executor>)
        return &asio::query(executor, context_property{});
    else
        return nullptr;
}

// Whether a function can be posted to the executor. Some executors only dispatch: Asio's inline_executor, which calls
// each function at once, and any_completion_executor, which does not tell what it holds.
template <class Executor>
inline constexpr bool takes_posts =
    is_of_networking_ts<Executor> || asio::can_require<const Executor&, asio::execution::blocking_t::never_t>::value;

// The executor on which a waiter is completed. Work is outstanding on it until then.
template <class Executor>
class completion_executor {
public:
    explicit completion_executor(const Executor& executor) : executor_(track(executor)) {}

    asio::execution_context* context() const { return detail::context_of(underlying(executor_)); }

    // The executor, without outstanding work.
    auto get_executor() const { return untracked(executor_); }

    completion_allocator<void> get_allocator() noexcept { return completion_allocator<void>(&room_); }

    // Posts a function that uses get_allocator(). The outstanding work is moved out of *this first, because *this may
    // be gone as soon as the function is posted. The work ends when post() returns.
    template <class F>
    void post(F f) {
        const auto outstanding = std::move(executor_);
        asio::post(untracked(outstanding), std::move(f));
    }

private:
    // Other executors do not use executor_work_guard, which does not compile for strand<any_io_executor>, among others,
    // in Asio 1.22.
    static auto track(const Executor& executor) {
        if constexpr (is_of_networking_ts<Executor>)
            return asio::executor_work_guard<Executor>(executor);
        else
            return asio::prefer(executor, asio::execution::outstanding_work.tracked);
    }
    using tracked = decltype(track(std::declval<const Executor&>()));

    static decltype(auto) underlying(const tracked& t) {
        if constexpr (is_of_networking_ts<Executor>)
            return t.get_executor();
        else
            return (t);
    }

    // For posts: Asio copies an executor several times to post, and each copy of a tracked one counts work.
    static auto untracked(const tracked& t) {
        if constexpr (is_of_networking_ts<Executor>)
            return t.get_executor();
        else
            return asio::prefer(t, asio::execution::outstanding_work.untracked);
    }

    tracked executor_;
    completion_memory room_;
};

// An executor that takes no posts. Work is outstanding on it until the dispatch.
template <class Executor>
class dispatch_executor {
public:
    explicit dispatch_executor(const Executor& executor)
        : executor_(asio::prefer(executor, asio::execution::outstanding_work.tracked)) {}

    // The outstanding work is moved out of *this first, because the function may destroy *this.
    template <class F>
    void dispatch(F f) {
        const auto outstanding = std::move(executor_);
        asio::dispatch(outstanding, std::move(f));
    }

private:
    using tracked = decltype(asio::prefer(std::declval<const Executor&>(), asio::execution::outstanding_work.tracked));

    tracked executor_;
};

// An executor whose type was erased. It takes no allocator. A template, so that a file that includes this header, but
// uses no such executor, does not pay for Asio's templates behind it: half a second of compilation.
template <class Executor>
class unknown_executor {
public:
    explicit unknown_executor(const Executor& executor)
        : executor_(asio::prefer(executor, asio::execution::outstanding_work.tracked)) {}

    asio::execution_context* context() const { return detail::context_of(executor_); }

    Executor get_executor() const { return asio::prefer(executor_, asio::execution::outstanding_work.untracked); }

    completion_allocator<void> get_allocator() noexcept { return completion_allocator<void>(nullptr); }

    template <class F>
    void post(F f) {
        const auto outstanding = std::move(executor_);
        asio::post(outstanding, std::move(f));
    }

private:
    Executor executor_;
};

// Looks inside the any_io_executor: it nearly always holds the executor of an io_context or a thread_pool, which costs
// half if it is used directly. A template for the same reason as unknown_executor.
template <std::same_as<asio::any_io_executor> Executor>
class completion_executor<Executor> {
    // Like std::visit, but inlined, and told which case is likely.
    template <class Found, class F>
    static auto with(Found& found, F f) {
        if (auto* context = std::get_if<1>(&found); context != nullptr) [[likely]]
            return f(*context);
        if (auto* pool = std::get_if<2>(&found))
            return f(*pool);
        return f(*std::get_if<0>(&found));
    }

public:
    explicit completion_executor(const Executor& executor) : found_(look_inside(executor)) {}

    asio::execution_context* context() const {
        return with(found_, [](const auto& e) { return e.context(); });
    }

    Executor get_executor() const {
        return with(found_, [](const auto& e) { return Executor(e.get_executor()); });
    }

    completion_allocator<void> get_allocator() noexcept {
        return with(found_, [](auto& e) { return e.get_allocator(); });
    }

    template <class F>
    void post(F f) {
        with(found_, [&f](auto& e) { e.post(std::move(f)); });
    }

private:
    using found = std::variant<unknown_executor<Executor>, completion_executor<asio::io_context::executor_type>,
                               completion_executor<asio::thread_pool::executor_type>>;

    static found look_inside(const Executor& executor) {
#if !defined(FLOWGUARD_NO_TYPEID)
        // target() alone does not compare types in Asio 1.22.
        if (executor.target_type() == typeid(asio::io_context::executor_type))
            return found(std::in_place_index<1>, *executor.template target<asio::io_context::executor_type>());
        if (executor.target_type() == typeid(asio::thread_pool::executor_type))
            return found(std::in_place_index<2>, *executor.template target<asio::thread_pool::executor_type>());
#endif
        return found(std::in_place_index<0>, executor);
    }

    found found_;
};

} // namespace flowguard::detail

#endif
