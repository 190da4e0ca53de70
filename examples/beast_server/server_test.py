#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Tests of beast_server, as its clients see it. No test depends on the speed of this machine."""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from browser import Browser, Skipped  # noqa: E402

TIMEOUT = 60  # seconds to wait for what takes a moment: sanitizers and busy machines are slow


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r} instead of {wanted!r}")


def wait_for(condition, what, timeout=TIMEOUT):
    """Waits until the condition holds, and returns its result."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        check(time.monotonic() < end, f"still not so after {timeout} s: {what}")
        time.sleep(0.05)


class Server:
    """The program, on a port of its own. It must end without an error."""

    def __init__(self, program, *options, port=0):
        self.process = subprocess.Popen([program, "--port", str(port), *options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:(\d+)/)\n", line)
        if not match:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"the first line is {line!r}")
        self.url, self.port = match[1], int(match[2])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        text, _ = self.process.communicate(timeout=TIMEOUT)
        equal(self.process.returncode, 0, "the exit code")
        check(re.fullmatch(r"stopped: .* 0 still open; .*\n", text), f"the last line is {text!r}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def client(self):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT))

    def ask(self, method, path, body=None, headers={}):
        with self.client() as client:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def get(self, path):
        return self.ask("GET", path)

    def turn(self, **knobs):
        status, _, text = self.ask("POST", "/knobs", "&".join(f"{name}={value}" for name, value in knobs.items()))
        equal(status, 200, f"the answer to {knobs}")
        return json.loads(text)

    def metrics(self):
        """The values, by name and labels as they stand in the text."""
        status, headers, text = self.get("/metrics")
        equal(status, 200, "/metrics")
        check(headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers["Content-Type"])
        values, types = {}, {}
        for line in text.splitlines():
            if match := re.fullmatch(r"# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)", line):
                types[match[1]] = match[2]
            elif not line.startswith("# HELP "):
                match = re.fullmatch(r'([a-z_:][a-z0-9_:]*)(\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? (\S+)', line)
                check(match, f"in /metrics: {line!r}")
                of_histogram = re.sub(r"_(bucket|sum|count)$", "", match[1])
                check(match[1] in types or types.get(of_histogram) == "histogram", f"of no type in /metrics: {line!r}")
                values[match[1] + (match[2] or "")] = float(match[3])
        return values

    def sum(self, name, metrics=None):
        return sum(value for key, value in (metrics or self.metrics()).items() if key.split("{")[0] == name)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """In MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def rest(self, descriptors):
        """Waits until no client is left, and no more descriptors are open than before. Then checks the counters."""
        wait_for(lambda: self.sum("http_connections_open") == 1, "the only connection is the one that asks")
        wait_for(lambda: self.sum("flowguard_in_flight") + self.sum("flowguard_waiting") == 0, "nothing in flight")
        wait_for(lambda: self.descriptors() <= descriptors, f"no more descriptors than before, {descriptors}")
        m = self.metrics()
        guarded = self.sum("http_guarded_answers_total", m)
        tasks, rejected = self.sum("flowguard_tasks_total", m), self.sum("flowguard_rejected_total", m)
        equal(guarded, tasks + rejected + self.sum("flowguard_bypassed_total", m), f"guarded answers, in {m}")
        equal(m.get('http_guarded_answers_total{status="503"}', 0), rejected, "503s, and calls rejected")
        return m


def raw(server, data):
    """Sends some bytes. Returns what the server answers until it closes the connection."""
    with server.connect() as connection:
        with contextlib.suppress(ConnectionError):  # the server may close before it has read all
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
        return answer


