/*
 * semaphore.pml
 * ~~~~~~~~~~~~~
 * SPDX-License-Identifier: MIT
 *
 * The wait queue of dynamic_semaphore (include/flowguard/detail: permit_word.hpp,
 * semaphore_state.hpp, wait_queue.hpp, waiter.hpp) for the model checker SPIN. Names are those of the
 * C++ code.
 *
 *     ./check.sh                 every configuration, exhaustively, and every mutation
 *     ./check.sh resize close    only these configurations, no mutations
 *
 * Modelled: both atomic words, limit_, the waiters' claims, the owner's line; try_take,
 * give_with_reference and give with their direct hand-over, wait, cancellation of a waiter (from a slot
 * or by a deadline), cancel_all, close, orphan, set_limit, and the owner's work() with its last touch
 * and the completions after it. A waiter asks for one permit, HEAVY for two.
 *
 * Steps. Each access to an atomic is one step. What an owner does with its line is part of the access
 * before it or after it, and so are completions. A loop of a load and a compare-and-swap that decides
 * from nothing but the value read is by default one step: the exchange that succeeds, or the load that
 * decides against it; other loads, and exchanges that fail, change nothing. With STEPWISE these loads
 * are steps of their own, and what they read is kept.
 *
 * Checked:
 *   - permits available, held, in hand, and on their way between limit_ and the word, never fewer than
 *     none, add up to limit_ before each step; see `moving`
 *   - nobody touches the state after its last reference has gone
 *   - each waiter is completed exactly once, and after that no owner touches it
 *   - waiters are granted in the order of their enqueueing exchanges, and no newcomer takes a permit past
 *     a waiter who was in line when the newcomer began; see `ahead_of_newcomers`
 *   - permits that are brought while there is debt pay it before anyone is admitted; see `in_debt`
 *   - when nothing moves any more, nobody owns the queue, no message and no `dirty` is left; the first in
 *     line, if any, asks for more than is available; `contended` is set just if somebody waits or the
 *     semaphore is closed; nobody waits after close; every reference is accounted for
 *   - in the end, handle and permits being gone, so are the waiters and the state
 *
 * Two things that the code does are not needed for any of this. An owner that completed waiters before
 * it leaves would find the state alive: orphan() leaves the handle's reference to it. And a waiter who is
 * not refused after close would be ended by the next owner.
 *
 * Not modelled: memory orders (memory is sequentially consistent here; the orders are argued in the
 * code and tested under ThreadSanitizer), exchanges that fail spuriously (they change nothing),
 * execution contexts (link, abandon, is_retired), permits released beyond the limit, overflow, and
 * waiters that cannot be cancelled (for them the claim is no atomic access).
 *
 * Assumed of callers: who calls give, set_limit, close, cancel_all or try_take keeps the handle until the
 * call has had its effect, no longer; a waiter is not cancelled before it was put in line, or refused.
 */

/* ---- configuration ---- */

#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef FREE
#define FREE 0        /* permits available at first; releasers hold the others */
#endif
#ifndef WAITERS
#define WAITERS 2     /* at most 3 */
#endif
#ifndef HEAVY
#define HEAVY 9       /* the waiter who asks for two permits */
#endif
#ifndef RELEASERS
#define RELEASERS 2
#endif
#ifndef RELEASE
#define RELEASE 1     /* permits of each releaser, with one reference unless BARE */
#endif
#ifndef NEWCOMERS
#define NEWCOMERS 0   /* try_take, and give back */
#endif
#ifndef CANCELLERS
#define CANCELLERS 0  /* each cancels some waiter */
#endif
#ifndef CANCEL_ALLS
#define CANCEL_ALLS 0
#endif
#ifndef CLOSERS
#define CLOSERS 0
#endif
#ifndef RESIZERS
#define RESIZERS 0    /* the first sets limits LOW, then HIGH; the second OTHER */
#endif
#ifndef LOW
#define LOW 1
#endif
#ifndef HIGH
#define HIGH LIMIT
#endif
#ifndef OTHER
#define OTHER (LIMIT + 1)
#endif
/* TRY_FIRST    callers try_take before they wait
 * BARE         permits are held without references, and given back with give()
 * KEEP         waiters who are granted permits keep them until all is quiet
 * ORPHAN       the handle goes as soon as nobody needs it any more, else when all is quiet
 * STEPWISE     see above
 * MUTATION_x   something is broken, and must be noticed; see check.sh */

