// visibility.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// FLOWGUARD_DETAIL_VISIBLE marks what must be one object in a program with several shared libraries, because its
// address is its identity. Without the mark, each library that is built with -fvisibility=hidden has an object of its
// own. The mark also wins over -fvisibility-inlines-hidden. A Windows DLL always has an object of its own.

#ifndef FLOWGUARD_DETAIL_BASE_VISIBILITY_HPP
#define FLOWGUARD_DETAIL_BASE_VISIBILITY_HPP

#if defined(__GNUC__) && !defined(_WIN32)
#define FLOWGUARD_DETAIL_VISIBLE __attribute__((visibility("default")))
#else
#define FLOWGUARD_DETAIL_VISIBLE
#endif

#endif