def cut(connection):
    """Resets the connection, so that the server gets an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def in_parallel(*tasks):
    """Runs the tasks at the same time. Raises what one of them raises."""
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as threads:
        for done in [threads.submit(task) for task in tasks]:
            done.result()


# What the server answers


def test_program(program):
    for arguments, code in (["--help"], 0), (["--wrong"], 2), (["--workers", "65"], 2), (["--port"], 2):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
        equal(done.returncode, code, f"the exit code of {arguments}")
        check(done.stdout if code == 0 else "see --help" in done.stderr, f"what {arguments} prints")
    with Server(program) as server:
        done = subprocess.run([program, "--port", str(server.port)], capture_output=True, text=True, timeout=TIMEOUT)
        equal(done.returncode, 1, "the exit code with a port that is taken")


def test_pages(program):
    with Server(program) as server:
        status, headers, text = server.get("/")
        equal((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"), "/")
        check("<title>FlowGuard: a simulated service</title>" in text and text.rstrip().endswith("</html>"), "the page is complete")
        check("default-src 'none'" in headers["Content-Security-Policy"], "the page loads nothing")
        equal(len(text.encode()), int(headers["Content-Length"]), "the length of the page")

        equal(server.get("/health")[::2], (200, "healthy\n"), "/health")
        equal(server.get("/work?x=1")[::2], (200, "done\n"), "/work")
        equal(server.get("/nowhere")[0], 404, "/nowhere")
        for method, path, allowed in ("POST", "/work", "GET"), ("GET", "/knobs", "POST"), ("DELETE", "/", "GET"):
            status, headers, _ = server.ask(method, path)
            equal((status, headers["Allow"]), (405, allowed), f"{method} {path}")
        for path in "/", "/work", "/snapshot", "/events":
            equal(server.ask("HEAD", path)[::2], (200, ""), f"HEAD {path}")

        with server.client() as client:  # one connection
            for _ in range(3):
                client.request("GET", "/work")
                equal(client.getresponse().read(), b"done\n", "/work, again")
        equal(raw(server, b"GET /work HTTP/1.1\r\n\r\nGET /health HTTP/1.0\r\n\r\n").count(b"200 OK"), 2, "pipelined")

        m = server.rest(server.descriptors())
        equal(m['http_answers_total{status="404"}'], 1, "how many were not found")
        equal(m['http_answers_total{status="405"}'], 3, "how many methods were not allowed")
        equal(m['flowguard_bypassed_total{guard="work"}'], 2, "how many bypassed the guard")


def test_knobs(program):
    with Server(program, "--workers", "3", "--latency_ms", "4", "--load", "5") as server:
        start = {"workers": 3, "latency_ms": 4, "load": 5, "pin": 0}
        for form, named in (("workers=0", "workers has to be a whole number from 1 to 64"),
                            ("workers=65", "from 1 to 64"), ("workers=", "from 1 to 64"), ("workers", "from 1 to 64"),
                            ("workers=-1", "from 1 to 64"), ("workers=4.5", "from 1 to 64"),
                            ("workers=99999999999999999999", "from 1 to 64"), ("workers=4x", "from 1 to 64"),
                            ("workers=9&latency_ms=0", "latency_ms has to be a whole number from 1 to 500"),
                            ("load=5001", "load has to be a whole number from 0 to 5000"), ("", "nothing to set"),
                            ("pin=1001", "pin has to be a whole number from 0 to 1000"),
                            ("speed=1", "there are workers, latency_ms, load and pin"), ("%00=\x01", "no such knob")):
            status, _, text = server.ask("POST", "/knobs", form)
            equal(status, 400, f"the answer to {form!r}")
            check(named in text, f"the answer to {form!r} is {text!r}")
            equal(server.turn(load=5), start, f"after {form!r}")
        equal(server.turn(workers=64, latency_ms=1), start | {"workers": 64, "latency_ms": 1}, "knobs")
        equal(server.turn(pin=7)["pin"], 7, "the pin")
        m = server.metrics()
        equal((m['flowguard_limit{guard="work"}'], m['flowguard_limit_pinned{guard="work"}']), (7, 1), "the pinned limit")
        equal(server.turn(pin=0)["pin"], 0, "the pin, afterwards")
        equal(server.metrics()['flowguard_limit_pinned{guard="work"}'], 0, "whether the limit is pinned, afterwards")
        equal(server.ask("POST", "/knobs", "load=1&" * 1000)[0], 413, "the answer to a long form")


def test_full_guard(program):
    """With one slow worker, the server rejects most of many requests at once, but no health check."""
    with Server(program, "--workers", "1", "--latency_ms", "50") as server:
        before = server.descriptors()
        answers = []

        def work():
            answers.append(server.ask("GET", "/work", headers={"x-priority": "sheddable"})[:2])

        def health():
            equal(server.get("/health")[0], 200, "/health of a busy server")
            answers.append((0, None))

        in_parallel(*[work] * 60, health)
        statuses = [status for status, _ in answers]
        equal(set(statuses), {0, 200, 503}, "the statuses")
        equal(len(statuses), 61, "the number of answers")
        for status, headers in answers:
            check(status != 503 or 1 <= int(headers["Retry-After"]) <= 180, "Retry-After")
        m = server.rest(before)
        equal(m['http_answers_total{status="503"}'], statuses.count(503), "the 503s that it counts")


def test_events(program):
    with Server(program, "--load", "200") as server:
        before = server.descriptors()
        with server.client() as client:
            client.request("GET", "/events")
            answer = client.getresponse()
        with answer:  # the connection is open until the answer is closed
            equal((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"), "/events")
            last = 0
            for _ in range(10):
                line = answer.readline().decode()
                check(line.startswith("data: {") and answer.readline() == b"\n", f"an event is {line!r}")
                event = json.loads(line[6:])
                equal(set(event), {"point", "decisions"}, "what is in an event")
                check(event["point"]["t"] > last, "events are in order")
                last = event["point"]["t"]
            [guard] = event["point"]["guards"]
            values = {value["name"]: value["value"] for value in guard["values"]}
            equal((values["capacity"], values["load"]), (800, 200), "the capacity and the load")
            equal((guard["name"], len(guard["waits"]), len(guard["rejected"][0])), ("work", 20, 6), "the guard")

        status, headers, text = server.get("/snapshot")
        equal((status, headers["Content-Type"]), (200, "application/json"), "/snapshot")
        snapshot = json.loads(text)
        equal(set(snapshot), {"points", "decisions"}, "what is in a snapshot")
        times = [point["t"] for point in snapshot["points"]]
        check(len(times) > 9 and times == sorted(times), f"the times of the samples are {times}")
        server.turn(load=0)
        server.rest(before)


def test_stop(program):
    """Stops the server in the middle of all kinds of requests."""
    with Server(program, "--load", "500", "--workers", "1", "--latency_ms", "500") as server:
        idle, halfway, working, watching = (server.connect() for _ in range(4))
        halfway.sendall(b"GET /wo")
        working.sendall(b"GET /work HTTP/1.1\r\n\r\n")
        watching.sendall(b"GET /events HTTP/1.1\r\n\r\n")
        check(watching.recv(10), "an event")
        wait_for(lambda: server.sum("http_guarded_answers_total") > 0, "load")
        start = time.monotonic()
        server.stop()
        check(time.monotonic() - start < TIMEOUT / 2, "it took too long to stop")
        check(working.recv(100).startswith(b"HTTP/1.1 "), "a request in progress is answered")
        for connection in idle, halfway, working, watching:
            connection.close()


def test_stop_under_load(program):
    """Stops the server while clients send one request after another: each request gets an answer."""
    with Server(program, "--workers", "2", "--latency_ms", "20") as server:
        answers, lost, connected = [], [], []

        def client():
            with server.client() as connection:
                connection.request("GET", "/health")
                connection.getresponse().read()
                connected.append(connection)
                more = True
                while more:
                    try:
                        connection.request("GET", "/work")
                        answer = connection.getresponse()
                        answer.read()
                    except (ConnectionError, http.client.HTTPException) as failure:
                        lost.append(failure)
                        return
                    answers.append(answer.status)
                    more = not answer.will_close

        def stop():
            wait_for(lambda: len(connected) == 24 and len(answers) > 300, "answers on all connections")
            server.stop()

        in_parallel(*[client] * 24, stop)
        equal(lost, [], "requests without an answer")
        equal(set(answers), {200, 503}, "the statuses")


# Clients that behave badly

MALFORMED = [
    b"NONSENSE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n", b"GET / FTP/1.1\r\n\r\n", b"GET /\x01 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
    b"POST /knobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET / HTTP/1.1\nHost: x\n\n",
]
HUGE = [b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50_000,
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"]
PARTS = [b"", b"GE", b"GET /work HTTP/1.1\r\nX: ", b"POST /knobs HTTP/1.1\r\nContent-Length: 9\r\n\r\nwor",
         b"GET /work HTTP/1.1\r\n\r\n", b"GET /events HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n" * 50]


def malformed(server):
    answer = raw(server, random.choice(MALFORMED))
    check(answer.startswith(b"HTTP/1.1 400 "), f"the answer is {answer[:80]!r}")


def huge(server):
    answer = raw(server, random.choice(HUGE))
    check(answer.startswith(b"HTTP/1.1 431 ") or not answer, f"the answer is {answer[:80]!r}")  # or it was cut


def cut_somewhere(server):
    connection = server.connect()
    connection.sendall(random.choice(PARTS))
    if random.random() < 0.3:
        time.sleep(random.random() * 0.1)
    if random.random() < 0.5:
        cut(connection)
    else:
        connection.close()


def slow(server, alone=False):
    """One client sends a request byte by byte, another takes no answers. If there are no other clients (`alone`),
    checks that the server closes both connections."""
    with server.connect() as writer, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(TIMEOUT)
        reader.connect(("127.0.0.1", server.port))
        reader.setblocking(False)
        end = time.monotonic() + TIMEOUT
        closed = False
        with contextlib.suppress(ConnectionError):
            while not closed:
                check(time.monotonic() < end, "the server waits for a slow request for ever")
                with contextlib.suppress(BlockingIOError):
                    reader.send(b"GET / HTTP/1.1\r\n\r\n" * 20)
                writer.send(b"a")
                writer.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    closed = writer.recv(1) == b""
                writer.setblocking(True)
                time.sleep(0.05)
        if alone:
            wait_for(lambda: server.sum("http_connections_open") == 1, "a client that takes no answers is disconnected")


def test_malformed(program):
    with Server(program) as server:
        before = server.descriptors()
        for data in MALFORMED:
            answer = raw(server, data)
            check(answer.startswith(b"HTTP/1.1 400 ") and b"Connection: close" in answer, f"{data!r} got {answer!r}")
        for data in HUGE:
            answer = raw(server, data[:20_000])
            check(answer.startswith(b"HTTP/1.1 431 "), f"a huge header got {answer!r}")
            huge(server)
        answer = raw(server, b"POST /knobs HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
        check(answer.startswith(b"HTTP/1.1 413 "), f"a huge body got {answer!r}")
        m = server.rest(before)
        equal(m['http_answers_total{status="400"}'], len(MALFORMED), "the 400s that it counts")


def test_cut(program):
    with Server(program, "--workers", "2", "--latency_ms", "10") as server:
        before = server.descriptors()
        in_parallel(*[lambda: [cut_somewhere(server) for _ in range(30)]] * 4)
        equal(server.get("/work")[0], 200, "/work, afterwards")
        server.rest(before)


def test_slow(program):
    with Server(program, "--timeout", "1") as server:
        before = server.descriptors()
        with server.connect() as idle:
            equal(idle.recv(1), b"", "what an idle client gets in the end")
        slow(server, alone=True)
        in_parallel(*[lambda: slow(server)] * 3)
        server.rest(before)


def soak(program, seconds):
    """Runs all kinds of clients at once, for a long time."""
    failures, counts = [], {}
    with Server(program, "--timeout", "2", "--load", "300", "--latency_ms", "10") as server:
        before = server.descriptors()
        end = time.monotonic() + seconds

        def again(what):
            def repeat():
                try:
                    while time.monotonic() < end and not failures:
                        what(server)
                        counts[what.__name__] = counts.get(what.__name__, 0) + 1
                except Exception as failure:  # of any kind: it is raised below
                    failures.append(failure)

            return repeat

        def work(server):
            with server.client() as client:
                for _ in range(100):
                    client.request("GET", random.choice(["/work", "/work", "/work", "/health", "/metrics", "/"]))
                    answer = client.getresponse()
                    answer.read()
                    check(answer.status in (200, 503), f"a status is {answer.status}")

        def turn_knobs(server):
            server.turn(workers=random.randint(1, 32), latency_ms=random.randint(1, 50), load=random.randint(0, 1000))
            time.sleep(2)

        def report(server):
            text = ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()))
            print(f"{seconds - end + time.monotonic():5.0f} s: {server.memory()} MiB, "
                  f"{server.descriptors()} descriptors; {text}", flush=True)
            time.sleep(max(0, min(10, end - time.monotonic())))

        clients = [work, work, work, malformed, huge, cut_somewhere, cut_somewhere, slow, slow, turn_knobs, report]
        in_parallel(*map(again, clients))
        if failures:
            raise failures[0]
        server.turn(load=0)
        for name, value in server.rest(before).items():
            if "_total" in name and value > 0:
                print(f"{value:9.0f} {name}")
        print(f"{server.memory()} MiB, {server.descriptors()} descriptors, {before} at the start")


# The page, in a browser


class Page(Browser):
    """The server's page."""

    def __init__(self, server):
        super().__init__(server.url, TIMEOUT)

    def number(self, field):
        text = self.run(f"return document.querySelector('[data-of={field}]').textContent").replace("\u202f", "")
        return float(text) if re.fullmatch(r"[\d.]+", text) else None

    def state(self):
        return self.run("return document.getElementById('state').textContent")

    def pictures(self):
        """Pictures of the charts."""
        return self.run("return [...document.querySelectorAll('canvas')].map(c => c.toDataURL())")