#define MESSAGES (WAITERS + CANCELLERS + CANCEL_ALLS)
#define no_message 0
#define enqueue_message(w) (1 + (w))
#define cancel_message(w) (1 + WAITERS + (w))
#define cancel_all_message (1 + 2 * WAITERS)

#define mask(w) (1 << (w))
#define everybody (mask(WAITERS) - 1)
#define wanted(w) ((w) == HEAVY -> 2 : 1)

/* ---- the state ---- */

/* permit_word */
short available;
bool contended;
byte references;

/* inbox_; messages from the oldest to the newest */
byte inbox[MESSAGES];
byte messages;
bool owned, dirty, closing, orphaned;

byte limit_;
byte claimed;             /* a set of waiters */

/* The owner's. waiting_ is a copy of size_ for others. */
byte line_[WAITERS];
byte length;              /* of line_ */
byte size_;
bool handle_dropped_;

/* ownership. There is one owner at a time, so this is shared, except for what it takes along when it
 * leaves: done and references. */
byte permits_;            /* in hand, with one reference */
bool o_closing, o_orphaned;
byte batch[MESSAGES];     /* messages taken and not applied yet */
byte batched;
byte place;               /* of end_all() in the line */

/* What the C++ code does not have, for the properties' sake. */
bool destroyed;
byte held;                /* permits that callers hold */
short moving;             /* withdrawn before limit_ is lowered, or to be given after it was raised */
bool in_debt;             /* there was debt when the owner brought permits, and has been ever since */
byte users;               /* parties that need the handle still */
byte published;           /* sets of waiters */
byte granted;
byte completed;
byte before_me[WAITERS];  /* who was in line when this waiter came */
/* Waiters whom no newcomer overtakes: from when its message is left, or, if it became the owner with
 * that, from when it has looked for permits in vain; until it is claimed, or, being the only one, until
 * permits have been taken for it. */
byte ahead_of_newcomers;
bool all_quiet;
byte begun, brought;      /* callers and releasers that began: see callers_turn */

hidden byte i_, w_;       /* for use within a step */

/* Before each access. */
#define touch()                                                                                         \
    assert(!destroyed);                                                                                 \
    assert(moving >= 0 && available + held + permits_ + moving == limit_)

#define LOCALS                                                                                          \
    byte at;                                                                                            \
    byte o_done, o_references LOADED

#ifdef STEPWISE
#define LOADED                                                                                          \
    ; bool word_read, inbox_read;                                                                       \
    short read_available;                                                                               \
    byte read_references, read_newest;                                                                  \
    bool read_contended, read_owned, read_dirty, read_closing, read_orphaned
#define newest (messages > 0 -> inbox[messages - 1] : no_message)
#define word_changed                                                                                    \
    (!word_read || read_available != available || read_contended != contended ||                        \
     read_references != references)
#define inbox_changed                                                                                   \
    (!inbox_read || read_newest != newest || read_owned != owned || read_dirty != dirty ||              \
     read_closing != closing || read_orphaned != orphaned)
#define load_word()                                                                                     \
    touch();                                                                                            \
    word_read = true;                                                                                   \
    read_available = available;                                                                         \
    read_contended = contended;                                                                         \
    read_references = references
#define load_inbox()                                                                                    \
    touch();                                                                                            \
    inbox_read = true;                                                                                  \
    read_newest = newest;                                                                               \
    read_owned = owned;                                                                                 \
    read_dirty = dirty;                                                                                 \
    read_closing = closing;                                                                             \
    read_orphaned = orphaned
#define forget_word()                                                                                   \
    word_read = false;                                                                                  \
    read_available = 0;                                                                                 \
    read_contended = false;                                                                             \
    read_references = 0
#define forget_inbox()                                                                                  \
    inbox_read = false;                                                                                 \
    read_newest = no_message;                                                                           \
    read_owned = false;                                                                                 \
    read_dirty = false;                                                                                 \
    read_closing = false;                                                                               \
    read_orphaned = false
