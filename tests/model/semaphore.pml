/*
 * semaphore.pml
 * ~~~~~~~~~~~~~
 * SPDX-License-Identifier: MIT
 *
 * The wait queue of dynamic_semaphore (include/flowguard/detail: permit_word.hpp, semaphore_state.hpp,
 * wait_queue.hpp, waiter.hpp) for the model checker SPIN. Names are those of the C++ code, with three
 * exceptions: `give` is semaphore_state::release, `work` is run_as_owner, and the line is one lane.
 *
 *     ./check.sh                 every configuration, exhaustively, and every mutation
 *     ./check.sh resize close    only these configurations, and no mutations
 *
 * Modelled: both atomic words, limit_, reserved_, the waiters' claims, and the owner's line and the waiters
 * aside. The operations are try_take; release_with_reference and give, which bring their permits to the queue
 * if they can; wait, with a bounded number of waiters; the cancellation of a waiter, from a slot or by a
 * deadline; cancel_all, close, orphan, set_limit, abandon, drain and reopen. The owner's work is done in rounds, with its
 * completions, hand_on, and its last touch. After that, the owner tells the observer of rejections. A waiter
 * asks for one permit; the waiters in HEAVY ask for more. A message that cancels the waiters of one context is
 * not modelled: it is a cancel_all that ends some waiters and not others, as if those had come later.
 *
 * Steps. Each access to an atomic is one step. The owner's work on its line belongs to the access before it or
 * after it. Completions do, too, but never to the step that ends the ownership. If a loop of a load
 * and a compare-and-swap decides only by the value that it has read, it is one step by default: the exchange
 * that succeeds, or the load that decides against an exchange. The other loads, and the exchanges that fail,
 * change nothing. With STEPWISE, these loads are steps of their own, and their values are kept. In
 * configurations that change the limit, the load of the limit is always a step of its own. Without STEPWISE,
 * the word may change after that load: this allows more than the code does.
 *
 * Checked:
 *   - Before each step, the permits that callers hold and the permits in the owner's hand add up to the
 *     word's `held`.
 *   - No thread touches the state after its last reference was dropped.
 *   - Each waiter is completed exactly once, and no owner touches it afterwards.
 *   - Waiters are granted permits in the order of their enqueueing exchanges, except those that went aside. A
 *     waiter that comes back is served before all waiters that are in line then. No newcomer takes a permit
 *     past a waiter that was in line when the newcomer began; see `ahead_of_newcomers`.
 *   - Permits that are brought while there is debt pay it off before a waiter is admitted; see `in_debt`.
 *   - No more than MAX_WAITERS have a reservation. If a caller is rejected, as many waiters were not completed
 *     yet when it came.
 *   - When a drain ends because the semaphore is idle, no permit is held, and no caller waits. No permit is taken
 *     after that until reopen.
 *   - A close ends those who wait, even if reopen comes before the owner has seen it; see must_end.
 *   - After abandon() has returned, no owner completes a waiter of that context.
 *   - When no process can move any more, the queue has no owner, no message and no `dirty`. The first waiter
 *     in line, if any, asks for more permits than are available, but not for more than the limit. A waiter
 *     aside asks for more than the limit. `contended` is set exactly if a waiter is in line or the gate is not
 *     open, and `aside` exactly if a waiter is aside. After close, no caller waits. A drain waits only
 *     while a permit is held or a caller waits, and the gate is not open. Every reference and
 *     every reservation is accounted for.
 *   - In the end, when the handle is destroyed and all permits are back, no waiter and no state is left.
 *   - FLOOD: each waiter is completed although messages arrive for ever, under a weakly fair scheduler. This is
 *     checked as a temporal formula, because the model never comes to rest then.
 *
 * FLOOD does not check that another thread takes over from an owner: the scheduler decides whether a thread
 * comes while the owner yields.
 *
 * The code does one thing that none of these properties needs: if wait() did not reject a waiter after close,
 * the next owner would end it.
 *
 * Not modelled:
 *   - memory orders: memory is sequentially consistent here. Comments in the code give reasons for the
 *     orders, and tests/memory_model checks them.
 *   - exchanges that fail spuriously: they change nothing
 *   - the links to contexts
 *   - permits that are released beyond the limit: only for these, releases look at `aside`
 *   - overflow
 *   - shedding and eviction: an owner decides on them alone, and they allow one reservation more
 *   - priorities and partitions
 *   - `least_aside_` and would_wait(): they only save work
 *   - waiters that cannot be cancelled: their claim is no atomic access
 *   - drains that are cancelled: as with waiters, their claim decides
 *
 * Assumed: a caller of give, set_limit, close, cancel_all or try_take keeps the handle until the call has had
 * its effect, but no longer. A waiter is cancelled only after it was put in line, or rejected. While a context
 * is being destroyed, no thread starts or cancels a wait there; earlier cancellations may still be unread.
 */

/* ---- configuration ---- */

#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef FREE
#define FREE 0        /* permits that are available at first; releasers hold the others */
#endif
#ifndef WAITERS
#define WAITERS 2     /* at most 3 */
#endif
#ifndef HEAVY
#define HEAVY 0       /* the set of waiters that ask for WEIGHT permits */
#endif
#ifndef WEIGHT
#define WEIGHT 2
#endif
#ifndef RELEASERS
#define RELEASERS 2
#endif
#ifndef RELEASE
#define RELEASE 1     /* permits of each releaser; with one reference, unless BARE */
#endif
#ifndef NEWCOMERS
#define NEWCOMERS 0   /* each calls try_take, and releases its permit */
#endif
#ifndef CANCELLERS
#define CANCELLERS 0  /* each cancels any one waiter */
#endif
#ifndef CANCEL_ALLS
#define CANCEL_ALLS 0
#endif
#ifndef CLOSERS
#define CLOSERS 0
#endif
#ifndef DRAINERS
#define DRAINERS 0    /* at most 2; each drains, and with DRAIN_ENDS also ends those who wait */
#endif
#ifndef REOPENERS
#define REOPENERS 0
#endif
#ifndef RESIZERS
#define RESIZERS 0    /* the first sets the limits LOW and then HIGH; the second sets OTHER */
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
#ifndef CONTEXT
#define CONTEXT 0     /* the set of waiters whose context is destroyed */
#endif
/* TRY_FIRST    callers call try_take before they wait
 * BARE         permits are held without references, and released with give()
 * KEEP         waiters that are granted permits keep them until all is quiet
 * ORPHAN       the handle is destroyed as soon as no party needs it; otherwise, when all is quiet
 * MAX_WAITERS  at most so many callers may wait
 * MOST_GRANTS  at most so many waiters are served in a round; otherwise, as many as possible
 * HAND_ON      an owner may hand the queue on after any round; otherwise, after none
 * OBSERVED     an observer is told of rejections
 * FLOOD        a process tells the owner of permits, or leaves messages, for ever
 * STEPWISE     see above
 * MUTATION_x   a fault that must be noticed; see check.sh */

