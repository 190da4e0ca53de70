// task_traits.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_ASIO_TASK_TRAITS_HPP
#define FLOWGUARD_DETAIL_ASIO_TASK_TRAITS_HPP

#include <functional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include "flowguard/detail/asio/asio.hpp"
#include "flowguard/detail/base/rare.hpp"

namespace flowguard::detail {

// The result of a coroutine, and its executor.
template <class T>
struct awaited;

template <class T, class Executor>
struct awaited<asio::awaitable<T, Executor>> {
    using result = T;
    using executor = Executor;
};

// A coroutine that was made already. For a parameter `T&&`, only one that is passed on by a move.
template <class T>
concept task = requires { typename awaited<T>::result; };

// Returns the task, or throws std::invalid_argument if it was moved from.
template <class T, class Executor>
FLOWGUARD_DETAIL_EACH_CALL inline asio::awaitable<T, Executor>&& checked(asio::awaitable<T, Executor>&& task) {
    if (!task.valid())
        throw std::invalid_argument("flowguard: task is a moved-from awaitable, must be one that can be awaited");
    return std::move(task);
}

// A callable that makes a task.
template <class F>
concept task_factory = requires { typename awaited<std::invoke_result_t<F&>>::result; };

// A callable that makes a task from these arguments, once callable and arguments were copied.
template <class F, class... Args>
concept task_call =
    requires { typename awaited<std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>>::result; };

// A callable and its arguments, to be called once.
template <class F, class... Args>
class bound_task {
public:
    template <class... From>
    explicit bound_task(std::in_place_t, From&&... parts) : parts_(std::forward<From>(parts)...) {}

    auto operator()() {
        return std::apply([](F& f, Args&... args) { return std::invoke(std::move(f), std::move(args)...); }, parts_);
    }

private:
    std::tuple<F, Args...> parts_;
};

template <class F, class... Args>
bound_task<std::decay_t<F>, std::decay_t<Args>...> bind_task(F&& f, Args&&... args) {
    return bound_task<std::decay_t<F>, std::decay_t<Args>...>(std::in_place, std::forward<F>(f),
                                                              std::forward<Args>(args)...);
}

} // namespace flowguard::detail

#endif