#define touch_by_load() skip
#else
#define LOADED
#define word_read true
#define inbox_read true
#define word_changed false
#define inbox_changed false
#define read_available available
#define read_contended contended
#define read_newest messages
#define read_owned owned
#define read_closing closing
#define load_word() skip
#define load_inbox() skip
#define forget_word() skip
#define forget_inbox() skip
#define touch_by_load() touch()
#endif

/* ---- parts of steps ---- */

inline drop_references(n) {
    touch();
    assert(references >= n);
    references = references - n;
    if
    :: references == 0 ->
        assert(orphaned && !owned && !dirty && messages == 0 && length == 0 && size_ == 0 && held == 0);
        destroyed = true
    :: else
    fi
}

inline paid() {
    if
    :: available >= 0 -> in_debt = false
    :: else
    fi
}

inline put_back() {
    available = available + permits_;
    permits_ = 0;
#ifdef MUTATION_DROP_EARLY
    drop_references(1);
#else
    o_references++;
#endif
    paid()
}

inline claim(w) {
    claimed = claimed | mask(w);
    ahead_of_newcomers = ahead_of_newcomers & ~mask(w)
}

inline complete_done() {
    assert((completed & o_done) == 0);
    completed = completed | o_done;
    o_done = 0
}

/* If it is in line. */
inline remove(w) {
    i_ = 0;
    do
    :: i_ < length && line_[i_] != w -> i_++
    :: else -> break
    od;
    if
    :: i_ < length ->
        length--;
        do
        :: i_ < length -> line_[i_] = line_[i_ + 1]; i_++
        :: else -> break
        od;
        line_[length] = 0
    :: else
    fi
}

inline decide(w) {
    assert(((completed | o_done) & mask(w)) == 0 && (claimed & mask(w)) != 0);
    remove(w);
    assert(size_ > 0);
    size_--;
    o_done = o_done | mask(w)
}

/* An enqueue message or a cancel message, or none. */
inline apply(message) {
    w_ = message;
    if
    :: w_ == no_message
    :: w_ != no_message && w_ < cancel_message(0) ->
        w_ = w_ - enqueue_message(0);
        assert((completed & mask(w_)) == 0);
        line_[length] = w_;
        length++;
        size_++
    :: w_ >= cancel_message(0) ->
        w_ = w_ - cancel_message(0);
        decide(w_)
    fi
}

inline drop_message() {
    i_ = 1;
    do
    :: i_ < batched -> batch[i_ - 1] = batch[i_]; i_++
    :: else -> break
    od;
    batched--;
    batch[batched] = 0
}

/* As far as there are no claims to be made, that is, up to a cancel_all. */
inline apply_all() {
    do
#ifdef MUTATION_NEWEST_FIRST
    :: batched > 0 && batch[batched - 1] != cancel_all_message ->
        apply(batch[batched - 1]);
        batched--;
        batch[batched] = 0
#else
    :: batched > 0 && batch[0] != cancel_all_message ->
        apply(batch[0]);
        drop_message()
#endif
    :: else -> break
    od
}

inline empty_inbox() {
    assert(batched == 0);
    do
    :: batched < messages -> batch[batched] = inbox[batched]; inbox[batched] = 0; batched++
    :: else -> break
    od;
    messages = 0;
    dirty = false
}

inline push(message) {
    inbox[messages] = message;
    messages++
}

inline line_is_seen() {
    i_ = 0;
    do
    :: i_ < length -> ahead_of_newcomers = ahead_of_newcomers | (mask(line_[i_]) & ~claimed); i_++
    :: else -> break
    od
}

inline check_line() {
    assert(length == 0 || contended);
    i_ = 0;
    do
    :: i_ < length -> assert(((ahead_of_newcomers | claimed) & mask(line_[i_])) != 0); i_++
    :: else -> break
    od
}

#ifdef MUTATION_OWNER_CLAIMS_NOT
#define wins_claim(w) true
#else
#define wins_claim(w) ((claimed & mask(w)) == 0)
#endif

/* end_all(), the claim of one waiter. */
inline end_one() {
    touch();
    w_ = line_[place];
    assert((completed & mask(w_)) == 0);
    if
    :: wins_claim(w_) -> claim(w_); decide(w_)
    :: else -> place++
    fi
}

