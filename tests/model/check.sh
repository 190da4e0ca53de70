#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Checks semaphore.pml with SPIN. First checks every configuration exhaustively, and then that every mutation is
# noticed.
#
#   ./check.sh [configuration...]    only these configurations, and no mutations
#
# Needs spin, and a C compiler: cc, or the one in CC. Takes at most 3 GB of memory, or MEMORY megabytes.

set -euo pipefail
export LC_ALL=C

model=$(cd "$(dirname "$0")" && pwd)/semaphore.pml
memory=${MEMORY:-3000}

# Name and definitions. By default there are two permits, each held by a releaser, and two waiters, which
# release their permits again.
configurations=(
    "cancel       -DSTEPWISE -DCANCELLERS=1"
    "hand_over    -DSTEPWISE -DWAITERS=3 -DKEEP"
    "three        -DWAITERS=3 -DCANCELLERS=1 -DRELEASERS=1 -DFREE=1"
    "resize       -DRESIZERS=1 -DCANCELLERS=1"
    "resizers     -DRESIZERS=2 -DRELEASERS=1 -DFREE=1 -DKEEP"
    "newcomer     -DNEWCOMERS=1 -DCANCELLERS=1"
    "try_first    -DSTEPWISE -DTRY_FIRST -DRELEASERS=1 -DFREE=1 -DNEWCOMERS=1"
    "close        -DCLOSERS=1 -DCANCELLERS=1 -DTRY_FIRST"
    "drain        -DDRAINERS=1 -DNEWCOMERS=1 -DRELEASERS=1 -DFREE=1"
    "drain_steps  -DSTEPWISE -DDRAINERS=1 -DWAITERS=1 -DRELEASERS=1 -DLIMIT=1 -DNEWCOMERS=1"
    "drain_ends   -DDRAINERS=1 -DDRAIN_ENDS -DCANCELLERS=1 -DRELEASERS=1 -DLIMIT=1"
    "drain_close  -DDRAINERS=1 -DCLOSERS=1 -DRELEASERS=1 -DLIMIT=1"
    "drain_orphan -DDRAINERS=1 -DORPHAN -DRELEASERS=1 -DLIMIT=1"
    "drain_hand   -DDRAINERS=1 -DHAND_ON -DMOST_GRANTS=1 -DRELEASERS=1 -DLIMIT=1"
    "reopen       -DDRAINERS=1 -DREOPENERS=1 -DRELEASERS=1 -DLIMIT=1 -DNEWCOMERS=1"
    "reopen_steps -DSTEPWISE -DDRAINERS=1 -DREOPENERS=1 -DWAITERS=1 -DRELEASERS=1 -DLIMIT=1"
    "reopen_drain -DDRAINERS=2 -DREOPENERS=1 -DWAITERS=1 -DRELEASERS=1 -DLIMIT=1"
    "reopen_close -DCLOSERS=1 -DREOPENERS=1 -DRELEASERS=1 -DLIMIT=1 -DKEEP"
    "reopens      -DDRAINERS=1 -DDRAIN_ENDS -DREOPENERS=2 -DRELEASERS=1 -DLIMIT=1"
    "cancel_all   -DSTEPWISE -DCANCEL_ALLS=1 -DRELEASERS=1 -DFREE=1"
    "all_end      -DCANCEL_ALLS=1 -DCANCELLERS=1 -DCLOSERS=1 -DKEEP"
    "orphan       -DSTEPWISE -DORPHAN -DRELEASERS=1 -DLIMIT=1"
    "abort        -DORPHAN -DCANCELLERS=1"
    "bare         -DSTEPWISE -DBARE -DORPHAN -DRELEASERS=1 -DLIMIT=1 -DCANCELLERS=1"
    "bare_resize  -DBARE -DORPHAN -DRESIZERS=1 -DRELEASERS=1 -DFREE=1"
    "weights      -DSTEPWISE -DHEAVY=1 -DCANCELLERS=1"
    "pairs        -DHEAVY=2 -DWAITERS=3 -DRELEASE=2 -DLIMIT=4 -DCANCELLERS=1 -DKEEP"
    "aside        -DHEAVY=1 -DRESIZERS=1 -DCANCELLERS=1 -DRELEASERS=1 -DRELEASE=2"
    "lowered      -DHEAVY=2 -DWEIGHT=3 -DLIMIT=3 -DFREE=3 -DRELEASERS=0 -DWAITERS=3 \
        -DRESIZERS=1 -DLOW=2 -DHIGH=no_limit -DKEEP"
    "come_back    -DHEAVY=3 -DRESIZERS=1 -DRELEASERS=1 -DRELEASE=2"
    "enough       -DHEAVY=3 -DWAITERS=3 -DLIMIT=1 -DFREE=1 -DRELEASERS=0 \
        -DRESIZERS=1 -DLOW=4 -DHIGH=no_limit -DNEWCOMERS=1 -DMOST_GRANTS=1 -DKEEP"
    "aside_steps  -DSTEPWISE -DHEAVY=1 -DRESIZERS=1 -DRELEASERS=1 -DFREE=1"
    "aside_end    -DHEAVY=1 -DRESIZERS=1 -DRELEASERS=1 -DRELEASE=2 -DCLOSERS=1"
    "nothing      -DHEAVY=1 -DRESIZERS=1 -DLOW=0 -DHIGH=1"
    "rounds       -DHAND_ON -DMOST_GRANTS=1 -DRELEASERS=1 -DRELEASE=2 -DKEEP"
    "hand_on      -DHAND_ON -DWAITERS=3 -DRELEASERS=1 -DLIMIT=1"
    "hand_on_step -DSTEPWISE -DHAND_ON -DRELEASERS=1 -DLIMIT=1"
    "hand_on_last -DHAND_ON -DORPHAN -DRELEASERS=1 -DLIMIT=1"
    "bounded      -DMAX_WAITERS=1 -DWAITERS=3 -DCANCELLERS=1"
    "bounded_end  -DMAX_WAITERS=1 -DCLOSERS=1 -DOBSERVED -DRELEASERS=1 -DLIMIT=1"
    "context      -DCONTEXT=1 -DCANCELLERS=1 -DMAX_WAITERS=2 -DRELEASERS=1 -DLIMIT=1"
    "contexts     -DCONTEXT=1 -DCANCEL_ALLS=1 -DRELEASERS=1 -DLIMIT=1"
    "context_end  -DCONTEXT=1 -DORPHAN -DRELEASERS=1 -DLIMIT=1"
    "aside_gone   -DHEAVY=1 -DRESIZERS=1 -DRELEASERS=1 -DRELEASE=2 -DCONTEXT=3"
    "observed     -DOBSERVED -DORPHAN -DCANCELLERS=1 -DRELEASERS=1 -DLIMIT=1"
    "flood        -DFLOOD"
    "flood_hands  -DFLOOD -DHAND_ON -DMOST_GRANTS=1 -DRELEASERS=1 -DRELEASE=2"
    "flood_full   -DFLOOD -DMAX_WAITERS=1 -DRELEASERS=1 -DLIMIT=1"
)

