# flowguard_gdb.py
# ~~~~~~~~~~~~~~~~
# SPDX-License-Identifier: MIT

"""Shows FlowGuard's objects in gdb as an operator thinks of them.

    (gdb) source /usr/share/flowguard/flowguard_gdb.py
    (gdb) print guard
    $1 = limit 10, 7 permits free, 3 in flight, 0 waiting, window of 100: 3 admitted, 3 running

It reads memory alone and calls no function of the program, so it works on a core file, too. `print /r` shows the members
themselves. It knows the members' names, so it belongs to this version of FlowGuard.
"""

import gdb
import gdb.printing


def load(atomic):
    """The value in a std::atomic, of libstdc++ or libc++."""
    kind = atomic.type.strip_typedefs().template_argument(0).strip_typedefs()
    address = atomic.address
    return address.cast(kind.pointer()).dereference()  # in both libraries it is the first thing in there


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


class State:
    """A semaphore_state: see permit_word.hpp and semaphore_state.hpp for the bits."""

    gates = {0: "", 4: ", draining", 8: ", closed", 12: ", orphaned"}

    def __init__(self, state):
        word = int(load(state["word_"]["word_"]))
        limit = int(load(state["word_"]["limit_"]))
        inbox = int(load(state["inbox_"]))
        held = signed(word >> 32, 32)
        self.is_contended = bool(word & 1 << 31)
        self.is_barred = limit < 0
        self.limit = limit & 0x7FFFFFFF
        self.held = max(held, 0)
        self.free = 0 if self.is_contended or self.is_barred else max(self.limit - held, 0)
        self.waiting = int(load(state["waiting_"]))
        self.gate = self.gates[inbox & 12]

    def text(self, held):
        barred = ", barred until the next turn" if self.is_barred else ""
        return f"limit {self.limit}, {self.free} permits free, {self.held} {held}, {self.waiting} waiting{barred}{self.gate}"


class StatePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return State(self.value).text("held")


class SemaphorePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return State(self.value["state_"].dereference()).text("held")


class PermitPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        if not self.value["state_"]:
            return "no permit"
        count = int(self.value["count_"])
        return f"{count} permit{'' if count == 1 else 's'} of the semaphore state at {int(self.value['state_']):#x}"


class WindowPrinter:
    """A sample_window: see sample_window.hpp for the bits."""

    def __init__(self, value):
        self.value = value
        self.state = int(load(value["state_"]))
        self.generation = self.state >> 34

    def to_string(self):
        size = int(load(self.value["size_"]))
        if size == 0:
            return "no window yet"
        slots = max((int(load(self.value["slots_"])) & 0xFFFFFFFF) - (1 << 31), 0)
        members = self.state & 0xFFFFFFFF  # the free slots count as members
        if self.state & 1 << 33:
            return f"window of {size}, discarded, {members} stragglers"
        if self.state & 1 << 32 or members == 0:
            return f"window of {size}, closed, {members} stragglers"
        admitted = size - slots - int(load(self.value["untaken_"]))
        return f"window of {size}: {admitted} admitted, {members - slots} running"


class GuardPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        state = self.value["state_"].dereference()
        window = WindowPrinter(load(state["loop_"]["current_"]).dereference())
        return f"{State(state).text('in flight')}, {window.to_string()}"


class TicketPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        if not self.value["issuer_"]:
            return "no ticket"
        text = f"ticket of the guard state at {int(self.value['issuer_']):#x}"
        membership = self.value["membership_"]
        if not membership["window"]:
            return text + ", in no window"
        window = WindowPrinter(membership["window"].dereference())
        if window.generation != int(membership["generation"]):
            return text + ", a straggler of a window that was closed without it"
        return f"{text}, in a {window.to_string()}"


def printers():
    collection = gdb.printing.RegexpCollectionPrettyPrinter("flowguard")
    for name, pattern, printer in (
        ("semaphore", "basic_dynamic_semaphore<.*>", SemaphorePrinter),
        ("permit", "permit", PermitPrinter),
        ("guard", "flow_guard<.*>", GuardPrinter),
        ("ticket", "ticket", TicketPrinter),
        ("window", "detail::sample_window", WindowPrinter),
        ("state", "detail::semaphore_state", StatePrinter),
    ):
        collection.add_printer(name, f"^flowguard::{pattern}$", printer)
    return collection


gdb.printing.register_pretty_printer(gdb.current_objfile(), printers(), replace=True)