/* ---- the owner ---- */

/* at */
#define in_loop 0
#define to_go 1
#define to_take 2
#define has_left 3

#define front line_[0]
#ifdef MUTATION_ANY_PERMITS_IN_HAND
#define has_wanted (permits_ > 0)
#else
#define has_wanted (permits_ == wanted(front))
#endif
#define serves (at == in_loop && batched == 0 && !o_closing && length > 0)
#define ends_all (at == in_loop && batched == 0 && o_closing)
#ifdef MUTATION_CLOSE_NOT_CONTENDED
#define no_short_cuts true
#else
#define no_short_cuts contended
#endif
#ifdef MUTATION_ONLY_WAITER
#define only_waiter true
#else
#define only_waiter (length == 1)
#endif
#ifdef MUTATION_CLEAR_TOO_EARLY
#define may_clear (!o_closing && contended)
#else
#define may_clear (length == 0 && !o_closing && contended)
#endif
#ifdef MUTATION_LAST_WITH_WAITERS
#define last (o_orphaned && !handle_dropped_)
#else
#ifdef MUTATION_LAST_TWICE
#define last (o_orphaned && size_ == 0)
#else
#define last (o_orphaned && !handle_dropped_ && size_ == 0)
#endif
#endif
#define idle_but_dirty (messages == 0 && closing == o_closing && orphaned == o_orphaned)
#ifdef MUTATION_IGNORE_DIRTY
#define idle idle_but_dirty
#else
#define idle (!dirty && idle_but_dirty)
#endif
/* Only the owner changes `contended`: to set it again would change nothing, and to look at it before it
 * is cleared is no step. */
#ifdef MUTATION_TAKE_UNSEEN
#define must_contend false
#else
#define must_contend (read_newest != no_message && length == 0 && !contended)
#endif

/* The owner's work, once debt has been paid with what it brought. */
inline work(message) {
    d_step {
        touch();
        apply(message);
        o_closing = closing;
        o_orphaned = orphaned
    };
    do
    /* apply_all: a cancel_all */
    :: d_step { at == in_loop && batched > 0 && place < length -> end_one() }
    :: d_step {
           at == in_loop && batched > 0 && place >= length ->
           drop_message();
           apply_all();
           place = 0
       }

    /* closing: set_contended, end_all */
    :: d_step { ends_all && !no_short_cuts -> touch(); contended = true }
    :: d_step { ends_all && no_short_cuts && place < length -> end_one() }

    /* serve: take, of permits that are in hand but not as many as wanted */
    :: d_step { serves && permits_ > 0 && !has_wanted -> touch(); put_back() }
    /* serve: take_or_contend */
    :: d_step { serves && permits_ == 0 && word_changed -> load_word() }
    :: d_step {
           serves && permits_ == 0 && !word_changed && available >= wanted(front) ->
           touch();
           permits_ = wanted(front);
           available = available - permits_;
           references++;
           if
           :: only_waiter -> contended = false; ahead_of_newcomers = ahead_of_newcomers & ~mask(front)
           :: else
           fi;
           forget_word()
       }
    :: d_step {
           serves && permits_ == 0 && !word_changed && available < wanted(front) ->
           touch();
#ifndef MUTATION_NOT_CONTENDED
           contended = true;
#endif
           line_is_seen();
           at = to_go;
           forget_word()
       }
    /* serve: claim, and give_away; or its cancel message is on its way */
    :: d_step {
           serves && has_wanted ->
           touch();
           assert(!in_debt);
           w_ = front;
           assert((completed & mask(w_)) == 0);
           if
           :: wins_claim(w_) ->
               assert((before_me[w_] & ~claimed) == 0);
               claim(w_);
               granted = granted | mask(w_);
               held = held + wanted(w_);
               permits_ = 0;
               decide(w_)
           :: else -> remove(w_)
           fi
       }

    /* nobody left to serve or to end: put_back */
    :: d_step {
           (ends_all && no_short_cuts && place >= length) ||
           (at == in_loop && batched == 0 && !o_closing && length == 0) ->
           place = 0;
           if
           :: permits_ > 0 ->
               touch();
#ifdef MUTATION_LOSE_PERMITS
               permits_ = 0;
               o_references++
#else
               put_back()
#endif
           :: else
           fi;
           at = to_go
       }
    :: d_step { at == to_go && may_clear -> touch(); contended = false }

    /* try_to_go: the exchange succeeds */
    :: d_step {
           at == to_go && !may_clear && idle && (last || o_references > 0) ->
           leave();
           at = has_left
       }
#ifdef MUTATION_TOUCH_LATE
    :: d_step { at == to_go && !may_clear && idle && !(last || o_references > 0) -> leave(); at = has_left };
        d_step { touch(); complete_done(); at = in_loop };
        break
#else
    :: d_step {
           at == to_go && !may_clear && idle && !(last || o_references > 0) ->
           leave();
           complete_done();
           at = in_loop
       };
        break
#endif
    :: d_step {
           at == has_left ->
           drop_references(o_references);
           o_references = 0;
           complete_done();
           at = in_loop
       };
        break

    /* try_to_go: it fails; set_contended, if somebody has come to an empty line; take what there is */
    :: d_step { at == to_go && !may_clear && !idle -> touch(); at = to_take }
    :: d_step { at == to_take && inbox_changed -> load_inbox() }
    :: d_step { at == to_take && !inbox_changed && must_contend -> touch(); contended = true }
    :: d_step {
           at == to_take && !inbox_changed && !must_contend ->
           touch();
           empty_inbox();
           o_closing = closing;
           o_orphaned = orphaned;
           apply_all();
           at = in_loop;
           forget_inbox()
       }
    od
}