# Name, the configuration that notices the mutation, and what the mutation does.
mutations=(
    "NO_DIRTY                  bare"         # a thread that finds an owner does not set `dirty`
    "IGNORE_DIRTY              bare"         # the owner ends its ownership although `dirty` is set
    "NOT_CONTENDED             hand_over"    # `contended` is not set, so that releasers see no waiter
    "ONLY_WAITER               newcomer"     # the first waiter is taken for the only waiter
    "CLEAR_TOO_EARLY           hand_over"    # `contended` is cleared although a waiter is in line
    "TAKE_UNSEEN               newcomer"     # messages are taken before `contended` is set
    "NO_LOOK                   newcomer"     # try_take does not read the inbox
    "NO_CLAIM                  cancel"       # a waiter is cancelled without a claim
    "OWNER_CLAIMS_NOT          cancel"       # the owner serves and ends waiters without a claim
    "NEWEST_FIRST              cancel"       # messages are applied in the wrong order
    "MESSAGE_IN_HAND_FIRST     hand_on"      # an owner applies its own message before older ones
    "LOSE_PERMITS              cancel"       # permits that no waiter wants any more are not put back
    "ANY_PERMITS_IN_HAND       weights"      # permits in hand are granted although their number is not the wanted one
    "DROP_EARLY                abort"        # the owner drops references before its ownership ends
    "TOUCH_LATE                orphan"       # the owner touches the state after its ownership has ended
    "OBSERVE_WITHOUT_REFERENCE observed"     # the owner calls the observer without a reference
    "ORPHAN_WITHOUT_REFERENCE  orphan"       # the handle retires the observer without a reference
    "DROP_BEFORE_TELLING       abort"        # a releaser drops its reference before it tells the owner
    "NO_REFERENCE              bare"         # permits are released without a reference
    "NO_REFERENCE_IN_HAND      bare"         # permits are brought to the queue without a reference
    "KEEP_STOCK                bare"         # the owner's stock of references is not dropped with the handle's
    "LAST_WITH_WAITERS         abort"        # the handle's reference is dropped although a caller waits
    "LAST_TWICE                orphan"       # every owner after orphan() drops the handle's reference
    "CLOSE_NOT_CONTENDED       orphan"       # after close(), callers may still bypass the queue
    "DRAIN_NOT_CONTENDED       drain"        # during a drain, permits come back unseen by the owner
    "DRAIN_WITH_WAITERS        reopen"       # a drain ends although a caller waits
    "REOPEN_UNTOLD             reopen"       # reopen() leaves no message, so that drains go on
    "REOPEN_FORGETS_WAITERS    reopen_close" # reopen() does not end those whom the close before it ends
    "LOOK_BEFORE_LIMIT         resizers"     # set_limit looks for waiters before it writes the limit
    "NO_SECOND_LOOK            resizers"     # the limit is not read again after `contended` is set
    "LIMIT_UNTOLD              resizers"     # set_limit does not tell the owner
    "LOWER_UNTOLD              lowered"      # set_limit does not tell the owner of a lower limit
    "ASIDE_UNTOLD              aside"        # set_limit does not tell the owner if all waiters are aside
    "ASIDE_UNSEEN              aside"        # `aside` is not set
    "BRING_TO_FRONT            come_back"    # a waiter that comes back overtakes waiters that came back earlier
    "CONTEND_IF_EMPTY          enough"       # `contended` is set only if no waiter is in line
    "DEBT_LAST                 resize"       # released permits are granted although there is debt
    "HAND_ON_CLEAN             rounds"       # `dirty` is not set for the next owner
    "HAND_ON_WITHOUT_LOOKING   hand_on"      # the former owner leaves messages that came meanwhile
    "HAND_ON_NO_REFERENCE      hand_on_last" # the former owner looks at the inbox without a reference
    "RESERVE_AFTER_LOOKING     bounded"      # looking for room and reserving it are two steps
    "FREE_LATE                 bounded"      # the reservation is freed after the completion
    "KEEP_RESERVATION          bounded_end"  # the reservation is kept if the semaphore was closed meanwhile
    "ABANDON_RESERVED          context"      # the reservation is kept if the context is destroyed
    "CONFIRM_EARLY             contexts"     # abandon() returns before the owner has completed other waiters
    "COMPLETE_AFTER_LEAVING    flood"        # the owner completes waiters only after its ownership has ended
)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "check.sh: $*" >&2
    exit 1
}

