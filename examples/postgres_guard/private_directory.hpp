// private_directory.hpp
// ~~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_PRIVATE_DIRECTORY_HPP
#define POSTGRES_GUARD_PRIVATE_DIRECTORY_HPP

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "process.hpp"

namespace postgres_guard {

/// A fresh directory for one user. The destructor removes it. If this program is killed, a shell that waits for the end
/// of the program removes the directory.
class private_directory {
public:
    explicit private_directory(const std::optional<user>& owner) {
        if (::mkdtemp(path_.data()) == nullptr)
            throw_errno("cannot make a directory like " + path_);
        if (owner && ::chown(path_.c_str(), owner->id, owner->group) != 0) {
            const int error = errno;
            ::rmdir(path_.c_str());
            throw std::system_error(error, std::generic_category(), "cannot change the owner of " + path_);
        }
        auto [end_of_us, until_our_end] = descriptor::pipe();
        until_our_end_ = std::move(until_our_end);
        const descriptor nothing = descriptor::open("/dev/null", O_RDWR);
        cleaner_.emplace(std::vector<std::string>{"/bin/sh", "-c", wait_and_remove, path_},
                         process_options{.input = end_of_us, .output = nothing});
    }

    private_directory(const private_directory&) = delete;
    private_directory& operator=(const private_directory&) = delete;

    ~private_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
        until_our_end_ = descriptor(-1);
        cleaner_->wait_for(std::chrono::seconds(10));
    }

    const std::string& path() const noexcept { return path_; }

private:
    // Removes the directory more than once, because another process may still write there.
    static constexpr const char* wait_and_remove =
        R"(trap '' HUP INT TERM; cat; for i in 1 2 3 4 5 6 7 8; do test -e "$0" || exit; rm -rf "$0"; sleep 0.5; done)";

    std::string path_ = (std::filesystem::temp_directory_path() / "postgres_guard.XXXXXX").string();
    descriptor until_our_end_{-1};
    std::optional<process> cleaner_;
};

} // namespace postgres_guard

#endif
