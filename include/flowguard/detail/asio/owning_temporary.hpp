// owning_temporary.hpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// g++ before 13 destroys some temporaries of a co_await expression twice. If such a temporary is a lambda or an
// aggregate, it destroys its members, and g++ destroys each of them once more as a temporary of its own (GCC bugs
// 99576, 100611, 101367, 101976; fixed in GCC 13). It does not matter which function gets the temporary. Objects that a
// constructor or a function has made are not affected, and neither are those without a destructor.
//
// A function cannot see whether its argument is a temporary or a moved variable, or whether there is a co_await
// around the call. So every such rvalue is rejected.

#ifndef FLOWGUARD_DETAIL_ASIO_OWNING_TEMPORARY_HPP
#define FLOWGUARD_DETAIL_ASIO_OWNING_TEMPORARY_HPP

#include <cstddef>
#include <string_view>
#include <type_traits>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13 && !defined(FLOWGUARD_ALLOW_OWNING_TEMPORARIES)
#define FLOWGUARD_REJECTS_OWNING_TEMPORARIES
#endif

namespace flowguard::detail {

#if defined(FLOWGUARD_REJECTS_OWNING_TEMPORARIES)

// Whether T is the type of a lambda expression. There is no trait for that. But g++ writes such types, and no others,
// as `scope::<lambda(parameters)>`.
template <class T>
constexpr bool is_closure() noexcept {
    std::string_view name = __PRETTY_FUNCTION__; // "... [with T = name]"
    name.remove_suffix(1);
    if (!name.ends_with(">"))
        return false;
    std::size_t at = name.size() - 1;
    for (std::size_t open = 1; open != 0 && at > 0;) {
        --at;
        if (name[at] == '>')
            ++open;
        else if (name[at] == '<')
            --open;
    }
    return name.substr(at).starts_with("<lambda(");
}

// For a parameter `T&&`: whether its argument may be destroyed twice.
template <class T>
inline constexpr bool may_be_destroyed_twice = [] {
    if constexpr (std::is_lvalue_reference_v<T> || !std::is_class_v<T> || std::is_trivially_destructible_v<T>)
        return false;
    else
        return std::is_aggregate_v<T> || is_closure<T>();
}();

#else

template <class T>
inline constexpr bool may_be_destroyed_twice = false;

#endif

template <class... Args>
constexpr void reject_owning_temporaries() noexcept {
    static_assert(!(may_be_destroyed_twice<Args> || ...),
                  "g++ before 13 may destroy twice what this temporary lambda or aggregate owns (GCC bug 99576): pass "
                  "a function and its arguments instead, as in run(f, args...), or name the object first and pass "
                  "the name, or std::ref(name); FLOWGUARD_ALLOW_OWNING_TEMPORARIES lets it through");
}

} // namespace flowguard::detail

#endif