definitions_of() {
    local entry name definitions
    for entry in "${configurations[@]}"; do
        read -r name definitions <<<"$entry"
        if [[ $name == "$1" ]]; then
            tr -s ' ' <<<"$definitions"
            return
        fi
    done
    fail "no configuration is called $1"
}

# Runs the model with the given definitions. The verifier's output is in $scratch/out. The verifier is not optimized:
# optimizing takes longer than it saves. Temporal formulas hold under a weakly fair scheduler.
verify() {
    local check=(-DSAFETY) search=()
    if [[ " $* " == *" -DFLOOD "* ]]; then
        check=(-DNFAIR=3)
        search=(-a -f)
    fi
    cd "$scratch"
    rm -f pan* ./*.trail out
    spin -a "$@" "$model" >spin.out 2>&1 || { cat spin.out >&2; fail "spin: $*"; }
    sed -i '/^ltl [a-z_]*: /d' spin.out
    [[ -s spin.out ]] && { cat spin.out >&2; fail "spin: $*"; }
    "${CC:-cc}" -O0 -w "${check[@]}" -DMEMLIM="$memory" -o pan pan.c ||
        fail "the verifier does not compile: $*"
    ./pan -m100000 -w24 -n "${search[@]}" >out 2>&1 || { cat out >&2; fail "the verifier fails: $*"; }
    grep -q 'State-vector .* errors: [0-9]' out || { cat out >&2; fail "no result: $*"; }
    ! grep -Eqi 'max search depth too small|out of memory|MEMLIM|VECTORSZ|aborted' out ||
        { cat out >&2; fail "the search was cut short: $*"; }
}

number() {
    sed -En "/$1/{s/$1/\\1/p;q}" "$scratch/out"
}

check_configuration() {
    local name=$1 definitions
    definitions=$(definitions_of "$name")
    # shellcheck disable=SC2086
    verify $definitions
    if ! grep -q 'errors: 0$' out || grep -q 'Search not completed' out; then
        cat out >&2
        ./pan -r -n >&2 || true
        fail "$name ($definitions)"
    fi
    printf '%-21s %9d states %7.1f s %6.0f MB  %s\n' "$name" "$(number ' *([0-9]+) states, stored.*')" \
        "$(number '.*elapsed time ([0-9.]+) seconds.*')" "$(number ' *([0-9.]+)\ttotal actual memory usage.*')" \
        "$definitions"
}

check_mutation() {
    local mutation=$1 name=$2 definitions
    definitions=$(definitions_of "$name")
    # shellcheck disable=SC2086
    verify $definitions "-DMUTATION_$mutation"
    grep -q 'errors: 1$' out || { cat out >&2; fail "nothing is noticed of $mutation in $name"; }
    printf '%-25s %-12s %s\n' "$mutation" "$name" "$(number 'pan:[0-9]*: (.*) \(at depth.*')"
}

if (($# > 0)); then
    for name in "$@"; do
        check_configuration "$name"
    done
    exit
fi

for entry in "${configurations[@]}"; do
    read -r name _ <<<"$entry"
    check_configuration "$name"
done
# A name that the model does not know is noticed, too: no error is found.
for entry in "${mutations[@]}"; do
    read -r mutation name <<<"$entry"
    check_mutation "$mutation" "$name"
done
