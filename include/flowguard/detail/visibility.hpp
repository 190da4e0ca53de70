// visibility.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// FLOWGUARD_DETAIL_VISIBLE marks what has to be one object in a program with several shared libraries, because its
// address is its identity. Otherwise each library that is built with -fvisibility=hidden has its own. It also wins over
// -fvisibility-inlines-hidden. A Windows DLL always has its own.

#ifndef FLOWGUARD_DETAIL_VISIBILITY_HPP
#define FLOWGUARD_DETAIL_VISIBILITY_HPP

#if defined(__GNUC__) && !defined(_WIN32)
#define FLOWGUARD_DETAIL_VISIBLE __attribute__((visibility("default")))
#else
#define FLOWGUARD_DETAIL_VISIBLE
#endif

#endif
