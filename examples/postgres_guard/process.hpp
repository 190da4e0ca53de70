// process.hpp
// ~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_PROCESS_HPP
#define POSTGRES_GUARD_PROCESS_HPP

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace postgres_guard {

[[noreturn]] inline void throw_errno(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// A file descriptor. The destructor closes it; other programs do not inherit it.
class descriptor {
public:
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }

    /// Two ends: what is written to the second can be read from the first.
    static std::pair<descriptor, descriptor> pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            throw_errno("cannot make a pipe");
        return {descriptor(ends[0]), descriptor(ends[1])};
    }

    static descriptor open(const std::string& path, int flags) {
        const int number = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
        if (number < 0)
            throw_errno("cannot open " + path);
        return descriptor(number);
    }

    int number() const noexcept { return number_; }

private:
    int number_;
};

struct user {
    uid_t id;
    gid_t group;
};

/// How to run a program.
struct process_options {
    std::optional<user> as{}; ///< default: the user of this program
    std::string directory = "/";
    const descriptor& input;
    const descriptor& output; ///< standard output and standard error
    int last_signal = 0;      ///< sent to the child when this program ends before it, even by SIGKILL; 0: none
};

/// A program that was started. The destructor kills it if it has not ended by itself.
class process {
public:
    process(std::vector<std::string> command, const process_options& how) {
        std::vector<char*> arguments;
        for (std::string& word : command)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const pid_t parent = ::getpid();
        id_ = ::fork();
        if (id_ < 0)
            throw_errno("cannot start " + command.front());
        if (id_ == 0)
            become(arguments.data(), how, parent);
    }

    /// Starts a copy of this program, which calls `work()` and ends with its result as the exit code. The copy is
    /// killed when this program ends. `work` must not throw. This program must have one thread only.
    template <class Work>
    static process copy(Work work) {
        const pid_t parent = ::getpid();
        const pid_t id = ::fork();
        if (id < 0)
            throw_errno("cannot start a process");
        if (id == 0) {
            ::setsid();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::_exit(::getppid() == parent ? work() : 127); // destructors would end what belongs to the parent
        }
        return process(id);
    }

    process(process&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
    process& operator=(process&& other) noexcept {
        std::swap(id_, other.id_);
        return *this;
    }

    ~process() {
        if (id_ > 0) {
            signal(SIGKILL);
            ::waitpid(id_, nullptr, 0);
        }
    }

    pid_t id() const noexcept { return id_; }

    void signal(int number) const noexcept { ::kill(id_, number); }

    /// The exit code, or 128 plus the signal that ended the program; nothing while it still runs.
    std::optional<int> ended() noexcept {
        int status = 0;
        if (id_ > 0 && ::waitpid(id_, &status, WNOHANG) != id_)
            return std::nullopt;
        if (id_ > 0)
            code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        id_ = 0;
        return code_;
    }

    /// The same, but waits for the end of the program, at most `timeout`.
    std::optional<int> wait_for(std::chrono::milliseconds timeout) {
        const auto latest = std::chrono::steady_clock::now() + timeout;
        std::optional<int> code = ended();
        for (; !code && std::chrono::steady_clock::now() < latest; code = ended())
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return code;
    }

private:
    explicit process(pid_t id) : id_(id) {}

    // Runs in the child, which may call only functions that are safe in a signal handler.
    [[noreturn]] static void become(char** arguments, const process_options& how, pid_t parent) {
        ::setpgid(0, 0); // Ctrl-C must reach only the parent, which stops its children itself
        ::dup2(how.input.number(), STDIN_FILENO);
        ::dup2(how.output.number(), STDOUT_FILENO);
        ::dup2(how.output.number(), STDERR_FILENO);
        const bool is_who =
            !how.as || (::setgroups(0, nullptr) == 0 && ::setgid(how.as->group) == 0 && ::setuid(how.as->id) == 0);
        ::prctl(PR_SET_PDEATHSIG, how.last_signal); // after setuid(), which resets it
        const bool in_time = ::getppid() == parent || how.last_signal == 0;
        if (is_who && in_time && ::chdir(how.directory.c_str()) == 0)
            ::execv(arguments[0], arguments);
        ::_exit(127);
    }

    pid_t id_ = 0; // 0: it has ended, or was moved from
    int code_ = 0;
};

} // namespace postgres_guard

#endif
