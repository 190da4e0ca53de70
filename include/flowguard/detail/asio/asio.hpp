// asio.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// This file alone chooses the Asio that FlowGuard is built on: standalone Asio, or Boost.Asio if
// FLOWGUARD_USE_BOOST_ASIO is defined, as flowguard::flowguard_boost does. All parts of a program must choose the same,
// or the program violates the one-definition rule.

#ifndef FLOWGUARD_DETAIL_ASIO_ASIO_HPP
#define FLOWGUARD_DETAIL_ASIO_ASIO_HPP

#if defined(FLOWGUARD_USE_BOOST_ASIO)

#include <boost/asio/detail/config.hpp>
#include <boost/asio/version.hpp>

#if BOOST_ASIO_VERSION < 102600
#error "FlowGuard needs Boost 1.81 or newer"
#endif

#if !defined(BOOST_ASIO_HAS_CO_AWAIT) || !defined(BOOST_ASIO_HAS_STD_COROUTINE)
#error "FlowGuard needs C++20 coroutines in Boost.Asio: compile as C++20 (-std=c++20 or newer)"
#endif

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/context_as.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#if BOOST_ASIO_VERSION >= 102700
#define FLOWGUARD_HAS_IMMEDIATE_EXECUTOR
#include <boost/asio/associated_immediate_executor.hpp>
#endif

#if defined(BOOST_ASIO_NO_TYPEID)
#define FLOWGUARD_NO_TYPEID
#endif

namespace flowguard {

namespace asio = ::boost::asio;
namespace detail {
namespace system = ::boost::system;
}
enum class error;

} // namespace flowguard

template <>
struct boost::system::is_error_code_enum<flowguard::error> : std::true_type {};

#else

#include <asio/detail/config.hpp>

#if !defined(ASIO_HAS_CO_AWAIT) || !defined(ASIO_HAS_STD_COROUTINE)
#error "FlowGuard needs C++20 coroutines in Asio: compile as C++20 (-std=c++20 or newer); where this Asio does not \
find them (1.22 under clang), define ASIO_HAS_CO_AWAIT and ASIO_HAS_STD_COROUTINE, as flowguard::flowguard does"
#endif

#include <system_error>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_state.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/execution/blocking.hpp>
#include <asio/execution/context.hpp>
#include <asio/execution/context_as.hpp>
#include <asio/execution/executor.hpp>
#include <asio/execution/outstanding_work.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/recycling_allocator.hpp>
#include <asio/redirect_error.hpp>
#include <asio/require.hpp>
#include <asio/strand.hpp>
#include <asio/system_error.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#include <asio/wait_traits.hpp>

#if ASIO_VERSION >= 102700
#define FLOWGUARD_HAS_IMMEDIATE_EXECUTOR
#include <asio/associated_immediate_executor.hpp>
#endif

#if defined(ASIO_NO_TYPEID)
#define FLOWGUARD_NO_TYPEID
#endif

namespace flowguard {

namespace asio = ::asio;
namespace detail {
namespace system = ::std;
}

} // namespace flowguard

#endif

namespace flowguard {

/// The error types that Asio uses: from namespace std with standalone Asio, from boost::system with Boost.Asio.
using error_code = detail::system::error_code;
using system_error = detail::system::system_error;

} // namespace flowguard

#endif