#if HEAVY && RESIZERS > 0
#define ASIDE
#endif
#if CONTEXT
#define ABANDONERS 1
#else
#define ABANDONERS 0
#endif

#ifdef FLOOD
#define FLOODERS 1
#else
#define FLOODERS 0
#endif

#define MESSAGES (WAITERS + CANCELLERS + CANCEL_ALLS + ABANDONERS + FLOODERS + DRAINERS + REOPENERS)
#define no_message 0
#define enqueue_message(w) (1 + (w))
#define cancel_message(w) (1 + WAITERS + (w))
#define empty_message (1 + 2 * WAITERS)
#define drain_message(d) (2 + 2 * WAITERS + (d))
#define cancel_all_message drain_message(DRAINERS)
#define abandon_message (1 + cancel_all_message)
#define reopen_message (2 + cancel_all_message)
#define reopen_closed_message (3 + cancel_all_message)  /* with `ends_waiters` */

#define mask(w) (1 << (w))
#define everybody (mask(WAITERS) - 1)
#define number_of(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
#define wanted(w) ((HEAVY & mask(w)) != 0 -> WEIGHT : 1)
#define no_limit 9

/* ---- the state ---- */

/* permit_word */
short held;
bool contended, aside;
byte references;
byte limit_;

/* inbox_; messages from the oldest to the newest */
byte inbox[MESSAGES];
byte messages;
bool owned, dirty;
bool draining, closing, orphaned;  /* the gate: closing is closed or orphaned; draining is neither */
#define shut (draining || closing)

byte reserved_;
byte claimed;             /* a set of waiters */
bool applied;             /* the member of the abandon message */

/* Used by the owner only. For other threads, waiting_ is a copy of size_. */
byte line_[WAITERS];
byte length;              /* of line_ */
#ifdef ASIDE
byte aside_[WAITERS];
byte aside_length;
byte brought_back;        /* a set of waiters, which are in line */
#else
#define aside_length 0
#endif
byte size_;
#if DRAINERS > 0
byte drains_;             /* a set of drains */
bool must_look;           /* at what is held, in this round */
#else
#define drains_ 0
#define must_look false
#endif
bool handle_dropped_;
byte stock_;              /* references that the owner keeps, for permits that are brought without one */

/* The class ownership. There is one owner at a time, so these variables are global. The exceptions are in
 * LOCALS: the waiters that an owner has decided on, and the references that it drops after its ownership. */
byte permits_;            /* in the owner's hand, with one reference */
bool o_draining, o_closing, o_orphaned;
#define o_shut (o_draining || o_closing)
#if RESIZERS > 0
byte o_held;
#endif
byte batch[MESSAGES];     /* messages that are taken, but not applied yet */
byte batched;
byte place;               /* of end_all(): the next index in the line, and after that in the waiters aside */
byte abandoned;           /* a set of waiters */
bool to_confirm;          /* an abandon message was applied, but its sender was not told yet */
#ifdef ASIDE
bool looked;              /* bring_back() was called for the first in line */
#endif
#ifdef MOST_GRANTS
byte grants;
bool more;                /* what do_round() returns, negated */
#endif

/* The C++ code does not have these variables. The properties need them. */
bool destroyed;
byte taken;               /* permits that callers hold */
bool in_debt;             /* there was debt when the owner brought permits, and it has not been paid off */
byte users;               /* the number of parties that still need the handle */
byte published;           /* sets of waiters */
byte granted;
byte completed;
#if DRAINERS > 0
byte ended_drains;        /* a set of drains */
bool is_drained;          /* a drain has found the semaphore idle, and reopen was not called after it */
#else
#define is_drained false
#endif
#if REOPENERS > 0
byte must_end;            /* waiters that were in line, or on their way, when a closed gate was opened again */
#endif
#ifdef MAX_WAITERS
byte reserved, freed;     /* sets of waiters: a reservation was made; it was freed */
#ifdef MUTATION_RESERVE_AFTER_LOOKING
byte looking;
#endif
#endif
#ifdef ASIDE
byte are_aside;
#endif
byte before_me[WAITERS];  /* the waiters to be served before this one, unless they are claimed */
/* The waiters that no newcomer may overtake. A waiter belongs to them as soon as its message is left. If its
 * caller became the owner with that message, it belongs to them after the owner has looked for permits in vain.
 * It ceases to belong to them when it is claimed or goes aside. If it is the only waiter, it also does so when
 * permits have been taken for it. */
byte ahead_of_newcomers;
bool all_quiet;
byte begun, brought;      /* how many callers and releasers have begun; see callers_turn */
#if CONTEXT
bool context_goes;        /* no thread cancels a waiter there any more */
byte cancelling;          /* how many cancellers have claimed a waiter, but left no message yet */
#endif

#ifdef FLOOD
bool flooded;             /* the inbox has a message of the flooder */
#endif

hidden byte i_, w_;       /* for use within a step */

/* Done before each access. */
#define touch()                                                                                         \
    assert(!destroyed);                                                                                 \
    assert(held == taken + permits_)

#define LOCALS                                                                                          \
    byte at;                                                                                            \
    byte o_done, o_references LOADED LIMIT_LOADED OBSERVES

#ifdef OBSERVED
#define OBSERVES ; bool o_observes
#define observes o_observes
#else
#define OBSERVES
#define observes false
#endif

#ifdef STEPWISE
#define LOADED                                                                                          \
    ; bool word_read, inbox_read;                                                                       \
    short read_held;                                                                                    \
    byte read_references, read_newest;                                                                  \
    bool read_contended, read_aside, read_owned, read_dirty, read_draining, read_closing, read_orphaned
#define newest (messages > 0 -> inbox[messages - 1] : no_message)
#define word_changed                                                                                    \
    (!word_read || read_held != held || read_contended != contended || read_aside != aside ||           \
     read_references != references)
#define inbox_changed                                                                                   \
    (!inbox_read || read_newest != newest || read_owned != owned || read_dirty != dirty ||              \
     read_draining != draining || read_closing != closing || read_orphaned != orphaned)
#define read_word()                                                                                     \
    word_read = true;                                                                                   \
    read_held = held;                                                                                   \
    read_contended = contended;                                                                         \
    read_aside = aside;                                                                                 \
    read_references = references
#define load_inbox()                                                                                    \
    touch();                                                                                            \
    inbox_read = true;                                                                                  \
    read_newest = newest;                                                                               \
    read_owned = owned;                                                                                 \
    read_dirty = dirty;                                                                                 \
    read_draining = draining;                                                                           \
    read_closing = closing;                                                                             \
    read_orphaned = orphaned
