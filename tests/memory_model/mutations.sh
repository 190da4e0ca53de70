#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Checks that the harnesses notice a memory order that is too weak, or a step that is missing. Each mutation replaces
# one place in a copy of include/, and names a harness. The harness is built with the copy, and must then fail.
#
#   ./mutations.sh            all mutations of the table
#   ./mutations.sh TEXT       the mutations whose harness, header or replacement contains TEXT
#   ./mutations.sh unnoticed  the mutations that no harness can notice, to see whether a harness notices one by now
#
# Needs g++ (or the compiler in CXX), and CPPFLAGS to find Asio. EXECUTIONS is the number of executions of each harness,
# by default 300000. RUNTIME may name the library of the runtime, if it is built already.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
tests=$(dirname "$here")
include=$(dirname "$tests")/include
executions=${EXECUTIONS:-300000}
selected=${1:-}
read -ra compiler <<<"${CXX:-g++} -std=c++20 -O1 -g1 -w -no-pie -pthread"
read -ra asio <<<"${CPPFLAGS:--DASIO_STANDALONE}"
# The same options as in memory_model.cmake.
checked=(-fsanitize=thread -fno-access-control -DASIO_DISABLE_STD_ALIGNED_ALLOC
    -DASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=0)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "mutations.sh: $*" >&2
    exit 1
}

build_runtime() {
    local source
    for source in "$here"/runtime/*.cpp; do
        "${compiler[@]}" -O2 "-I$tests" -c "$source" -o "$scratch/$(basename "$source").o"
    done
    ar rcs "$scratch/runtime.a" "$scratch"/*.o
    echo "$scratch/runtime.a"
}

# Precompiles the headers that all harnesses include and no mutation changes.
build_prefix() {
    local prefix=$scratch/prefix.hpp
    printf '#include <%s>\n' array atomic chrono forward_list functional memory string thread vector >"$prefix"
    echo '#include "flowguard/detail/asio/asio.hpp"' >>"$prefix"
    "${compiler[@]}" "${checked[@]}" "-I$include" "${asio[@]}" -x c++-header "$prefix" -o "$prefix.gch"
}

# Replaces the only occurrence of a text in a header's copy.
replace() {
    local header=$1 from=$2 to=$3 text rest
    rm -rf "$scratch/include"
    cp -r "$include" "$scratch/include"
    text=$(<"$include/flowguard/$header")
    [[ $text == *"$from"* ]] || fail "$header does not contain: $from"
    rest=${text#*"$from"}
    [[ $rest != *"$from"* ]] || fail "$header contains more than once: $from"
    printf '%s\n' "${text%%"$from"*}$to$rest" >"$scratch/include/flowguard/$header"
}

# Builds and runs the harness, linked without libtsan. True if the harness fails. Its output is in $scratch/out.
is_noticed() {
    local harness=$1 program=$scratch/$1 status=0 source=${1%_small_rounds} first=()
    [[ $source == "$harness" ]] || first=("-I$here/small_rounds")
    "${compiler[@]}" "${checked[@]}" -include "$scratch/prefix.hpp" "${first[@]}" "-I$scratch/include" "-I$tests" \
        "${asio[@]}" -c "$here/$source.cpp" -o "$program.o" || fail "a mutation does not compile"
    "${compiler[@]}" "$program.o" "$runtime" -o "$program" || fail "a mutation does not link"
    "$program" "$executions" >"$scratch/out" 2>&1 || status=$?
    ((status != 2)) || fail "$(<"$scratch/out")"
    ((status != 0))
}

# Sets `weaker` to the text, with another memory order in it.
weaken_text() {
    local order=$1 text=$2
    [[ $text =~ ^(.*memory_order_)[a-z_]+(.*)$ ]] || fail "there is no memory order in: $text"
    weaker=${BASH_REMATCH[1]}$order${BASH_REMATCH[2]}
}

# Arguments: the harness, the header, the text in the header, and the text that replaces it.
mutation() {
    local harness=$1 header=$2 from=$3 to=$4
    replace "$header" "$from" "$to"
    [[ -z $selected || "$harness $header $to" == *"$selected"* ]] || return 0
    is_noticed "$harness" || fail "$harness does not notice, in $header: $to"
    printf '%-10s %-20s %s\n' "$harness" "$(basename "$header")" "$to"
    printf '           %s\n' "$(head -1 "$scratch/out")"
}

# Arguments: the harness, the header, the weaker order, and the text with the stronger order.
weaken() {
    weaken_text "$3" "$4"
    mutation "$1" "$2" "$4" "$weaker"
}

# The same for a mutation that no harness notices. The place must exist all the same.
unnoticed() {
    weaken_text "$3" "$4"
    replace "$2" "$4" "$weaker"
    [[ $selected == unnoticed ]] || return 0
    ! is_noticed "$1" || fail "$1 does notice, in $2: $weaker"
    printf '%-10s %-20s not noticed: %s\n' "$1" "$(basename "$2")" "$weaker"
}

runtime=${RUNTIME:-$(build_runtime)}
build_prefix
# shellcheck source=mutations_table.sh
source "$here/mutations_table.sh"
