// ticket_issuer.hpp
// ~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_CONTROL_TICKET_ISSUER_HPP
#define FLOWGUARD_DETAIL_CONTROL_TICKET_ISSUER_HPP

#include "flowguard/detail/control/membership.hpp"
#include "flowguard/detail/semaphore/semaphore_state.hpp"
#include "flowguard/outcome.hpp"

namespace flowguard::detail {

// What a ticket knows of the guard that issued it. So a ticket is of the same type whatever the guard's strategy and
// clock. A guard's own calls know their guard's type, and call its functions directly.
class ticket_issuer : public semaphore_state {
public:
    using semaphore_state::semaphore_state;

    // Ends the call of a ticket. May destroy *this.
    virtual void finish_ticket(const membership& m, outcome how) noexcept = 0;

protected:
    ~ticket_issuer() override = default;
};

} // namespace flowguard::detail

#endif
