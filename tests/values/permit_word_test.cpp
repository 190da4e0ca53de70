// permit_word_test.cpp
// ~~~~~~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#include "flowguard/detail/semaphore/permit_word.hpp"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>

#include "flowguard/limits.hpp"

namespace {

using flowguard::detail::permit_word;
using released = permit_word::released;

TEST_CASE("Permits are taken as long as there are enough") {
    struct row {
        std::size_t limit, held, wanted;
        bool taken;
        std::size_t available; // after the steps
    };
    for (const row& r : {
             row{1, 0, 1, true, 0},
             row{1, 1, 1, false, 0},
             row{3, 1, 2, true, 0},
             row{3, 2, 2, false, 1},
             row{0, 0, 1, false, 0},
             row{flowguard::max_limit, 0, flowguard::max_limit, true, 0},
         }) {
        CAPTURE(r.limit, r.held, r.wanted);
        permit_word word(r.limit);
        if (r.held != 0)
            REQUIRE(word.try_take(r.held, false));
        CHECK(word.try_take(r.wanted, false) == r.taken);
        CHECK(word.held() == r.held + (r.taken ? r.wanted : 0));
        CHECK(word.available() == r.available);
    }
}

TEST_CASE("A caller that may run alone takes more than the limit, but only while no permit is held") {
    struct row {
        std::size_t limit, held, wanted;
        bool taken;
    };
    for (const row& r : {
             row{4, 0, 9, true},
             row{4, 1, 9, false},
             row{4, 1, 3, true},
             row{4, 1, 4, false},
             row{4, 0, flowguard::max_limit, true},
         }) {
        CAPTURE(r.limit, r.held, r.wanted);
        permit_word word(r.limit);
        permit_word served(r.limit);
        if (r.held != 0) {
            REQUIRE(word.try_take(r.held, true));
            REQUIRE(served.try_take(r.held, true));
        }
        CHECK(word.try_take<true>(r.wanted, true) == r.taken);
        CHECK(served.take_or_contend(r.wanted, true, true) == r.taken);
        CHECK(served.contended() == !r.taken);
        CHECK(word.held() == r.held + (r.taken ? r.wanted : 0));
        CHECK(served.held() == word.held());
    }
    permit_word word(4);
    REQUIRE(word.try_take<true>(9, true));
    CHECK(word.available() == 0);
    CHECK(word.balance() == -5); // the others wait until it is back
    CHECK_FALSE(word.try_take(1, false));
    CHECK_FALSE(word.try_take<true>(5, true));
    CHECK(word.try_release_with_reference(9));
    CHECK(word.available() == 4);
}

TEST_CASE("No caller runs alone while a word is contended or barred") {
    permit_word word(4);
    word.set_contended();
    CHECK_FALSE(word.try_take<true>(9, true));
    CHECK(word.take_or_contend(9, true, true)); // for the waiter
    REQUIRE(word.try_release_with_reference(9));
    REQUIRE(word.bar());
    CHECK_FALSE(word.try_take<true>(9, true));
    CHECK_FALSE(word.take_or_contend(9, true, true));
    CHECK(word.contended());
    REQUIRE(word.unbar());
    CHECK(word.take_or_contend(9, true, true));
}

TEST_CASE("While a word is contended, callers take no permits, and releases go to the owner") {
    permit_word word(4);
    REQUIRE(word.try_take(2, true));
    word.set_contended();
    CHECK_FALSE(word.try_take(1, false));
    CHECK_FALSE(word.try_release_with_reference(2));
    CHECK(word.try_release(1, false, 10) == released::contended);
    CHECK(word.available() == 0); // the free permits belong to the waiters
    CHECK(word.held() == 2);
    word.clear_contended();
    CHECK(word.try_release_with_reference(2));
    CHECK(word.available() == 4);
}

TEST_CASE("While a waiter is aside, others may take permits, and releases go to the owner") {
    permit_word word(2);
    word.set_aside();
    CHECK(word.has_aside());
    CHECK(word.try_take(1, true));
    CHECK_FALSE(word.try_release_with_reference(1));
    word.clear_aside();
    CHECK(word.try_release_with_reference(1));
}

TEST_CASE("The owner takes permits for a waiter, or marks the word") {
    struct row {
        std::size_t limit, wanted;
        bool contended, only_waiter;
        bool taken;
        bool contended_after;
    };
    for (const row& r : {
             row{2, 1, true, true, true, false}, // no waiter is left
             row{2, 1, true, false, true, true}, row{2, 1, false, false, true, false},
             row{2, 3, true, true, false, true},
             row{2, 3, false, true, false, true}, // so that the next release sees the waiter
         }) {
        CAPTURE(r.limit, r.wanted, r.contended, r.only_waiter);
        permit_word word(r.limit);
        if (r.contended)
            word.set_contended();
        CHECK(word.take_or_contend(r.wanted, r.only_waiter) == r.taken);
        CHECK(word.contended() == r.contended_after);
        CHECK(word.held() == (r.taken ? r.wanted : 0));
    }
}

TEST_CASE("Permits that are released beyond the limit are kept, up to the highest number that may be available") {
    permit_word word(1);
    CHECK(word.try_release(2, true, 3) == released::done);
    CHECK(word.available() == 3);
    CHECK(word.held() == 0);
    CHECK(word.try_release(1, true, 3) == released::too_many);
    CHECK(word.try_take(3, false));
    CHECK(word.held() == 1); // of the limit; the other two were released beyond it
}

TEST_CASE("No more permits are released than are held, unless the word may count beyond") {
    permit_word word(3);
    CHECK(word.try_release(1, false, 10) == released::too_many);
    REQUIRE(word.try_take(2, false));
    CHECK(word.try_release(3, false, 10) == released::too_many);
    CHECK(word.held() == 2);
    word.set_contended();
    CHECK(word.try_release(3, false, 10) == released::too_many); // whether callers wait or not
    word.clear_contended();
    CHECK(word.try_release(2, false, 10) == released::done);
    CHECK(word.held() == 0);
}

TEST_CASE("A limit below the permits held is a debt, which releases pay off") {
    permit_word word(5);
    REQUIRE(word.try_take(5, false));
    CHECK_FALSE(word.set_limit_and_refer(2)); // no caller waits
    CHECK(word.balance() == -3);
    CHECK(word.available() == 0);
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(word.try_take(1, false));
        word.release(1);
    }
    CHECK(word.balance() == 0);
    word.release(1);
    CHECK(word.try_take(1, false));
}

