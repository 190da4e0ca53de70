// rare.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

// FLOWGUARD_DETAIL_RARE marks a function that few guards call, from a place that all guards pass at each call. The
// compiler does not inline it there: calls that do not need it then save no registers for it, and the compiler goes on
// to inline what they do need.
//
// FLOWGUARD_DETAIL_EACH_CALL marks a small function that each call passes, from more than one place. The compiler
// inlines it in all of them.

#ifndef FLOWGUARD_DETAIL_BASE_RARE_HPP
#define FLOWGUARD_DETAIL_BASE_RARE_HPP

#if defined(__GNUC__)
#define FLOWGUARD_DETAIL_RARE __attribute__((noinline, cold))
#define FLOWGUARD_DETAIL_EACH_CALL __attribute__((always_inline))
#elif defined(_MSC_VER)
#define FLOWGUARD_DETAIL_RARE __declspec(noinline)
#define FLOWGUARD_DETAIL_EACH_CALL __forceinline
#else
#define FLOWGUARD_DETAIL_RARE
#define FLOWGUARD_DETAIL_EACH_CALL
#endif

#endif