#define forget_word()                                                                                   \
    word_read = false;                                                                                  \
    read_held = 0;                                                                                      \
    read_contended = false;                                                                             \
    read_aside = false;                                                                                 \
    read_references = 0;                                                                                \
    forget_limit()
#define forget_inbox()                                                                                  \
    inbox_read = false;                                                                                 \
    read_newest = no_message;                                                                           \
    read_owned = false;                                                                                 \
    read_dirty = false;                                                                                 \
    read_draining = false;                                                                              \
    read_closing = false;                                                                               \
    read_orphaned = false
#define touch_by_load() skip
#else
#define LOADED
#define word_read true
#define inbox_read true
#define word_changed false
#define inbox_changed false
#define read_held held
#define read_contended contended
#define read_aside aside
#define read_newest messages
#define read_owned owned
#define read_dirty dirty
#define read_draining draining
#define read_closing closing
#define read_word() skip
#define load_inbox() skip
#define forget_word() forget_limit()
#define forget_inbox() skip
#define touch_by_load() touch()
#endif
#define load_word()                                                                                     \
    touch();                                                                                            \
    read_word();                                                                                        \
    forget_limit()
#define read_shut (read_draining || read_closing)
#define waits (contended || aside)
#define read_waits (read_contended || read_aside)

/* suffices() reads the limit after the word. If the limit may change, this is a step of its own, which is
 * repeated if the exchange fails. */
#if RESIZERS > 0
#define LIMIT_LOADED                                                                                    \
    ; bool limit_read;                                                                                  \
    byte read_limit
#define load_limit()                                                                                    \
    touch();                                                                                            \
    limit_read = true;                                                                                  \
    read_limit = limit_
#define forget_limit()                                                                                  \
    limit_read = false;                                                                                 \
    read_limit = 0
#else
#define LIMIT_LOADED
#define limit_read true
#define read_limit limit_
#define load_limit() skip
#define forget_limit() skip
#endif
#define suffices(n) (read_limit >= read_held + (n))
#define must_load_word (word_changed && (!word_read || limit_read))
#define must_load_limit (word_read && !limit_read)
#define may_exchange (!word_changed && limit_read)
#define may_decide (word_read && limit_read)

/* ---- parts of steps ---- */

/* `at`: how far an owner has come */
#define to_begin 0
#define in_loop 1
#define unserved 2   /* there are too few permits for the first in line */
#define goes_aside 3
#define to_contend 4 /* the gate is not open */
#define to_go 5      /* the round is over, except for completions */
#define to_tell 6    /* a reservation was freed */
#define to_take 7
#define to_hand_on 8
#define to_yield 9
#define to_look 10
#define has_left 11

inline drop_references(n) {
    touch();
    assert(references >= n);
    references = references - n;
    if
    :: references == 0 ->
        assert(orphaned && !owned && !dirty && messages == 0 && length == 0 && aside_length == 0);
        assert(size_ == 0 && drains_ == 0 && taken == 0);
        destroyed = true
    :: else
    fi
}

inline paid() {
    if
    :: held <= limit_ -> in_debt = false
    :: else
    fi
}