TEST_CASE("A new limit tells whether callers wait") {
    permit_word word(1);
    CHECK_FALSE(word.set_limit_and_refer(2));
    word.set_aside();
    CHECK(word.set_limit_and_refer(3));
    word.clear_aside();
    word.set_contended();
    CHECK(word.set_limit_and_refer(4));
    CHECK(word.limit() == 4);
    CHECK_FALSE(word.drop(3)); // the three that the calls above added; the handle's reference is left
    CHECK(word.drop(1));
}

TEST_CASE("Dropping the last reference is told, and then no reference can be added") {
    permit_word word(2);                   // the handle's
    REQUIRE(word.try_take(1, true));       // a permit's
    word.refer();                          // a thread's
    CHECK_FALSE(word.drop(1));             // the thread's
    CHECK_FALSE(word.drop(1));             // the handle's
    CHECK(word.try_refer());
    CHECK_FALSE(word.drop(1));
    CHECK(word.drop(1)); // the permit's
    CHECK_FALSE(word.try_refer());
}

TEST_CASE("A release that adds a reference for its thread keeps the permit's reference, too") {
    permit_word word(1);
    REQUIRE(word.try_take(1, true));
    word.set_contended();
    word.release_and_refer(1);
    CHECK(word.held() == 0);
    CHECK_FALSE(word.drop(1));
    CHECK_FALSE(word.drop(1));
    CHECK(word.drop(1)); // the handle's, the permit's, and the thread's
}

TEST_CASE("While a word is barred, no permits are taken, and the limit stays what it is") {
    permit_word word(3);
    REQUIRE(word.try_take(1, false));
    CHECK(word.bar());
    CHECK_FALSE(word.bar()); // it is already
    CHECK_FALSE(word.try_take(1, false));
    CHECK_FALSE(word.take_or_contend(1, true));
    word.clear_contended();
    CHECK(word.limit() == 3);
    CHECK(word.held() == 1);
    CHECK(word.available() == 0);
    CHECK(word.balance() < 0);

    SECTION("until it is unbarred") {
        CHECK(word.unbar());
        CHECK_FALSE(word.unbar());
    }
    SECTION("until a limit is set") {
        CHECK_FALSE(word.set_limit_and_refer(3));
        CHECK_FALSE(word.unbar());
    }
    SECTION("and a limit that is set below the bar has effect afterwards") {
        CHECK_FALSE(word.set_limit_below_bar_and_refer(5));
        CHECK(word.limit() == 5);
        CHECK_FALSE(word.try_take(1, false));
        CHECK(word.unbar());
        CHECK(word.available() == 4);
        CHECK_FALSE(word.set_limit_below_bar_and_refer(3)); // there is no bar any more
    }
    CHECK(word.try_take(2, false));
    CHECK_FALSE(word.try_take(1, false));
    CHECK(word.limit() == 3);
}

TEST_CASE("A barred word tells that callers wait when it gets a new limit") {
    permit_word word(1);
    CHECK(word.bar());
    CHECK_FALSE(word.take_or_contend(1, true));
    CHECK(word.set_limit_below_bar_and_refer(2));
    CHECK(word.set_limit_and_refer(2));
}

} // namespace