inline leave() {
    touch();
    check_line();
    if
    :: last -> handle_dropped_ = true; o_references++
    :: else
    fi;
    owned = false;
    dirty = false;
    o_closing = false;
    o_orphaned = false
}

/* ---- the operations; their first step waits for `when` ---- */

inline tell_owner() {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); owned = true; forget_inbox() };
        work(no_message);
        break
    :: d_step {
           !inbox_changed && read_owned ->
           touch();
#ifndef MUTATION_NO_DIRTY
           dirty = true;
#endif
           forget_inbox()
       };
        break
    od
}

/* `got`, and `ahead`, who is in line when it begins, are the caller's. `counts`: see callers_turn. */
inline try_take(when, n, counts) {
    d_step {
        when ->
        touch();
#ifdef MUTATION_NO_LOOK
        got = true;
#else
        got = (messages == 0 && !closing && !orphaned);
#endif
        ahead = (got -> ahead_of_newcomers : 0);
        begun = begun + counts
    };
    if
    :: got ->
        do
        :: d_step { word_changed -> load_word() }
        :: d_step {
               !word_changed && read_available >= n && !read_contended ->
               touch();
               assert((ahead & ahead_of_newcomers) == 0);
               available = available - n;
               references++;
               held = held + n;
               ahead = 0;
               forget_word()
           };
            break
        :: d_step {
               word_read && (read_available < n || read_contended) ->
               touch_by_load();
               got = false;
               ahead = 0;
               forget_word()
           };
            break
        od
    :: else
    fi
}

/* own_if_unowned() has succeeded: */
#define bring(n)                                                                                        \
    touch();                                                                                            \
    owned = true;                                                                                       \
    held = held - n;                                                                                    \
    permits_ = n;                                                                                       \
    in_debt = (available < 0);                                                                          \
    forget_inbox()

/* work(n) */
inline work_with_permits() {
#ifndef MUTATION_DEBT_LAST
    if
    :: d_step { available < 0 -> touch() }; d_step { touch(); put_back() }
    :: d_step { available >= 0 -> touch(); in_debt = false }
    fi;
#endif
    work(no_message)
}

inline give_with_reference(when, n, counts) {
    do
    :: d_step { when && word_changed -> load_word() }
    :: d_step {
           when && !word_changed && !read_contended ->
           touch();
           available = available + n;
           held = held - n;
           references--;
           assert(references > 0);
           paid();
           brought = brought + counts;
           forget_word()
       };
        break
    :: d_step {
           when && word_read && read_contended ->
           touch_by_load();
           brought = brought + counts;
           forget_word()
       };
        do
        :: d_step { inbox_changed -> load_inbox() }
        :: d_step { !inbox_changed && !read_owned -> bring(n) };
            work_with_permits();
            break
        :: d_step { inbox_read && read_owned -> touch_by_load(); forget_inbox() };
            d_step { touch(); available = available + n; held = held - n; paid() };
#ifdef MUTATION_DROP_BEFORE_TELLING
            d_step { drop_references(1) };
            tell_owner();
#else
            tell_owner();
            atomic { drop_references(1) };
#endif
            break
        od;
        break
    od
}