inline put_back() {
    held = held - permits_;
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

inline complete(set) {
    assert((completed & (set)) == 0);
#if CONTEXT
    assert(!applied || (CONTEXT & (set)) == 0);
#endif
    completed = completed | (set);
    o_done = o_done & ~(set)
}

#ifdef ASIDE
/* Has no effect if the waiter is not aside. */
inline remove_from_aside(w) {
    i_ = 0;
    do
    :: i_ < aside_length && aside_[i_] != w -> i_++
    :: else -> break
    od;
    if
    :: i_ < aside_length ->
        aside_length--;
        do
        :: i_ < aside_length -> aside_[i_] = aside_[i_ + 1]; i_++
        :: else -> break
        od;
        aside_[aside_length] = 0
    :: else
    fi
}
#endif

/* Has no effect if the waiter is not in line. */
inline remove_from_line(w) {
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

inline remove(w) {
    remove_from_line(w);
#ifdef ASIDE
    remove_from_aside(w);
    brought_back = brought_back & ~mask(w)
#endif
}

inline decide(w) {
    assert(((completed | o_done) & mask(w)) == 0 && (claimed & mask(w)) != 0);
    remove(w);
    assert(size_ > 0);
    size_--;
    o_done = o_done | mask(w)
}

/* Applies an enqueue message, a cancel message, or a message that has no effect. */
inline apply(message) {
    w_ = message;
    if
    :: w_ < cancel_message(0) ->
        w_ = w_ - enqueue_message(0);
        assert((completed & mask(w_)) == 0);
        line_[length] = w_;
        length++;
        size_++
#ifdef FLOOD
    :: w_ == empty_message -> flooded = false
#endif
#if DRAINERS > 0
    :: w_ >= drain_message(0) -> drains_ = drains_ | mask(w_ - drain_message(0))
#endif
    :: w_ >= cancel_message(0) && w_ < empty_message ->
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

/* Stops at the first message that needs claims: a cancel_all or an abandon message. */
inline apply_all() {
    do
#ifdef MUTATION_NEWEST_FIRST
    :: batched > 0 && batch[batched - 1] < cancel_all_message ->
        apply(batch[batched - 1]);
        batched--;
        batch[batched] = 0
#else
    :: batched > 0 && batch[0] < cancel_all_message ->
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

/* The owner reads the flags for the first time. If they may change, that is a step of its own. */
#if CLOSERS > 0 || DRAINERS > 0 || defined(ORPHAN)
#define first_look() skip
#else
#define first_look() at = in_loop; read_gate()
#endif

inline read_gate() {
    o_draining = draining;
    o_closing = closing;
    o_orphaned = orphaned
}

inline forget_gate() {
    o_draining = false;
    o_closing = false;
    o_orphaned = false
}

inline become_owner() {
    owned = true;
    first_look()
}

/* A thread becomes the owner with a message. If the last owner left messages, this one comes after them. */
inline own_with(message) {
    become_owner();
#ifndef MUTATION_MESSAGE_IN_HAND_FIRST
    if
    :: messages > 0 -> push(message)
    :: else ->
#endif
        batch[0] = message;
        batched = 1;
        apply_all()
#ifndef MUTATION_MESSAGE_IN_HAND_FIRST
    fi
#endif
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

#ifdef ASIDE
#define at_place (place < length -> line_[place] : aside_[place - length])
#else
#define at_place line_[place]
#endif

/* What end_all() and end_those_of() do with one waiter, w_. */
inline end_one(ends, abandons) {
    touch();
    w_ = at_place;
    assert((completed & mask(w_)) == 0);
    if
    :: (ends) && wins_claim(w_) ->
        claim(w_);
        decide(w_);
        if
        :: abandons -> o_done = o_done & ~mask(w_); abandoned = abandoned | mask(w_)
        :: else
        fi
    :: else -> place++
    fi
}

#ifdef ASIDE
inline put_aside(w) {
    remove(w);
    aside_[aside_length] = w;
    aside_length++;
    are_aside = are_aside | mask(w);
    ahead_of_newcomers = ahead_of_newcomers & ~mask(w);
    before_me[w] = 0;
    i_ = 0;
    do
    :: i_ < WAITERS -> before_me[i_] = before_me[i_] & ~mask(w); i_++
    :: else -> break
    od
}

/* All waiters that are in line or aside are to be served later. */
inline bring_front_back() {
    w_ = aside_[0];
    remove(w_);
    are_aside = are_aside & ~mask(w_);
    i_ = length;
    do
    :: i_ > 0 -> line_[i_] = line_[i_ - 1]; i_--; before_me[line_[i_]] = before_me[line_[i_]] | mask(w_)
    :: else -> break
    od;
    line_[0] = w_;
    length++;
    do
    :: i_ < aside_length -> before_me[aside_[i_]] = before_me[aside_[i_]] | mask(w_); i_++
    :: else -> break
    od;
    brought_back = brought_back | mask(w_)
}
#endif

/* ---- the owner ---- */

#define front line_[0]
#ifdef MUTATION_ANY_PERMITS_IN_HAND
#define has_wanted (permits_ > 0)
#else
#define has_wanted (permits_ == wanted(front))
#endif
#define has_message(m) (at <= in_loop && batched > 0 && batch[0] == m)
#define rests (at == in_loop && batched == 0)
#ifdef MOST_GRANTS
#define has_had_enough (grants == MOST_GRANTS)
#else
#define has_had_enough false
#define more false
#endif
#ifdef ASIDE
#ifdef MUTATION_BRING_TO_FRONT
#define is_back(w) false
#else
#define is_back(w) ((brought_back & mask(w)) != 0)
#endif
#define must_bring_back (aside_length > 0 && !looked && !(length > 0 && is_back(front)))
#else
#define must_bring_back false
#endif
#define serves (rests && !o_closing && !must_bring_back && length > 0 && !has_had_enough)
#define has_served (rests && !o_closing && !must_bring_back && (length == 0 || has_had_enough))
#define ends_all (rests && o_closing)
#ifdef MUTATION_CLOSE_NOT_CONTENDED
#define no_short_cuts true
#else
#define no_short_cuts contended
#endif
#define has_ended_all (ends_all && no_short_cuts && place >= length + aside_length)
#ifdef MUTATION_ONLY_WAITER
#define only_waiter true
#else
#define only_waiter (length == 1)
#endif
#ifdef MUTATION_CLEAR_TOO_EARLY
#define may_clear (!o_shut && contended)
#else
#define may_clear (length == 0 && !o_shut && contended)
#endif
#define may_clear_aside (aside && aside_length == 0)
#ifdef MUTATION_LAST_WITH_WAITERS
#define last (o_orphaned && !handle_dropped_)
#else
#ifdef MUTATION_LAST_TWICE
#define last (o_orphaned && size_ == 0)
#else
#define last (o_orphaned && !handle_dropped_ && size_ == 0 && drains_ == 0)
#endif
#endif
#define idle_but_dirty                                                                                  \
    (messages == 0 && draining == o_draining && closing == o_closing && orphaned == o_orphaned)
#ifdef MUTATION_IGNORE_DIRTY
#define idle idle_but_dirty
#else
#define idle (!dirty && idle_but_dirty)
#endif
/* Only the owner changes `contended`. So setting it again would change nothing, and looking at it before it is
 * cleared is no step. */
#ifdef MUTATION_TAKE_UNSEEN
#define must_contend false
#else
#ifdef MUTATION_CONTEND_IF_EMPTY
#define must_contend (length == 0 && !contended)
#else
#define must_contend (!contended)
#endif
#endif
#define sees_message (inbox_read && (inbox_changed || read_newest != no_message))
#ifdef MUTATION_COMPLETE_AFTER_LEAVING
#define completes false
#else
#define completes (o_done != 0)
#endif
#if CONTEXT
#define confirms to_confirm
#else
#define confirms false
#endif
/* is_tidy: only completions are left in do_round(). round_is_over: they are done, too. */
#define is_tidy (at == to_go && !may_clear && !may_clear_aside)
#define round_is_over (is_tidy && !completes && !must_look && !confirms)
#define takes_along (last || o_references > 0 || o_done != 0 || observes)

#ifdef OBSERVED
/* The observer is told of a rejection after the ownership has ended. */
#define note(set)                                                                                       \
    if                                                                                                  \
    :: !o_observes && ((set) & ~granted) != 0 -> o_observes = true; refer_to_tell()                     \
    :: else                                                                                             \
    fi
#ifdef MUTATION_OBSERVE_WITHOUT_REFERENCE
#define refer_to_tell() skip
#else
#define refer_to_tell() add_own_reference()
#endif
#else
#define note(set) skip
#endif

inline end_turn() {
#ifdef ASIDE
    looked = false;
#endif
#ifdef MOST_GRANTS
    grants++;
#endif
    forget_word()
}

inline end_in_vain() {
#ifdef ASIDE
    at = unserved;
    forget_word()
#else
    at = unserved;
    end_round()
#endif
}

inline end_round() {
#ifdef ASIDE
    looked = false;
#endif
#ifdef MOST_GRANTS
    grants = 0;
    more = (!o_closing && length > 0 && at == in_loop);
#endif
    place = 0;
#if DRAINERS > 0
    at = (o_shut -> to_contend : to_go);
    must_look = o_shut;
#else
    at = to_go;
#endif
    forget_word()
}

/* If no work is left in a round, its end is part of the same step. */
inline go_if_through() {
    if
    :: permits_ == 0 && (has_ended_all || has_served) -> end_round()
    :: else
    fi
}

#if DRAINERS > 0
#ifdef MUTATION_DRAIN_WITH_WAITERS
#define has_drained (held == 0)
#else
#define has_drained (size_ == 0 && held == 0)
#endif

inline end_drains() {
    assert((ended_drains & drains_) == 0);
    ended_drains = ended_drains | drains_;
    drains_ = 0
}
#endif

/* The owner's work, after the permits that it brought have paid off debt. */
inline work() {
    do
    /* apply_all: a cancel_all or an abandon message */
#if CANCEL_ALLS > 0
    :: d_step { has_message(cancel_all_message) && place < length + aside_length -> end_one(true, false) }
    :: d_step {
           has_message(cancel_all_message) && place >= length + aside_length ->
           drop_message();
           apply_all();
           place = 0;
           go_if_through()
       }
#endif
#if REOPENERS > 0
    :: d_step { has_message(reopen_closed_message) && place < length + aside_length -> end_one(true, false) }
    :: d_step {
           (has_message(reopen_closed_message) && place >= length + aside_length) || has_message(reopen_message) ->
#if DRAINERS > 0
           end_drains();
#endif
           i_ = 0;
           do
           :: i_ < length -> assert((must_end & ~claimed & mask(line_[i_])) == 0); i_++
           :: else -> break
           od;
           drop_message();
           apply_all();
           place = 0;
           go_if_through()
       }
#endif
#if CONTEXT
    :: d_step {
           has_message(abandon_message) && place < length + aside_length ->
           end_one((CONTEXT & mask(w_)) != 0, true)
       }
    :: d_step {
           has_message(abandon_message) && place >= length + aside_length ->
#ifdef MUTATION_CONFIRM_EARLY
           touch();
           applied = true;
#else
           to_confirm = true;
#endif
           drop_message();
           apply_all();
           place = 0;
           go_if_through()
       }
#endif
    :: d_step {
           at == to_begin && batched == 0 ->
           touch();
           read_gate();
           at = in_loop;
           go_if_through()
       }

    /* closing: set_contended, end_all */
    :: d_step { ends_all && !no_short_cuts -> touch(); contended = true; go_if_through() }
    :: d_step { ends_all && no_short_cuts && place < length + aside_length -> end_one(true, false); go_if_through() }

#ifdef ASIDE
    /* serve: bring_back */
    :: d_step {
           rests && !o_closing && must_bring_back ->
           touch();
           if
           :: limit_ == 0 || limit_ >= WEIGHT -> bring_front_back()
           :: else
           fi;
           looked = true;
           go_if_through()
       }
#endif
    /* serve: take, if permits are in hand, but not as many as are wanted */
    :: d_step { serves && permits_ > 0 && !has_wanted -> touch(); put_back() }
    /* serve: take_or_contend */
    :: d_step { serves && permits_ == 0 && must_load_word -> load_word() }
    :: d_step { serves && permits_ == 0 && must_load_limit -> load_limit() }
    :: d_step {
           serves && permits_ == 0 && may_exchange && suffices(wanted(front)) ->
           touch();
           permits_ = wanted(front);
           held = held + permits_;
           references++;
           if
           :: only_waiter -> contended = false; ahead_of_newcomers = ahead_of_newcomers & ~mask(front)
           :: else
           fi;
           forget_word()
       }
    :: d_step {
           serves && permits_ == 0 && may_exchange && !suffices(wanted(front)) && !read_contended ->
           touch();
#ifndef MUTATION_NOT_CONTENDED
           contended = true;
#endif
           line_is_seen();
#if RESIZERS > 0 && !defined(MUTATION_NO_SECOND_LOOK)
           read_word();
           forget_limit()
#else
           end_in_vain()
#endif
       }
    :: d_step {
           serves && permits_ == 0 && may_decide && !suffices(wanted(front)) && read_contended ->
           touch_by_load();
           line_is_seen();
           end_in_vain()
       }
#ifdef ASIDE
    /* serve: put_aside, unless the limit would allow the waiter */
    :: d_step {
           at == unserved && limit_ != 0 && wanted(front) > limit_ ->
           touch();
           w_ = front;
           put_aside(w_);
           if
           :: aside -> at = in_loop; end_turn(); go_if_through()
           :: else -> at = goes_aside
           fi
       }
    :: d_step {
           at == goes_aside ->
           touch();
#ifndef MUTATION_ASIDE_UNSEEN
           aside = true;
#endif
           at = in_loop;
           end_turn();
           go_if_through()
       }
    :: d_step { at == unserved && !(limit_ != 0 && wanted(front) > limit_) -> touch(); end_round() }
#endif
    /* serve: claim and grant. If the claim fails, the waiter's cancel message is on its way. */
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
               taken = taken + wanted(w_);
               permits_ = 0;
               decide(w_)
           :: else -> remove(w_)
           fi;
           end_turn();
           go_if_through()
       }

    /* put_back: no waiter is left to serve or to end, or the round has had enough grants */
    :: d_step {
           has_ended_all || has_served ->
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
           end_round()
       }
#if DRAINERS > 0
    /* do_shut_round: set_contended */
    :: d_step {
           at == to_contend ->
           touch();
#ifndef MUTATION_DRAIN_NOT_CONTENDED
           contended = true;
#endif
           at = to_go
       }
    /* do_shut_round: end_drains, if no permit is held */
    :: d_step {
           is_tidy && !completes && must_look ->
           touch();
           if
           :: drains_ != 0 && o_orphaned -> end_drains()
           :: drains_ != 0 && !o_orphaned && has_drained ->
               assert(taken == 0 && length + aside_length == 0 && permits_ == 0);
               is_drained = shut;
               end_drains()
           :: else
           fi;
           must_look = false
       }
#endif
    :: d_step { at == to_go && may_clear -> touch(); contended = false }
    :: d_step { at == to_go && !may_clear && may_clear_aside -> touch(); aside = false }

    /* complete: free_reservations, note_rejection, and the completion. These are steps for each waiter. If
       there are no reservations, there is one step for all waiters. */
#ifdef MAX_WAITERS
    :: d_step {
           is_tidy && completes ->
           touch();
#ifdef MUTATION_FREE_LATE
           complete(o_done & -o_done);
#else
           reserved_--;
           freed = freed | (o_done & -o_done);
#endif
           note(o_done & -o_done);
           at = to_tell
       }
    :: d_step {
           at == to_tell ->
#ifdef MUTATION_FREE_LATE
           touch();
           reserved_--;
           freed = freed | completed;
#else
           complete(o_done & -o_done);
#endif
           at = to_go
       }
#else
    :: d_step {
           is_tidy && completes ->
           touch();
           note(o_done);
           complete(o_done)
       }
#endif
#if CONTEXT
    :: d_step { is_tidy && !completes && !must_look && to_confirm -> touch(); applied = true; to_confirm = false }
#endif

    /* try_release_ownership: the exchange succeeds */
    :: d_step {
           round_is_over && !more && idle && takes_along ->
           leave();
           at = has_left
       }
    :: d_step {
           round_is_over && !more && idle && !takes_along ->
           leave();
           at = to_begin
       };
#ifdef MUTATION_TOUCH_LATE
        d_step { touch() };
#endif
        break
    /* try_release_ownership: the exchange fails, or there is more to do */
    :: d_step { round_is_over && !more && !idle -> touch(); at = to_take }
#ifdef MOST_GRANTS
    :: d_step { round_is_over && more -> at = to_take }
#endif
#ifdef HAND_ON
    :: d_step { round_is_over && !more && !idle -> touch(); at = to_hand_on }
#ifdef MOST_GRANTS
    :: d_step { round_is_over && more -> at = to_hand_on }
#endif
#endif

    /* take_messages: if there is a message, set_contended first */
#ifdef STEPWISE
    :: d_step { at == to_take && !inbox_read -> load_inbox() }
#endif
    :: d_step { at == to_take && !inbox_changed && read_newest == no_message -> touch(); take_messages() }
    :: d_step { at == to_take && sees_message && must_contend -> touch(); contended = true }
    :: d_step { at == to_take && sees_message && !must_contend -> touch(); take_messages() }

#ifdef HAND_ON
    /* hand_on: add_reference and set dirty; clear owned; try_own_leftovers */
    :: d_step {
           at == to_hand_on ->
           touch();
#ifndef MUTATION_HAND_ON_NO_REFERENCE
           add_own_reference();
#endif
#ifndef MUTATION_HAND_ON_CLEAN
           dirty = true;
#endif
           at = to_yield;
           forget_inbox()
       }
    :: d_step { at == to_yield -> touch(); hand_on(); at = to_look }
#ifdef MUTATION_HAND_ON_WITHOUT_LOOKING
    :: d_step { at == to_look -> at = has_left }
#else
    :: d_step { at == to_look && inbox_changed -> load_inbox() }
    :: d_step {
           at == to_look && !inbox_changed && !read_owned && (read_newest != no_message || read_dirty) ->
           touch();
           owned = true;
           at = to_take;
           forget_inbox()
       }
    :: d_step {
           at == to_look && inbox_read && (read_owned || (read_newest == no_message && !read_dirty)) ->
           touch_by_load();
           at = has_left;
           forget_inbox()
       }
#endif
#endif

#ifdef OBSERVED
    :: d_step { at == has_left && o_observes -> touch(); o_observes = false }
#endif
    :: d_step {
           at == has_left && !observes ->
           if
           :: o_references > 0 -> drop_references(o_references)
           :: else
           fi;
           o_references = 0;
           complete(o_done);
           at = to_begin
       };
        break
    od
}

/* With FLOOD, an owner that has a reference to drop takes no other. Otherwise the number of states would be
 * infinite. */
inline add_own_reference() {
#ifdef FLOOD
    if
    :: o_references == 0 ->
#endif
        references++;
        o_references++
#ifdef FLOOD
    :: else
    fi
#endif
}

inline take_messages() {
    empty_inbox();
    read_gate();
    apply_all();
    at = in_loop;
#ifdef MOST_GRANTS
    more = false;
#endif
    go_if_through();
    forget_inbox()
}

inline leave() {
    touch();
    check_line();
    if
#ifdef MUTATION_KEEP_STOCK
    :: last -> handle_dropped_ = true; o_references++
#else
    :: last -> handle_dropped_ = true; o_references = o_references + 1 + stock_; stock_ = 0
#endif
    :: else
    fi;
    owned = false;
    dirty = false;
    forget_gate()
}

inline hand_on() {
    assert(permits_ == 0 && batched == 0 && !confirms);
    if
    :: !more -> check_line()
    :: else
    fi;
    owned = false;
    forget_gate();
#ifdef MOST_GRANTS
    more = false
#endif
}

/* ---- the operations; the first step of each waits for `when` ---- */

inline tell_owner() {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); become_owner(); forget_inbox() };
        work();
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

/* The sender of the message has nothing more to do. */
inline is_left(message) {
    if
    :: message == cancel_all_message -> users--
#if CONTEXT
    :: message < empty_message && (CONTEXT & mask(message - cancel_message(0))) != 0 -> cancelling--
#endif
    :: else
    fi
}

inline post_or_own(message) {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); own_with(message); is_left(message); forget_inbox() };
        work();
        break
    :: d_step { !inbox_changed && read_owned -> touch(); push(message); is_left(message); forget_inbox() };
        break
    od
}

/* The calling process has the variables `got`, and `ahead`: the waiters in line when this begins. For `counts`
 * see callers_turn. */
inline try_take(when, n, counts) {
    d_step {
        when ->
        touch();
#ifdef MUTATION_NO_LOOK
        got = true;
#else
        got = (messages == 0 && !shut && !orphaned);
#endif
        ahead = (got -> ahead_of_newcomers : 0);
        begun = begun + counts
    };
    if
    :: got ->
        do
        :: d_step { must_load_word -> load_word() }
        :: d_step { must_load_limit -> load_limit() }
        :: d_step {
               may_exchange && suffices(n) && !read_contended ->
               touch();
               assert((ahead & ahead_of_newcomers) == 0);
               assert(!is_drained);
               held = held + n;
               references++;
               taken = taken + n;
               ahead = 0;
               forget_word()
           };
            break
        :: d_step {
               may_decide && (!suffices(n) || read_contended) ->
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

/* try_own() has succeeded. */
#define bring(n)                                                                                        \
    touch();                                                                                            \
    become_owner();                                                                                     \
    taken = taken - n;                                                                                  \
    permits_ = n;                                                                                       \
    in_debt = (held > limit_);                                                                          \
    forget_inbox()

/* Work that begins with permits. Without resizers there is never any debt. balance() reads the word, and then
 * the limit. */
inline work_with_permits() {
#if RESIZERS > 0 && !defined(MUTATION_DEBT_LAST)
    d_step { touch(); o_held = held };
    if
    :: d_step { o_held > limit_ -> touch(); o_held = 0 };
        d_step { touch(); put_back() }
    :: d_step { o_held <= limit_ -> touch(); o_held = 0; in_debt = false }
    fi;
#endif
    work()
}

inline release_with_reference(when, n, counts) {
    do
    :: d_step { when && word_changed -> load_word() }
    :: d_step {
           when && !word_changed && !read_waits ->
           touch();
           held = held - n;
           taken = taken - n;
           references--;
           assert(references > 0);
           paid();
           brought = brought + counts;
           forget_word()
       };
        break
    :: d_step {
           when && word_read && read_waits ->
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
            d_step { touch(); held = held - n; taken = taken - n; paid() };
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

/* The owner takes two references at a time. */
inline refer_from_stock() {
    touch();
    if
    :: stock_ == 0 -> references = references + 2; stock_ = 1
    :: else -> stock_--
    fi
}

inline give(when, n, counts) {
    do
    :: d_step { when && word_changed -> load_word() }
    :: d_step {
           when && !word_changed && !read_waits ->
           touch();
           held = held - n;
           taken = taken - n;
           users--;
           paid();
           brought = brought + counts;
           forget_word()
       };
        break
    :: d_step {
           when && word_read && read_waits ->
           touch_by_load();
           brought = brought + counts;
           forget_word()
       };
        do
        :: d_step { inbox_changed -> load_inbox() }
        :: d_step { !inbox_changed && !read_owned -> bring(n); users-- };
#ifndef MUTATION_NO_REFERENCE_IN_HAND
            d_step { refer_from_stock() };
#endif
            work_with_permits();
            break
        :: d_step { inbox_read && read_owned -> touch_by_load(); forget_inbox() };
            /* release_and_refer */
            d_step {
                touch();
                held = held - n;
                taken = taken - n;
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

#ifdef MAX_WAITERS
#define may_wait(w) ((reserved & mask(w)) != 0)
#ifdef MUTATION_RESERVE_AFTER_LOOKING
#define looks(w) ((looking & mask(w)) != 0)
#else
#define looks(w) false
#endif
#else
#define may_wait(w) true
#endif

inline wait(when, w) {
    do
#ifdef MAX_WAITERS
    /* reserve */
    :: d_step {
           when && !may_wait(w) && !looks(w) && reserved_ < MAX_WAITERS ->
           touch();
           count_caller();
#ifdef MUTATION_RESERVE_AFTER_LOOKING
           looking = looking | mask(w)
       }
    :: d_step {
           !may_wait(w) && looks(w) ->
           touch();
#endif
           reserved_++;
           reserved = reserved | mask(w)
       }
    :: d_step {
           when && !may_wait(w) && !looks(w) && reserved_ >= MAX_WAITERS ->
           touch();
           assert(number_of(reserved & ~completed) >= MAX_WAITERS);
           count_caller();
           reject(w)
       };
        break
#endif
    :: d_step { when && may_wait(w) && inbox_changed -> load_inbox() }
    :: d_step {
           when && may_wait(w) && inbox_read && read_shut ->
           touch_by_load();
#ifdef MAX_WAITERS
#ifndef MUTATION_KEEP_RESERVATION
           reserved_--;
#endif
#else
           count_caller();
#endif
           forget_inbox();
           reject(w)
       };
        break
    :: d_step {
           when && may_wait(w) && !inbox_changed && !read_shut && read_owned ->
           touch();
           push(enqueue_message(w));
           publish(w);
           ahead_of_newcomers = ahead_of_newcomers | mask(w)
       };
        break
    :: d_step {
           when && may_wait(w) && !inbox_changed && !read_shut && !read_owned ->
           touch();
           publish(w);
           if
           :: messages > 0 -> ahead_of_newcomers = ahead_of_newcomers | mask(w)
           :: else
           fi;
           own_with(enqueue_message(w))
       };
        work();
        break
    od
}

/* claim(); the caller completes the waiter. */
inline reject(w) {
    claim(w);
    completed = completed | mask(w);
    needs_handle_no_more()
}

inline publish(w) {
    #ifdef ASIDE
    before_me[w] = published & ~claimed & ~are_aside;
#else
    before_me[w] = published & ~claimed;
#endif
    published = published | mask(w);
#ifdef MAX_WAITERS
    assert(number_of(published & ~freed) <= MAX_WAITERS);
#else
    count_caller();
#endif
    needs_handle_no_more();
    forget_inbox()
}

/* A waiter may outlive the handle. So may its permits, unless give() releases them. */
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

inline set_for_good(orphans) {
    draining = false;
    closing = true;
    if
    :: orphans -> orphaned = true
    :: else -> users--
    fi
}

inline close_or_orphan(orphans) {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { !inbox_changed && !read_owned -> touch(); set_for_good(orphans); become_owner(); forget_inbox() };
        work();
        break
    :: d_step {
           !inbox_changed && read_owned ->
           touch();
           dirty = true;
           set_for_good(orphans);
           forget_inbox()
       };
        break
    od
}

/* A drain is posted, and the gate changed, in one step. */
inline shut_for_drain() {
    touch();
#ifdef DRAIN_ENDS
    closing = true;
    draining = false;
#else
    draining = !closing;
#endif
    users--
}

inline drain(d) {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step {
           !inbox_changed && !read_owned ->
           shut_for_drain();
           own_with(drain_message(d));
           forget_inbox()
       };
        work();
        break
    :: d_step { !inbox_changed && read_owned -> shut_for_drain(); push(drain_message(d)); forget_inbox() };
        break
    od
}

#ifdef MUTATION_REOPEN_FORGETS_WAITERS
#define message_to_reopen reopen_message
#else
#define message_to_reopen (closing -> reopen_closed_message : reopen_message)
#endif

/* The message depends on what the gate was. The calling process has the variable `message`. */
inline open_gate() {
    touch();
    message = message_to_reopen;
    if
    :: closing -> must_end = published
    :: else
    fi;
    draining = false;
    closing = false;
#if DRAINERS > 0
    is_drained = false;
#endif
    users--
}

inline reopen() {
    do
    :: d_step { inbox_changed -> load_inbox() }
    :: d_step { inbox_read && !read_shut -> touch_by_load(); users--; forget_inbox() };
        break
#ifdef MUTATION_REOPEN_UNTOLD
    :: d_step { !inbox_changed && read_shut -> open_gate(); message = no_message; forget_inbox() };
        tell_owner();
        break
#else
    :: d_step {
           !inbox_changed && read_shut && !read_owned ->
           open_gate();
           own_with(message);
           message = no_message;
           forget_inbox()
       };
        work();
        break
    :: d_step {
           !inbox_changed && read_shut && read_owned ->
           open_gate();
           push(message);
           message = no_message;
           forget_inbox()
       };
        break
#endif
    od
}

/* The observer is retired after the work. */
inline orphan() {
#ifdef MUTATION_ORPHAN_WITHOUT_REFERENCE
    users == 0;
    close_or_orphan(true);
    atomic { touch() }
#else
    d_step { users == 0 -> touch(); references++ };
    close_or_orphan(true);
    atomic { drop_references(1) }
#endif
}

/* The calling process has the variables `limit`, `then` (the next limit), `told` and `lowers`. */
inline set_limit() {
#ifdef MUTATION_LOOK_BEFORE_LIMIT
    d_step { refer_and_look() };
    d_step { store_limit() };
#else
    d_step { store_limit() };
    d_step { refer_and_look() };
#endif
    if
    :: told -> tell_owner()
    :: !told
    fi;
    atomic {
        drop_references(1);
        told = false;
        lowers = false;
        limit = then;
        then = no_limit
    }
}

inline store_limit() {
    touch();
    lowers = (limit < limit_);
    limit_ = limit;
    paid()
}

inline refer_and_look() {
    touch();
    references++;
#ifdef MUTATION_LIMIT_UNTOLD
    told = false;
#else
#ifdef MUTATION_LOWER_UNTOLD
    told = (waits && !lowers);
#else
#ifdef MUTATION_ASIDE_UNTOLD
    told = contended;
#else
    told = waits;
#endif
#endif
#endif
    if
    :: then == no_limit -> users--
    :: else
    fi
}

/* ---- the parties ---- */

/* All callers are alike, and so are all releasers. So they begin in order, without loss of generality. */
#if defined(STEPWISE) || HEAVY || CONTEXT
#define callers_turn(w) true
#else
#define callers_turn(w) (begun >= w)
#endif
#ifdef STEPWISE
#define releasers_turn(r) true
#else
#define releasers_turn(r) (brought >= r)
#endif

/* Starts a wait. */
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
    :: release_with_reference(gives_back(w), wanted(w), 0)
#endif
    fi
}

#if RELEASERS > 0
proctype releaser(byte r) {
    LOCALS;
#ifdef BARE
    give(releasers_turn(r), RELEASE, 1)
#else
    release_with_reference(releasers_turn(r), RELEASE, 1)
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
        release_with_reference(true, 1, 0)
    :: d_step { !got -> users-- }
    fi
}
#endif

#if CANCELLERS > 0
#ifdef MUTATION_NO_CLAIM
#define may_cancel(w) ((published & ~completed & mask(w)) != 0)
#define claim_to_cancel(w) skip
#else
#define may_cancel(w) ((published & ~claimed & mask(w)) != 0)
#define claim_to_cancel(w) claim(w)
#endif
#if CONTEXT
#define in_context(w) ((CONTEXT & mask(w)) != 0)
#define cancel(w)                                                                                       \
    may_cancel(w) && !(context_goes && in_context(w)) ->                                                \
    claim_to_cancel(w);                                                                                 \
    cancelling = cancelling + in_context(w)
#else
#define cancel(w) may_cancel(w) -> claim_to_cancel(w)
#endif

/* A slot, or the timer of a deadline. Only claims that succeed are modelled: after a failed claim, a canceller
 * does nothing. */
proctype canceller() {
    LOCALS;
    byte w;
end:
    if
    :: d_step { cancel(0) }
#if WAITERS > 1
    :: d_step { cancel(1); w = 1 }
#endif
#if WAITERS > 2
    :: d_step { cancel(2); w = 2 }
#endif
    fi;
    post_or_own(cancel_message(w))
}
#endif

#if CANCEL_ALLS > 0
proctype all_canceller() {
    LOCALS;
    post_or_own(cancel_all_message)
}
#endif

#if CLOSERS > 0
proctype closer() {
    LOCALS;
    close_or_orphan(false)
}
#endif

#if DRAINERS > 0
proctype drainer(byte d) {
    LOCALS;
    drain(d)
}
#endif

#if REOPENERS > 0
proctype reopener() {
    LOCALS;
    byte message;
    reopen()
}
#endif

#if RESIZERS > 0
proctype resizer(byte limit, then) {
    LOCALS;
    bool told, lowers;
    do
    :: limit != no_limit -> set_limit()
    :: limit == no_limit -> break
    od
}
#endif

#if CONTEXT
/* The thread that destroys a context, with the context's reference to the state. */
proctype abandoner() {
    LOCALS;
    d_step { ((published | completed) & CONTEXT) == CONTEXT && cancelling == 0 -> context_goes = true };
    post_or_own(abandon_message);
    atomic {
        applied ->
        touch();
#if defined(MAX_WAITERS) && !defined(MUTATION_ABANDON_RESERVED)
        reserved_ = reserved_ - number_of(abandoned);
        freed = freed | abandoned;
#endif
        completed = completed | abandoned
    };
    atomic { drop_references(1) }
}
#endif

#ifdef ORPHAN
proctype destroyer() {
    LOCALS;
    orphan()
}
#endif

#ifdef FLOOD
proctype flooder() {
    LOCALS;
    do
    :: tell_owner()
    :: d_step { !flooded -> flooded = true };
        post_or_own(empty_message)
    od
}

/* Holds under a weakly fair scheduler. */
ltl each_is_completed { <> (completed == everybody) }
#endif

/* When all is quiet, a waiter that holds several permits has only one reference for them. */
#define references_saved (taken > 0 -> (WEIGHT - 1) * number_of(HEAVY & completed & granted) : 0)

/* Called when no process can take a step. */
inline check_quiet() {
    assert(!owned && !dirty && messages == 0 && batched == 0 && permits_ == 0 && place == 0);
    assert(held == taken);
    assert(length == 0 || limit_ < held + wanted(front));
#ifdef ASIDE
    assert(length == 0 || limit_ == 0 || wanted(front) <= limit_);
    assert(aside_length == 0 || (limit_ != 0 && limit_ < WEIGHT));
#endif
    assert(contended == (length > 0 || shut));
#if DRAINERS > 0
    assert(drains_ == 0 || (shut && !orphaned && (held > 0 || size_ > 0)));
#endif
    assert(aside == (aside_length > 0));
    assert(!closing || length + aside_length == 0);
    assert(length + aside_length == size_);
#ifdef MAX_WAITERS
    assert(reserved_ == size_);
#endif
    w_ = completed;
    place = 0;
    do
    :: place < length + aside_length ->
        assert(((w_ | claimed) & mask(at_place)) == 0);
        w_ = w_ | mask(at_place);
        place++
    :: else -> break
    od;
    place = 0;
    assert(w_ == everybody);
    assert(handle_dropped_ == orphaned);
#ifdef BARE
    assert(references == 1 - handle_dropped_ + stock_);
#else
    assert(references == 1 - handle_dropped_ + taken - references_saved);
#endif
    assert(destroyed == (references == 0))
}

init {
    LOCALS;
    atomic {
        limit_ = LIMIT;
        held = LIMIT - FREE;
        taken = held;
        assert(held == RELEASERS * RELEASE);
        references = 1 + ABANDONERS;
        users = WAITERS + NEWCOMERS + CANCEL_ALLS + CLOSERS + DRAINERS + REOPENERS + RESIZERS;
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
#if DRAINERS > 0
        run drainer(0);
#endif
#if DRAINERS > 1
        run drainer(1);
#endif
#if REOPENERS > 0
        run reopener();
#endif
#if REOPENERS > 1
        run reopener();
#endif
#if RESIZERS > 0
        run resizer(LOW, HIGH);
#endif
#if RESIZERS > 1
        run resizer(OTHER, no_limit);
#endif
#if CONTEXT
        run abandoner();
#endif
#ifdef ORPHAN
        run destroyer();
#endif
#ifdef FLOOD
        run flooder();
#endif
        i_ = 0
    };

#ifndef FLOOD
    atomic { timeout -> check_quiet(); all_quiet = true };
#ifndef ORPHAN
    orphan();
#endif
    atomic {
        timeout ->
        check_quiet();
        assert(completed == everybody && taken == 0 && destroyed);
#if DRAINERS > 0
        assert(ended_drains == mask(DRAINERS) - 1);
#endif
        skip
    }
#endif
}