def test_browser(program, screenshots=None, axe=None):
    with Server(program) as server, Page(server) as page:
        wait_for(lambda: page.state() == "live", "the page is live")
        wait_for(lambda: page.number("limit") == 1, "the limit is shown")
        idle = page.pictures()
        equal(len(idle), 3, "the number of charts")  # idle charts may look the same

        if screenshots:  # a minute of load, so that there is something to see
            server.turn(load=400)
            time.sleep(28)
        page.find("overload").click()
        wait_for(lambda: page.number("goodput") > 100 and page.number("rejected") > 100, "goodput, and rejections")
        loaded = page.pictures()
        for before, after in zip(idle, loaded):
            check(before != after, "a chart moves under load")
        # Both must hold for a second: on a busy machine, the service is slow at moments.
        steady = "return rows.slice(-4).every(r => r.values.workers === 16 && r.limit >= 12)"
        wait_for(lambda: page.run(steady), "a limit that fits 16 workers", 3 * TIMEOUT)
        check(page.number("callers") > page.run("return rows.at(-1).mean_wait") > 0, "callers wait, and then their tasks run")
        check(page.run("return !document.getElementById('who').hidden"), "the table of rejections is shown")
        time.sleep(18 if screenshots else 0)

        knob = page.find("workers")
        page.driver.execute_script("arguments[0].focus()", knob)
        knob.send_keys("\ue011" + "\ue014" * 3)  # Home, and three to the right
        wait_for(lambda: server.turn(load=1600)["workers"] == 4, "the knob is turned down")
        fallen = "return rows.slice(-4).every(r => r.values.workers === 4 && r.limit <= 10)"
        wait_for(lambda: page.run(fallen), "the limit has fallen", 3 * TIMEOUT)
        wait_for(lambda: page.number("limit") <= 10, "the limit is shown")
        check(page.run("return document.querySelectorAll('#changes li b').length") > 0, "the reason is shown")
        check(" in flight" in page.run("return document.querySelector('#changes li').textContent"), "and its numbers")
        wait_for(lambda: page.run("return marks.some(m => m.text.endsWith('4 workers'))"), "the turned knob is marked")

        page.find("state").click()  # moves the focus away from the knobs
        time.sleep(10 if screenshots else 0)
        for name in page.looks():
            wait_for(lambda: page.run("return innerWidth") == page.width, "the new size")
            check(page.fits(), f"too wide: {name}")
            if screenshots:
                page.save(screenshots / f"{name}.png")
            if axe:
                equal(page.accessibility(axe), [], f"what axe-core finds: {name}")
        top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
        places = [page.driver.execute_script(top, of) for of in (".why", "#tasks", "#calls", "#times", ".controls")]
        equal(places, sorted(places), "on a phone, the reasons come before the charts, and the controls come last")
        page.show(1440, 900)

        check_tools(server, page)

        page.driver.refresh()
        wait_for(lambda: page.run("return rows.length > 12"), "the last minute is there again")
        others = page.run("return performance.getEntriesByType('resource').map(e => e.name)")
        check(all(name.startswith(server.url) for name in others), f"it loads {others}")
        equal(page.complaints(), [], "what the browser complains about")

        server.stop()
        wait_for(lambda: page.state() == "reconnecting", "the page notices that the server is gone")
        with Server(program, port=server.port):
            wait_for(lambda: page.state() == "live", "the page comes back")
            wait_for(lambda: page.number("limit") == 1, "and shows the new server's limit")


