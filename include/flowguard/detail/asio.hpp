// asio.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// The one place that chooses the Asio which FlowGuard is built on.

#ifndef FLOWGUARD_DETAIL_ASIO_HPP
#define FLOWGUARD_DETAIL_ASIO_HPP

#include <asio/detail/config.hpp>

#if !defined(ASIO_HAS_CO_AWAIT) || !defined(ASIO_HAS_STD_COROUTINE)
#error "FlowGuard needs C++20 coroutines in Asio: compile as C++20 (-std=c++20 or newer); where this Asio does not \
find them (1.22 under clang), define ASIO_HAS_CO_AWAIT and ASIO_HAS_STD_COROUTINE, as flowguard::flowguard does"
#endif

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
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
#include <asio/system_error.hpp>
#include <asio/system_executor.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#include <asio/wait_traits.hpp>

#if ASIO_VERSION >= 102700
#define FLOWGUARD_HAS_IMMEDIATE_EXECUTOR
#include <asio/associated_immediate_executor.hpp>
#endif

namespace flowguard {

namespace asio = ::asio;
using error_code = asio::error_code;
using system_error = asio::system_error;

} // namespace flowguard

#endif
