#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Overloads a server in front of a simulated service, and checks what its clients get. It does not depend on the speed
of this machine: the clients go on until the guard has rejected a request. With `drains` after the name of the program,
also stops it under that load, and checks that each request gets an answer."""

import concurrent.futures
import contextlib
import http.client
import re
import subprocess
import sys
import threading
import time

TIMEOUT = 60  # seconds to wait for what takes a moment: busy machines are slow
CLIENTS = 40  # each sends its next request when it has the answer to the last; so the service, which works on two at
REQUESTS = 5  # once, is asked for much more than twice of what it can do


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def get(port, path):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def work(port):
    """Sends some requests. Returns the statuses of the answers."""
    statuses = []
    for _ in range(REQUESTS):
        status, headers, body = get(port, "/work")
        statuses.append(status)
        if status == 200:
            check(body == "rows of /work\n", f"a 200 says {body!r}")
        else:
            check(status == 503, f"the status is {status}")
            check(1 <= int(headers["Retry-After"] or 0) <= 180, f"Retry-After is {headers['Retry-After']}")
    return statuses


def metrics(port):
    """The values, summed up over their labels."""
    status, headers, text = get(port, "/metrics")
    check(status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4", f"/metrics: {status}")
    sums = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = re.fullmatch(r'(\w+)\{guard="database".*\} (\S+)', line).groups()
            sums[name] = sums.get(name, 0) + float(value)
    return sums


def test(port):
    answers = []
    end = time.monotonic() + TIMEOUT
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        while not {200, 503} <= set(answers):
            check(time.monotonic() < end, f"still only {set(answers)}")
            for done in [clients.submit(work, port) for _ in range(CLIENTS)]:
                answers += done.result()
    served, rejected = answers.count(200), answers.count(503)

    m = metrics(port)
    check(m["flowguard_in_flight"] == 0 and m["flowguard_waiting"] == 0, f"all permits are back: {m}")
    check(m["flowguard_tasks_total"] == served, f"{served} answers 200, but: {m}")
    check(m["flowguard_rejected_total"] == rejected, f"{rejected} answers 503, but: {m}")
    check(get(port, "/work")[0] == 200, "the answer after the overload")
    print(f"{served} answers 200, {rejected} answers 503, limit {m['flowguard_limit']:.0f}")


def stop_under_load(server, port):
    """Stops the server while clients send one request after another, until they are told that no other one may follow.
    Checks that no request is without an answer."""
    statuses = []
    connected = threading.Semaphore(0)

    def client():
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as connection:
            answers = []
            while not answers or not answers[-1].will_close:
                connection.request("GET", "/work")
                answers.append(connection.getresponse())
                answers[-1].read()
                if len(answers) == 1:
                    connected.release()
            statuses.extend(answer.status for answer in answers)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        tasks = [clients.submit(client) for _ in range(CLIENTS)]
        for task in tasks:
            task.add_done_callback(lambda _: connected.release())  # also a client that fails
        for _ in tasks:
            connected.acquire()
        server.terminate()
        for task in tasks:
            task.result()  # raises what the client raised
    check({200} <= set(statuses) <= {200, 503}, f"the statuses are {set(statuses)}")


def main():
    for arguments, code in (["--help"], 0), (["--wrong"], 2):
        done = subprocess.run([sys.argv[1], *arguments], capture_output=True, timeout=TIMEOUT)
        check(done.returncode == code, f"the exit code of {arguments} is {done.returncode}")
    command = [sys.argv[1], "--port", "0", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            port = int(re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)/\n", line)[1])
            test(port)
            taken = subprocess.run([sys.argv[1], "--port", str(port)], capture_output=True, timeout=TIMEOUT)
            check(taken.returncode == 1, f"the exit code with a port that is taken is {taken.returncode}")
            if sys.argv[2:] == ["drains"]:
                stop_under_load(server, port)
            else:
                server.terminate()
            check(server.wait(TIMEOUT) == 0, f"the exit code is {server.returncode}")
        finally:
            server.kill()


if __name__ == "__main__":
    main()
