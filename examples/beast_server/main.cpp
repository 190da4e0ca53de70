// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "options.hpp"
#include "server.hpp"

namespace beast_server {

void print_counters(const site& pages) {
    const counters& counts = pages.counts();
    std::cout << "stopped: " << counts.answers.sum() << " answers on " << counts.opened << " connections, "
              << counts.open() << " still open; guarded";
    counts.guarded.for_each(
        [](std::size_t status, std::uint64_t count) { std::cout << ' ' << count << " x " << status << ','; });
    std::cout << " limit " << pages.guard().current_limit() << '\n';
}

void serve(const options& chosen) {
    asio::io_context context(static_cast<int>(chosen.threads));
    server pages(context, chosen);
    std::cout << "listening on http://" << pages.endpoint() << "/" << std::endl; // at once, for whoever waits for it
    // What is thrown here is nobody's to handle, and better ends the server than leaves it with a thread less.
    const auto run = [&]() noexcept { context.run(); };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 1; i < chosen.threads; ++i)
            threads.emplace_back(run);
        run();
    }
    print_counters(pages.pages());
}

} // namespace beast_server

int main(int argc, char** argv) {
    beast_server::options chosen;
    try {
        chosen = beast_server::parse_options(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "beast_server: " << e.what() << "; see --help\n";
        return 2;
    }
    if (chosen.help) {
        std::cout << beast_server::help_text;
        return 0;
    }
    try {
        beast_server::serve(chosen);
    } catch (const std::exception& e) {
        std::cerr << "beast_server: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
