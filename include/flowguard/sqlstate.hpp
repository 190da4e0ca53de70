// sqlstate.hpp
// ~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_SQLSTATE_HPP
#define FLOWGUARD_SQLSTATE_HPP

#include <string_view>

#include "flowguard/outcome.hpp"

namespace flowguard {

/// Tells what an SQLSTATE (PostgreSQL documentation, appendix A) says about the database's load.
///
/// - Drops: connections that failed or were refused (class 08, 57P01 to 57P03), a lack of resources (53), time-outs of
///   statements (57014) and locks (55P03), and transactions that were rolled back because of other transactions (40).
/// - Successes: no error (00), a warning (01), no data (02).
/// - Ignored: any other, such as bad SQL or a violated constraint.
constexpr outcome classify_sqlstate(std::string_view state) noexcept {
    const std::string_view kind = state.substr(0, 2);
    if (kind == "00" || kind == "01" || kind == "02")
        return outcome::success;
    if (kind == "08" || kind == "40" || kind == "53" || state == "55P03" || state == "57014" || state == "57P01" ||
        state == "57P02" || state == "57P03")
        return outcome::dropped;
    return outcome::ignored;
}

/// The same in libpq's form: a null pointer means no error, a success. But an error of libpq itself, such as a lost
/// connection, has no SQLSTATE either. The caller must tell the two apart:
///
///     co_await guard.run(query(sql), [](const PGresult* r) {
///         const char* state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
///         const bool lost = state == nullptr && PQresultStatus(r) == PGRES_FATAL_ERROR;
///         return lost ? flowguard::outcome::dropped : flowguard::classify_sqlstate(state);
///     });
constexpr outcome classify_sqlstate(const char* state) noexcept {
    return state == nullptr ? outcome::success : classify_sqlstate(std::string_view(state));
}

} // namespace flowguard

#endif
