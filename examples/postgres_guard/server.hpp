// server.hpp
// ~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_SERVER_HPP
#define POSTGRES_GUARD_SERVER_HPP

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <unistd.h>

#include "private_directory.hpp"
#include "proc.hpp"
#include "process.hpp"
#include "support/run_main.hpp"

namespace postgres_guard {

/// Finds the folder of PostgreSQL's programs. Looks only in `preferred`, if that is not empty; otherwise in the PATH,
/// then where Debian installs them.
inline std::filesystem::path find_postgres(const std::string& preferred) {
    namespace fs = std::filesystem;
    std::vector<fs::path> places;
    if (!preferred.empty()) {
        places.emplace_back(preferred);
    } else {
        const char* path = std::getenv("PATH"); // NOLINT(concurrency-mt-unsafe): nothing sets it meanwhile
        std::istringstream folders(path != nullptr ? path : "");
        for (std::string folder; std::getline(folders, folder, ':');)
            places.emplace_back(folder);
        std::vector<std::pair<int, fs::path>> versions;
        std::error_code none;
        for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", none))
            versions.emplace_back(std::atoi(version.path().filename().c_str()), version.path() / "bin");
        std::sort(versions.rbegin(), versions.rend());
        for (auto& version : versions)
            places.push_back(std::move(version.second));
    }
    for (const fs::path& place : places)
        if (::access((place / "initdb").c_str(), X_OK) == 0 && ::access((place / "postgres").c_str(), X_OK) == 0)
            return fs::absolute(place);
    throw support::left_out(
        "PostgreSQL's initdb and postgres are " +
        (preferred.empty() ? "neither in the PATH nor in /usr/lib/postgresql" : "not in " + preferred));
}

/// PostgreSQL does not run as root. If this program runs as root, the server runs as the user that Debian makes for it.
inline std::optional<user> unprivileged_user() {
    if (::geteuid() != 0)
        return std::nullopt;
    const passwd* known = ::getpwnam("postgres"); // NOLINT(concurrency-mt-unsafe): there is one thread yet
    if (known == nullptr)
        throw support::left_out("PostgreSQL does not run as root, and there is no user 'postgres'");
    return user{known->pw_uid, known->pw_gid};
}

/// A PostgreSQL server for this program alone. Its files and its socket are in a directory that is removed at the end.
/// For one thread, which must outlive it: the server ends with the thread that started it.
class server {
public:
    /// Makes a new database. Does not start the server.
    server(const std::filesystem::path& programs, std::size_t max_connections)
        : programs_(programs.string() + '/'), max_connections_(max_connections) {
        process initdb = run("initdb", {"--pgdata=" + data_, "--username=postgres", "--auth=trust", "--encoding=UTF8",
                                        "--locale=C", "--no-sync", "--no-instructions"});
        if (initdb.wait_for(std::chrono::seconds(60)) != 0)
            throw std::runtime_error("initdb failed: " + log());
    }

    ~server() { stop(); }

    /// The connection string for libpq.
    std::string where() const { return "host=" + directory_.path() + " port=5432 user=postgres dbname=postgres"; }

    /// Starts the server, and waits until it accepts queries.
    void start() {
        launch();
        const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!is_ready()) {
            if (std::chrono::steady_clock::now() > latest)
                throw std::runtime_error("the server does not start: " + log());
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    /// Starts the server, and does not wait.
    void launch() {
        // The server is measured and need not keep its data: it does not force writes to the disk, and has no work in
        // the background.
        running_.emplace(run("postgres", {"-D", data_,
                                          "-k", directory_.path(),
                                          "-p", "5432", //
                                          "-c", "cluster_name=" + data_, // in the titles of its processes
                                          "-c", "listen_addresses=", //
                                          "-c", "max_connections=" + std::to_string(max_connections_), //
                                          "-c", "fsync=off", //
                                          "-c", "full_page_writes=off", //
                                          "-c", "checkpoint_timeout=1h", //
                                          "-c", "autovacuum=off", //
                                          "-c", "jit=off", //
                                          "-c", "max_parallel_workers_per_gather=0"}));
    }

    /// Whether the server accepts queries. Starts it again if it has ended: a new server ends at once while processes
    /// of a killed one are still there.
    bool is_ready() {
        if (!running_ || running_->ended())
            launch();
        return PQping(where().c_str()) == PQPING_OK;
    }

    /// Ends the server with SIGKILL, which it cannot handle.
    void kill() {
        if (!running_)
            return;
        running_->signal(SIGKILL);
        // The server's child processes have sessions of their own, and may outlive it: for ever, if they wait for a
        // lock of one that was killed. The new server could not start until then. One child may just have been made.
        for (auto left = processes_with(data_); !left.empty(); left = processes_with(data_))
            for (const pid_t id : left)
                ::kill(id, SIGKILL);
        running_.reset();
    }

    /// The processor time of the server since its start, in seconds.
    double time_used() const { return running_ ? time_used_by(running_->id()) : 0; }

    void stop() {
        if (!running_)
            return;
        running_->signal(SIGINT); // makes the server end its connections
        if (!running_->wait_for(std::chrono::seconds(10)))
            kill();
        running_.reset();
    }

private:
    process run(const char* program, std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), programs_ + program);
        const descriptor nothing = descriptor::open("/dev/null", O_RDONLY);
        const descriptor log_file = descriptor::open(log_, O_WRONLY | O_CREAT | O_APPEND);
        return process(std::move(arguments), {.as = user_,
                                              .directory = directory_.path(),
                                              .input = nothing,
                                              .output = log_file,
                                              .last_signal = SIGQUIT});
    }

    std::string log() const {
        std::ifstream file(log_);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }

    std::string programs_;
    std::size_t max_connections_;
    std::optional<user> user_ = unprivileged_user();
    private_directory directory_{user_};
    std::string data_ = directory_.path() + "/data";
    std::string log_ = directory_.path() + "/log";
    std::optional<process> running_;
};

} // namespace postgres_guard

#endif
