// output_file.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

// Files that benchmarks and examples write at their end.

#ifndef FLOWGUARD_SUPPORT_OUTPUT_FILE_HPP
#define FLOWGUARD_SUPPORT_OUTPUT_FILE_HPP

#include <filesystem>
#include <fstream>
#include <ios>
#include <stdexcept>
#include <string>

namespace support {

[[noreturn]] inline void throw_not_writable(const std::filesystem::path& path) {
    throw std::runtime_error("cannot write to '" + path.string() + "'");
}

/// Throws std::runtime_error if the file cannot be written: before long work, not after it.
inline void require_writable(const std::filesystem::path& path) {
    if (!std::ofstream(path, std::ios::app))
        throw_not_writable(path);
}

/// Calls `write` with a stream into the file, and throws std::runtime_error unless all of it could be written.
template <class Write>
void write_file(const std::filesystem::path& path, Write write) {
    std::ofstream out(path, std::ios::trunc);
    write(out);
    if (!out.flush())
        throw_not_writable(path);
}

} // namespace support

#endif