inline give(when, n, counts) {
    do
    :: d_step { when && word_changed -> load_word() }
    :: d_step {
           when && !word_changed && !read_contended ->
           touch();
           available = available + n;
           held = held - n;
           users--;
           paid();
           brought = brought + counts;
           forget_word()
       };
        break
    :: d_step {
           when && word_read && read_contended ->
           touch_by_load();
           brought = brought + counts;
           forget_word()
       };
        do
        :: d_step { inbox_changed -> load_inbox() }
        :: d_step { !inbox_changed && !read_owned -> bring(n); users-- };
#ifndef MUTATION_NO_REFERENCE_IN_HAND
            d_step { touch(); references++ };
#endif
            work_with_permits();
            break
        :: d_step { inbox_read && read_owned -> touch_by_load(); forget_inbox() };
            /* give_and_refer */
            d_step {
                touch();
                available = available + n;
                held = held - n;
                users--;
#ifndef MUTATION_NO_REFERENCE
                references++;
#endif
                paid()
            };
            tell_owner();
#ifndef MUTATION_NO_REFERENCE
            atomic { drop_references(1) };
#endif
            break
        od;
        break
    od
}

inline wait(when, w) {
    do
    :: d_step { when && inbox_changed -> load_inbox() }
    :: d_step { when && inbox_read && read_closing -> touch_by_load(); count_caller(); forget_inbox() };
        /* claim(), and the caller completes it */
        d_step {
            claim(w);
            completed = completed | mask(w);
            needs_handle_no_more()
        };
        break
    :: d_step {
           when && !inbox_changed && !read_closing && read_owned ->
           touch();
           push(enqueue_message(w));
           publish(w);
           ahead_of_newcomers = ahead_of_newcomers | mask(w)
       };
        break
    :: d_step { when && !inbox_changed && !read_closing && !read_owned -> touch(); owned = true; publish(w) };
        work(enqueue_message(w));
        break
    od
}

inline publish(w) {
    before_me[w] = published & ~claimed;
    published = published | mask(w);
    needs_handle_no_more();
    count_caller();
    forget_inbox()
}

/* A waiter may outlive the handle, and so may its permits, unless they are given back by give(). */
inline needs_handle_no_more() {
#ifndef BARE
    users--;
#endif
    skip
}

inline count_caller() {
#ifndef TRY_FIRST
    begun++;
#endif
    skip
}

inline cancel_claimed(w) {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); owned = true; forget_inbox() };
        work(cancel_message(w));
        break
    :: d_step { !inbox_changed && read_owned -> touch(); push(cancel_message(w)); forget_inbox() };
        break
    od
}

inline cancel_all() {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); owned = true; users--; forget_inbox() };
        do
        :: d_step { place < length -> end_one() }
        :: d_step { place >= length -> place = 0 };
            break
        od;
        work(no_message);
        break
    :: d_step { !inbox_changed && read_owned -> touch(); push(cancel_all_message); users--; forget_inbox() };
        break
    od
}

inline close_or_orphan(when, orphans) {
    do
    :: d_step { when && inbox_changed -> load_inbox() }
    :: d_step {
           when && !inbox_changed && !read_owned ->
           touch();
           owned = true;
           set_for_good(orphans);
           forget_inbox()
       };
        work(no_message);
        break
    :: d_step {
           when && !inbox_changed && read_owned ->
           touch();
           dirty = true;
           set_for_good(orphans);
           forget_inbox()
       };
        break
    od
}

inline set_for_good(orphans) {
    closing = true;
    if
    :: orphans -> orphaned = true
    :: else -> users--
    fi
}

/* Variables are the caller's; `then` is the limit that it sets afterwards, or 0. */
#define may_exchange (change == 0 && !exchanged && (limit >= before || withdrawn))

