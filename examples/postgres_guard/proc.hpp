// proc.hpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef POSTGRES_GUARD_PROC_HPP
#define POSTGRES_GUARD_PROC_HPP

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

namespace postgres_guard {

// What Linux tells of processes, in /proc. All times are processor times, in seconds.

inline double seconds_of_ticks(double ticks) {
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

struct process_status {
    pid_t id = 0; ///< 0: there is no such process
    pid_t parent = 0;
    double used = 0;
    double used_by_ended_children = 0;
};

inline process_status status_of(pid_t id) {
    std::ifstream file("/proc/" + std::to_string(id) + "/stat"); // "17 (name) S 1 …", where the name may have spaces
    std::string line;
    std::getline(file, line);
    std::istringstream rest(line.substr(std::min(line.rfind(')'), line.size() - 1) + 1));
    std::string skipped;
    process_status s;
    double user = 0, system = 0, user_of_children = 0, system_of_children = 0;
    rest >> skipped >> s.parent;
    for (int i = 0; i < 9; ++i)
        rest >> skipped;
    if (rest >> user >> system >> user_of_children >> system_of_children) {
        s.id = id;
        s.used = seconds_of_ticks(user + system);
        s.used_by_ended_children = seconds_of_ticks(user_of_children + system_of_children);
    }
    return s;
}

/// All processes. Some may have ended by now.
inline std::vector<pid_t> ids_of_processes() {
    std::vector<pid_t> ids;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored))
        if (const pid_t id = std::atoi(entry.path().filename().c_str()); id > 0)
            ids.push_back(id);
    return ids;
}

inline std::vector<process_status> children_of(pid_t parent) {
    std::vector<process_status> children;
    for (const pid_t id : ids_of_processes())
        if (const process_status s = status_of(id); s.id != 0 && s.parent == parent)
            children.push_back(s);
    return children;
}

/// The processes whose command line has a text in it.
inline std::vector<pid_t> processes_with(const std::string& text) {
    std::vector<pid_t> found;
    for (const pid_t id : ids_of_processes()) {
        std::ifstream file("/proc/" + std::to_string(id) + "/cmdline");
        std::string command;
        std::getline(file, command); // stops, and does not throw, if the process ends meanwhile
        if (command.find(text) != std::string::npos)
            found.push_back(id);
    }
    return found;
}

/// The time used by a process, by its children, and by the children that have ended.
inline double time_used_by(pid_t id) {
    const process_status parent = status_of(id);
    double time = parent.used + parent.used_by_ended_children;
    for (const process_status& child : children_of(id))
        time += child.used;
    return time;
}

/// The time of all processors together: how much there was, and how much of it was used.
struct processor_time {
    double all = 0, used = 0;
};

inline processor_time time_of_processors() {
    std::ifstream file("/proc/stat"); // "cpu user nice system idle iowait irq softirq steal …"
    std::string name;
    file >> name;
    processor_time t;
    double ticks = 0;
    for (int i = 0; i < 8 && file >> ticks; ++i) {
        t.all += seconds_of_ticks(ticks);
        if (i != 3 && i != 4)
            t.used += seconds_of_ticks(ticks);
    }
    return t;
}

/// How much time of the processors there was, how much of it was used, and how much of that by this program and what it
/// started.
struct usage {
    double all, used, ours;
};

/// The share of the processors that other programs used between two moments.
inline double share_of_others(const usage& before, const usage& after) {
    return (after.used - before.used - (after.ours - before.ours)) / (after.all - before.all);
}

} // namespace postgres_guard

#endif
