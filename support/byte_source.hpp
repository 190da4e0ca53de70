// byte_source.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_BYTE_SOURCE_HPP
#define FLOWGUARD_SUPPORT_BYTE_SOURCE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

// What a property is tested with: bytes, which a test draws at random, or a fuzzer breeds.
namespace support {

inline std::vector<std::uint8_t> random_bytes(std::uint64_t seed, std::size_t size) {
    std::mt19937_64 random{seed};
    std::vector<std::uint8_t> bytes(size);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random() >> 56); });
    return bytes;
}

// Makes values from bytes, and zeros once the bytes are used up.
class byte_source {
public:
    explicit byte_source(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    bool empty() const { return bytes_.empty(); }

    template <class T>
    T take() {
        T value{};
        const std::size_t n = std::min(sizeof value, bytes_.size());
        if (n > 0)
            std::memcpy(&value, bytes_.data(), n);
        bytes_ = bytes_.subspan(n);
        return value;
    }

    // In [least, most].
    std::size_t between(std::size_t least, std::size_t most) {
        return least + static_cast<std::size_t>(take<std::uint32_t>()) % (most - least + 1);
    }

    template <class T, std::size_t N>
    T any(const T (&values)[N]) {
        return values[take<std::uint8_t>() % N];
    }

private:
    std::span<const std::uint8_t> bytes_;
};

} // namespace support

#endif