inline set_limit() {
    d_step { limit != 0 -> touch(); before = limit_ };
    do
    :: d_step {
           change == 0 && limit < before && !withdrawn ->
           touch();
           available = available - (before - limit);
           moving = moving + (before - limit);
           withdrawn = true
       }
    /* the exchange succeeds */
    :: d_step {
           may_exchange && limit_ == before && limit <= before ->
           touch();
           limit_ = limit;
           moving = moving - (before - limit);
           before = 0;
           withdrawn = false;
           limit_is_set();
           next_limit()
       };
        break
    :: d_step {
           may_exchange && limit_ == before && limit > before ->
           touch();
           change = limit - before;
#ifndef MUTATION_GIVE_FIRST
           limit_ = limit;
           moving = moving + change;
#endif
           exchanged = true
       }
    /* it fails */
    :: d_step {
           may_exchange && limit_ != before ->
           touch();
#ifndef MUTATION_KEEP_WITHDRAWN
           change = (withdrawn -> before - limit : 0);
#endif
           before = limit_;
           withdrawn = false
       }
    /* give_limit: give_and_refer, and tell the owner if somebody waits */
    :: d_step {
           change > 0 ->
           touch();
           available = available + change;
           moving = moving - change;
           references++;
           paid();
           change = 0;
           if
           :: exchanged -> limit_is_set()
           :: else
           fi
       };
        if
        :: d_step { contended -> touch() };
#ifndef MUTATION_RAISE_UNTOLD
            tell_owner()
#else
            skip
#endif
        :: d_step { !contended -> touch() }
        fi;
        if
        :: atomic {
               exchanged ->
               drop_references(1);
#ifdef MUTATION_GIVE_FIRST
               limit_ = limit;
               moving = moving + (limit - before);
#endif
               exchanged = false;
               before = 0;
               next_limit()
           };
            break
        :: atomic { !exchanged -> drop_references(1) }
        fi
    od
}

inline next_limit() {
    limit = then;
    then = 0
}

inline limit_is_set() {
    if
    :: then == 0 -> users--
    :: else
    fi
}

/* ---- the parties ---- */

/* Callers are alike, and so are releasers: they begin in order, without loss of generality. */
#if defined(STEPWISE) || HEAVY < WAITERS
#define callers_turn(w) true
#else
#define callers_turn(w) (begun >= w)
#endif
#ifdef STEPWISE
#define releasers_turn(r) true
#else
#define releasers_turn(r) (brought >= r)
#endif

/* Who starts a wait. */
proctype caller(byte w) {
    LOCALS;
#ifdef TRY_FIRST
    bool got;
    byte ahead;
    try_take(callers_turn(w), wanted(w), 1);
    if
    :: d_step {
           got ->
           got = false;
           granted = granted | mask(w);
           completed = completed | mask(w);
           needs_handle_no_more()
       }
    :: !got -> wait(true, w)
    fi
#else
    wait(callers_turn(w), w)
#endif
}

#define is_granted(w) ((completed & granted & mask(w)) != 0)
#ifdef KEEP
#define gives_back(w) (is_granted(w) && all_quiet)
#else
#define gives_back(w) is_granted(w)
#endif

/* The waiter's handler. */
proctype handler(byte w) {
    LOCALS;
    if
    :: d_step {
           (completed & ~granted & mask(w)) != 0 ->
#ifdef BARE
           users--;
#endif
           skip
       }
#ifdef BARE
    :: d_step { gives_back(w) -> drop_references(1) };
        give(true, wanted(w), 0)
#else
    :: give_with_reference(gives_back(w), wanted(w), 0)
#endif
    fi
}

#if RELEASERS > 0
proctype releaser(byte r) {
    LOCALS;
#ifdef BARE
    give(releasers_turn(r), RELEASE, 1)
#else
    give_with_reference(releasers_turn(r), RELEASE, 1)
#endif
}
#endif

#if NEWCOMERS > 0
proctype newcomer() {
    LOCALS;
    bool got;
    byte ahead;
    try_take(true, 1, 0);
    if
    :: d_step { got -> got = false; users-- };
        give_with_reference(true, 1, 0)
    :: d_step { !got -> users-- }
    fi
}
#endif

