#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Starts beast_server, overloads it with wrk, and prints how it answers."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys


def wrk(url, rate, connections, seconds):
    script = pathlib.Path(__file__).with_name("load.lua")
    command = ["wrk", f"-t{connections}", f"-c{connections}", f"-d{seconds}s", "-s", script, url + "work", "--"]
    command += [f"{rate:.0f}", str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    return done.stdout


def number_after(text, name):
    return float(re.search(re.escape(name) + r"([\d.]+)", text)[1])


def judge(what, met):
    print(f"{what}: {'met' if met else 'missed'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="the program beast_server")
    parser.add_argument("--factor", type=float, default=2, help="load, in multiples of the capacity; default: 2")
    parser.add_argument("--workers", type=int, default=16, help="workers of the service; default: 16")
    parser.add_argument("--latency_ms", type=int, default=20, help="mean latency of a task; default: 20")
    parser.add_argument("--connections", type=int, default=128, help="connections and threads of wrk; default: 128")
    parser.add_argument("--seconds", type=int, default=20, help="length of the run, after 5 s of warm-up; default: 20")
    chosen = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk is missing (Debian: wrk)")

    command = [chosen.server, "--port", "0", "--workers", str(chosen.workers), "--latency_ms", str(chosen.latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = re.search(r"http://\S+", server.stdout.readline())[0]
            capacity = 1000 * chosen.workers / chosen.latency_ms
            print(f"capacity {capacity:.0f}/s, load {chosen.factor * capacity:.0f}/s", flush=True)
            wrk(url, chosen.factor * capacity, chosen.connections, 5)
            text = wrk(url, chosen.factor * capacity, chosen.connections, chosen.seconds)
        finally:
            server.terminate()
            print(server.communicate(timeout=30)[0], end="")

    for line in text.splitlines():
        if re.match("status|others|errors", line):
            print(line)
    answered = number_after(text, "status 200: ")
    rejected = number_after(text, "status 503: ")
    slowest = float(re.search(r"status 503: .*p99 ([\d.]+)", text)[1])
    print()
    judge(f"offered {(answered + rejected) / capacity:.2f} x capacity (goal: {0.95 * chosen.factor:.2f})",
          answered + rejected >= 0.95 * chosen.factor * capacity)
    judge(f"200 at {100 * answered / capacity:.1f} % of capacity (goal: 90 %)", answered >= 0.9 * capacity)
    judge(f"503 within {slowest:.2f} ms at p99 (goal: 5 ms)", slowest <= 5)
    judge("nothing but 200 and 503, and no connection errors",
          number_after(text, "others: ") == 0 and number_after(text, "errors: ") == 0)
    return server.returncode


if __name__ == "__main__":
    sys.exit(main())
