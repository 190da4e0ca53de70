// main.cpp
// ~~~~~~~~
// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "options.hpp"
#include "server.hpp"
#include "support/run_main.hpp"

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
    std::cout << "listening on http://" << pages.endpoint() << "/\n" << std::flush; // a script may wait for it
    // Nothing could handle an exception here. It ends the server, which is better than a server with one thread less.
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
    return support::run_main("beast_server", beast_server::help_text, argc, argv, beast_server::parse_options,
                             [](const beast_server::options& chosen) { beast_server::serve(chosen); });
}
