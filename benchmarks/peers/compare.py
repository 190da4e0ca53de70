#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Prints what FlowGuard's semaphore costs beside the semaphores of tokio and Go, from one run.

Each program measures itself, one after the other, and all of that several times. The least time counts. The times are
processor times of one thread (of Go: of the process). A hand-off is compared by what it costs above its scheduler's
floor, two yields or posts. A time-out is compared by its ratio to a timer alone.
"""

import argparse
import json
import os
import subprocess
import tempfile

# The rows that the programs of the peers print, and the benchmarks of FlowGuard that measure the same.
BENCHMARKS = {
    "try_pair": "try_acquire_release",
    "hand_off": "hand_off_of_4/dynamic_semaphore_permit",
    "hand_off_floor": "hand_off_of_4/two_posts",
    "cancel": "cancel/dynamic_semaphore/10000/manual_time",
    "time_out": "time_outs/iterations:1/manual_time",
    "timer": "timers/iterations:1/manual_time",
}


def measure_ours(program):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        names = "|".join(f"^{name}$" for name in BENCHMARKS.values())
        subprocess.run(
            [program, "--most-waiters", "10000", "--time-outs", "200000", "--pool-repetitions", "1", "--svg", folder]
            + [f"--benchmark_filter={names}", "--benchmark_min_time=0.2"]
            + [f"--benchmark_out={out}", "--benchmark_out_format=json"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(out, encoding="utf-8") as file:
            runs = {run["name"]: run for run in json.load(file)["benchmarks"]}
    return {row: runs[name].get("ns/op", runs[name]["cpu_time"]) for row, name in BENCHMARKS.items()}


def measure_peer(program):
    lines = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return {row: float(ns) for row, ns in (line.split() for line in lines)}


def least(measurements):
    return {row: min(m[row] for m in measurements) for row in BENCHMARKS}


def print_table(ours, peers):
    def print_row(what, value, unit=" ns"):
        for name, of_peer in peers.items():
            mine, theirs = value(ours), value(of_peer)
            print(f"{what:<50} {mine:7.1f}{unit} = {mine / theirs:5.2f} x {name} ({theirs:.1f}{unit})")

    print_row("a permit taken and released, permit free", lambda f: f["try_pair"])
    print_row("hand-off among 64, 4 permits, above the floor", lambda f: f["hand_off"] - f["hand_off_floor"])
    print_row("the floor: two posts, or two yields", lambda f: f["hand_off_floor"])
    print_row("one of 10,000 waiting is cancelled", lambda f: f["cancel"])
    print_row("a time-out that fires", lambda f: f["time_out"])
    print_row("a time-out / a timer alone", lambda f: f["time_out"] / f["timer"], "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, help="the program semaphore_benchmark")
    parser.add_argument("--peer", nargs=2, action="append", default=[], metavar=("NAME", "PROGRAM"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    peers = dict(arguments.peer)
    ours = []
    theirs = {name: [] for name in peers}
    for _ in range(arguments.rounds):
        ours.append(measure_ours(arguments.ours))
        for name, program in peers.items():
            theirs[name].append(measure_peer(program))
    print_table(least(ours), {name: least(measured) for name, measured in theirs.items()})


if __name__ == "__main__":
    main()
