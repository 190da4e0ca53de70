#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints which lines and branches of the headers no test runs, and how many each header has.

    report.py <llvm-cov> <merged profile> <folder of the headers> <programs of tests>

A branch of a template counts as run if any of its instantiations in any program takes it. `llvm-cov report` would take the one
instantiation that runs the most. It also mistakes a function that one of several programs does not call for one that none
calls, so it gets one program at a time.
"""

import collections
import pathlib
import re
import subprocess
import sys

COUNT = r"(\d[\d.]*[kMGTPEZY]?)"
LINE = re.compile(rf" *(\d+)\| *{COUNT}\|(.*)")
BRANCH = re.compile(rf"(?:  \|)+  Branch \((\d+):(\d+)\): \[True: {COUNT}, False: {COUNT}\]")


class Header:
    def __init__(self):
        self.lines = collections.defaultdict(bool)  # number: whether a test runs it
        self.branches = collections.defaultdict(bool)  # (line, column, "true" or "false"): whether a test takes it

    def read(self, row):
        """Adds what a row of `llvm-cov show` says."""
        if line := LINE.match(row):
            number, count, source = line.groups()
            # In a function that a program does not call, llvm-cov counts comments as well.
            if source.strip() and not source.lstrip().startswith("//"):
                self.lines[int(number)] |= count != "0"
        elif branch := BRANCH.match(row):
            line, column, true, false = branch.groups()
            self.branches[int(line), int(column), "true"] |= true != "0"
            self.branches[int(line), int(column), "false"] |= false != "0"

    def not_run(self):
        """Such as '12-14' and '20:9 is never true', in order. A line that is not run stands for its branches."""
        ranges = []
        for line in sorted(line for line, run in self.lines.items() if not run):
            if ranges and ranges[-1][1] == line - 1:
                ranges[-1][1] = line
            else:
                ranges.append([line, line])
        found = [(first, 0, f"{first}-{last}" if first < last else f"{first}") for first, last in ranges]
        found += [(line, column, f"{line}:{column} is never {way}") for (line, column, way), run in self.branches.items()
                  if not run and self.lines[line]]
        return [text for _, _, text in sorted(found)]


def share(runs):
    return f"{100 * sum(runs) / len(runs):.1f} % of {len(runs):4}" if runs else ""


def main(llvm_cov, profile, folder, *programs):
    headers = collections.defaultdict(Header)
    for program in programs:
        show = [llvm_cov, "show", "-instr-profile", profile, "-show-branches=count", "-show-instantiations=false", program]
        header = Header()
        for row in subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines():
            if row.startswith("/") and row.endswith(":"):
                path = pathlib.Path(row[:-1])
                header = headers[str(path.relative_to(folder))] if path.is_relative_to(folder) else Header()
            header.read(row)

    for name, header in sorted(headers.items()):
        for text in header.not_run():
            print(f"{name}:{text}")
    print(f"\n{'header':50} {'lines run':>17} {'branches run':>17}")
    for name, header in sorted(headers.items()):
        print(f"{name:50} {share(header.lines.values()):>17} {share(header.branches.values()):>17}")
    lines = [run for header in headers.values() for run in header.lines.values()]
    branches = [run for header in headers.values() for run in header.branches.values()]
    print(f"{'all':50} {share(lines):>17} {share(branches):>17}")


if __name__ == "__main__":
    main(*sys.argv[1:])
