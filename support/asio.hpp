// asio.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// Gives the name `asio` to the Asio that FlowGuard is built on, standalone or Boost's: the tests run on both. The names
// are those of newer Asios: as_tuple and deferred, which are experimental before 1.24.

#ifndef FLOWGUARD_SUPPORT_ASIO_HPP
#define FLOWGUARD_SUPPORT_ASIO_HPP

#include "flowguard/detail/asio/asio.hpp"

#if defined(FLOWGUARD_USE_BOOST_ASIO)

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/io_context_strand.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

namespace asio {

using namespace ::boost::asio;
using ::boost::system::error_code; // standalone Asio has a name of its own for it
using ::boost::system::system_error;

} // namespace asio

#define SUPPORT_ASIO_VERSION BOOST_ASIO_VERSION

#if SUPPORT_ASIO_VERSION >= 102700
#include <boost/asio/any_completion_handler.hpp>
#endif

#if SUPPORT_ASIO_VERSION >= 102400
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#else
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/asio/experimental/deferred.hpp>
#endif

#else

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/io_context.hpp>
#include <asio/io_context_strand.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/system_error.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>

#define SUPPORT_ASIO_VERSION ASIO_VERSION

#if SUPPORT_ASIO_VERSION >= 102700
#include <asio/any_completion_handler.hpp>
#endif

#if SUPPORT_ASIO_VERSION >= 102400
#include <asio/as_tuple.hpp>
#include <asio/deferred.hpp>
#else
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
#endif

#endif

#if SUPPORT_ASIO_VERSION < 102400
namespace asio {
using experimental::as_tuple;
using experimental::deferred;
} // namespace asio
#endif

#endif
