#!/usr/bin/env python3
# SPDX-License-Identifier: MIT

"""Makes the site, and tests it as its readers see it."""

import argparse
import functools
import http.server
import json
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
from browser import Browser, Skipped  # noqa: E402

TIMEOUT = 60  # seconds to load a page

# One page of each kind that the menu does not lead to.
KINDS = ["classflowguard_1_1flow__guard.html", "classflowguard_1_1flow__guard-members.html", "structflowguard_1_1plan.html",
         "retry__after_8hpp.html", "flow__guard_8hpp_source.html", "examples_basic_usage_cpp.html", "benchmarks_lab.html"]

# What a reader may search, and what comes first: a name or a heading, and where it is.
SEARCHES = {"dynamic_semaphore": ("dynamic_semaphore", "typedef"),
            "retry_after": ("retry_after", "function"),
            "flow_guard::run": ("run", "flow_guard"),
            "tenants": ("Many tenants", "Which calls are admitted, wait, or are rejected")}


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_index(site):
    """Each name is in the index that a search must find. site.py has checked that its links lead somewhere."""
    script = (site / "search_index.js").read_text()
    index = json.loads(script.removeprefix("const search_index = ").rstrip(";\n"))
    for name, place in SEARCHES.values():
        equal([entry[:2] for entry in index].count([name, place]), 1, f"how often the index has {name}, {place}")


def test_search(browser, url):
    for query, first in SEARCHES.items():
        browser.driver.get(url)
        field = browser.driver.find_element("css selector", "#search input")
        field.send_keys(query)
        link = browser.driver.find_element("css selector", "#search li a")
        equal(link.text, " ".join(first), f"the first that a search of {query} finds")
        address = link.get_attribute("href")
        field.send_keys("\n")
        equal(browser.driver.current_url, address, f"where a search of {query} leads")
    field = browser.driver.find_element("css selector", "#search input")
    field.send_keys("no such name")
    equal(browser.driver.find_element("css selector", "#search [role=status]").text, "Nothing found", "what the box says")
    field.send_keys("\ue00c")  # Escape
    equal(browser.run("return document.querySelector('#search div').hidden"), True, "whether Escape closes the box")


def test_pages(browser, url, axe):
    menu = browser.run("return [...document.querySelectorAll('nav a')].map(a => a.href)")
    for page in [*menu, *(url + kind for kind in KINDS)]:
        browser.driver.get(page)
        equal(browser.run("return document.querySelectorAll('h1').length"), 1, f"the number of titles of {page}")
        for look in browser.looks():
            equal(browser.fits(), True, f"whether {page} fits, {look}")
            if axe:
                equal(browser.accessibility(axe), [], f"what axe-core finds in {page}, {look}")
    equal(browser.complaints(), [], "what the browser complains about")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doxygen", default="doxygen")
    parser.add_argument("--version", required=True)
    parser.add_argument("--axe", type=pathlib.Path, metavar="FILE",
                        help="axe.min.js, of npm's package axe-core: the pages are checked with it")
    parser.add_argument("folder", type=pathlib.Path, help="for the site; it is emptied first")
    options = parser.parse_args()
    make = [sys.executable, HERE / "site.py", "--doxygen", options.doxygen, "--version", options.version, options.folder]
    subprocess.run(make, check=True)
    test_index(options.folder)

    handler = functools.partial(Quiet, directory=options.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        try:
            with Browser(url, TIMEOUT) as browser:
                test_search(browser, url)
                test_pages(browser, url, options.axe)
        except Skipped as reason:
            print(f"skipped: {reason}")
            return 77
        finally:
            server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