def check_tools(server, page):
    """The time shown, the pause, the pin, the values at a time, and what the page saves."""
    page.driver.find_element("css selector", "[data-span='300']").click()
    equal(page.run("return span"), 300, "the time shown")
    page.find("pause").click()
    stopped = page.run("return now()")
    taken = page.run("return points.length")
    wait_for(lambda: page.run("return points.length") > taken + 4, "samples still come")
    equal(page.run("return now()"), stopped, "the time at the right edge of a paused page")
    page.find("pause").click()
    wait_for(lambda: page.run("return now()") > stopped, "the page goes on")

    canvas = page.driver.find_element("css selector", "#tasks canvas")
    page.driver.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys("\ue012")  # to the left
    said = page.run("return document.getElementById('told').textContent")
    check(re.fullmatch(r"5 s ago: limit \d+, in flight \d+, waiting \d+, workers \d+", said), f"it says {said!r}")

    columns, first, *_ = page.run("return csv_text()").splitlines()
    check(columns.startswith("time,limit,in_flight,waiting,goodput,") and columns.endswith("load,pin"), columns)
    equal(len(first.split(",")), len(columns.split(",")), "the number of columns")
    check(page.run("return picture().toDataURL()").startswith("data:image/png;base64,"), "the picture of all charts")

    server.turn(pin=9)
    warning = "return document.getElementById('warning').textContent"
    wait_for(lambda: page.run(warning).startswith("The limit is pinned to 9 by an operator."), "the pin is shown")
    server.turn(pin=0)
    wait_for(lambda: page.run("return document.getElementById('warning').hidden || !" + warning[7:] + ".includes('pinned')"),
             "the pin is no longer shown", 2 * TIMEOUT)


