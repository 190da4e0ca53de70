// version.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// The version is set only here: CMakeLists.txt reads it from here.

#ifndef FLOWGUARD_VERSION_HPP
#define FLOWGUARD_VERSION_HPP

#define FLOWGUARD_VERSION_MAJOR 0
#define FLOWGUARD_VERSION_MINOR 1
#define FLOWGUARD_VERSION_PATCH 0

#define FLOWGUARD_DETAIL_STRINGIZE(x) #x
#define FLOWGUARD_DETAIL_VERSION_STRING(major, minor, patch)                                                           \
    FLOWGUARD_DETAIL_STRINGIZE(major) "." FLOWGUARD_DETAIL_STRINGIZE(minor) "." FLOWGUARD_DETAIL_STRINGIZE(patch)

namespace flowguard {

/// FlowGuard's version, as "major.minor.patch".
inline constexpr const char* version =
    FLOWGUARD_DETAIL_VERSION_STRING(FLOWGUARD_VERSION_MAJOR, FLOWGUARD_VERSION_MINOR, FLOWGUARD_VERSION_PATCH);

} // namespace flowguard

#undef FLOWGUARD_DETAIL_VERSION_STRING
#undef FLOWGUARD_DETAIL_STRINGIZE

#endif