#if CANCELLERS > 0
#ifdef MUTATION_NO_CLAIM
#define claim_to_cancel(w) (published & ~completed & mask(w)) != 0 -> skip
#else
#define claim_to_cancel(w) (published & ~claimed & mask(w)) != 0 -> claim(w)
#endif

/* Only claims that win are modelled: who loses does nothing. */
proctype canceller() {
    LOCALS;
    byte w;
end:
    if
    :: d_step { claim_to_cancel(0) }
#if WAITERS > 1
    :: d_step { claim_to_cancel(1); w = 1 }
#endif
#if WAITERS > 2
    :: d_step { claim_to_cancel(2); w = 2 }
#endif
    fi;
    cancel_claimed(w)
}
#endif

#if CANCEL_ALLS > 0
proctype all_canceller() {
    LOCALS;
    cancel_all()
}
#endif

#if CLOSERS > 0
proctype closer() {
    LOCALS;
    close_or_orphan(true, false)
}
#endif

#if RESIZERS > 0
proctype resizer(byte limit, then) {
    LOCALS;
    byte before, change;
    bool withdrawn, exchanged;
    do
    :: set_limit()
    :: limit == 0 -> break
    od
}
#endif

#ifdef ORPHAN
proctype destroyer() {
    LOCALS;
    close_or_orphan(users == 0, true)
}
#endif

/* Of the permits that are held when all is quiet, two have only one reference. */
#if HEAVY < WAITERS
#define two_in_one ((held > 0 && is_granted(HEAVY)) -> 1 : 0)
#else
#define two_in_one 0
#endif

/* Nobody can take a step. */
inline check_quiet() {
    assert(!owned && !dirty && messages == 0 && batched == 0 && permits_ == 0 && place == 0);
    assert(moving == 0 && available + held == limit_);
    assert(length == 0 || available < wanted(front));
    assert(contended == (length > 0 || closing));
    assert(!closing || length == 0);
    assert(length == size_);
    w_ = completed;
    i_ = 0;
    do
    :: i_ < length ->
        assert(((w_ | claimed) & mask(line_[i_])) == 0);
        w_ = w_ | mask(line_[i_]);
        i_++
    :: else -> break
    od;
    assert(w_ == everybody);
    assert(handle_dropped_ == orphaned);
#ifdef BARE
    assert(references == 1 - handle_dropped_);
#else
    assert(references == 1 - handle_dropped_ + held - two_in_one);
#endif
    assert(destroyed == (references == 0))
}

init {
    LOCALS;
    atomic {
        available = FREE;
        limit_ = LIMIT;
        held = LIMIT - FREE;
        assert(held == RELEASERS * RELEASE);
        references = 1;
        users = WAITERS + NEWCOMERS + CANCEL_ALLS + CLOSERS + RESIZERS;
#ifdef BARE
        users = users + RELEASERS;
#else
        references = references + RELEASERS;
#endif
        i_ = 0;
        do
        :: i_ < WAITERS -> run caller(i_); run handler(i_); i_++
        :: else -> break
        od;
#if RELEASERS > 0
        i_ = 0;
        do
        :: i_ < RELEASERS -> run releaser(i_); i_++
        :: else -> break
        od;
#endif
#if NEWCOMERS > 0
        i_ = 0;
        do
        :: i_ < NEWCOMERS -> run newcomer(); i_++
        :: else -> break
        od;
#endif
#if CANCELLERS > 0
        i_ = 0;
        do
        :: i_ < CANCELLERS -> run canceller(); i_++
        :: else -> break
        od;
#endif
#if CANCEL_ALLS > 0
        run all_canceller();
#endif
#if CLOSERS > 0
        run closer();
#endif
#if RESIZERS > 0
        run resizer(LOW, HIGH);
#endif
#if RESIZERS > 1
        run resizer(OTHER, 0);
#endif
#ifdef ORPHAN
        run destroyer();
#endif
        i_ = 0
    };

    atomic { timeout -> check_quiet(); all_quiet = true };
#ifndef ORPHAN
    close_or_orphan(users == 0, true);
#endif
    atomic { timeout -> check_quiet(); assert(completed == everybody && held == 0 && destroyed) }
}