TESTS = {
    "routes": [test_program, test_pages, test_knobs, test_full_guard, test_events, test_stop, test_stop_under_load],
    "hostile": [test_malformed, test_cut, test_slow],
    "browser": [test_browser],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="the program beast_server")
    parser.add_argument("tests", nargs="*", help=", ".join(TESTS))
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="FOLDER",
                        help="where the browser test saves them; docs/dashboard.png is laptop_light.png, and "
                             "docs/dashboard_dark.png is laptop_dark.png")
    parser.add_argument("--axe", type=pathlib.Path, metavar="FILE",
                        help="axe.min.js, of npm's package axe-core: the browser test checks the page with it")
    parser.add_argument("--soak", type=int, metavar="SECONDS", help="run all kinds of clients at once, for so long")
    chosen = parser.parse_args()
    if unknown := set(chosen.tests) - set(TESTS):
        parser.error(f"there is no test {', '.join(unknown)}")
    try:
        for name in chosen.tests:
            for test in TESTS[name]:
                start = time.monotonic()
                if test is test_browser:
                    test(chosen.server, chosen.screenshots, chosen.axe)
                else:
                    test(chosen.server)
                print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)
        if chosen.soak:
            soak(chosen.server, chosen.soak)
    except Skipped as reason:
        print(f"skipped: {reason}")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
