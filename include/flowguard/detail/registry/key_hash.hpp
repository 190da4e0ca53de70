// key_hash.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_REGISTRY_KEY_HASH_HPP
#define FLOWGUARD_DETAIL_REGISTRY_KEY_HASH_HPP

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

namespace flowguard::detail {

// Hashes a string in whatever form it comes, so that a look-up makes no std::string.
struct string_hash {
    using is_transparent = void;

    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
};

// The usual hash of a key.
template <class Key>
using key_hash = std::conditional_t<std::same_as<Key, std::string>, string_hash, std::hash<Key>>;

// A value that is no Key, but can be looked up like one, and made into one.
template <class K, class Key, class Hash, class Equal>
concept like_key = !std::same_as<std::remove_cvref_t<K>, Key> && std::constructible_from<Key, const K&> &&
                   requires(const Hash& hash, const Equal& equal, const K& k, const Key& key) {
                       typename Hash::is_transparent;
                       typename Equal::is_transparent;
                       { hash(k) } -> std::convertible_to<std::size_t>;
                       { equal(key, k) } -> std::convertible_to<bool>;
                   };

} // namespace flowguard::detail

#endif
