// database.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SUPPORT_DATABASE_HPP
#define FLOWGUARD_SUPPORT_DATABASE_HPP

#include <algorithm>
#include <stdexcept>

#include "support/asio.hpp"
#include "support/coroutine.hpp"

namespace support {

// What a test queries with a permit. A gate can hold the queries up, and they can be made to fail. Only one may exist
// at a time.
class database {
public:
    database() { opened = this; }
    database(const database&) = delete;
    database& operator=(const database&) = delete;
    ~database() { opened = nullptr; }

    gate* held_up_by = nullptr;
    bool fails = false;
    int running = 0;
    int most_at_once = 0;

    static inline database* opened = nullptr;
};

inline asio::awaitable<int> query() {
    database& d = *database::opened;
    d.most_at_once = std::max(d.most_at_once, ++d.running);
    if (d.held_up_by != nullptr)
        co_await d.held_up_by->pass();
    --d.running;
    if (d.fails)
        throw std::runtime_error("query failed");
    co_return 1;
}

} // namespace support

#endif
