// sanitizers.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_SANITIZERS_HPP
#define FLOWGUARD_SUPPORT_SANITIZERS_HPP

// Tells which sanitizer the program is built with, in the same way for g++ and clang.
#if defined(__SANITIZE_ADDRESS__)
#define FLOWGUARD_TEST_ADDRESS_SANITIZER
#elif defined(__SANITIZE_THREAD__)
#define FLOWGUARD_TEST_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLOWGUARD_TEST_ADDRESS_SANITIZER
#elif __has_feature(thread_sanitizer)
#define FLOWGUARD_TEST_THREAD_SANITIZER
#endif
#endif

#endif
