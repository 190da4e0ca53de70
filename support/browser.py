# SPDX-License-Identifier: MIT
"""A page in headless Chromium, for the tests of the dashboard and of the site."""

import base64
import os
import time


class Skipped(Exception):
    """Something that a test needs is missing."""


class Browser:
    def __init__(self, url, timeout):
        """Opens the page. The time-out, in seconds, is that of loading a page, and of looking at it."""
        try:
            from selenium import webdriver
            from selenium.webdriver.chrome.options import Options
            from selenium.webdriver.chrome.service import Service
        except ImportError:
            raise Skipped("there is no selenium (Debian: python3-selenium)") from None
        options = Options()
        for path in "/usr/bin/chromium", "/usr/bin/chromedriver":
            if not os.path.exists(path):
                raise Skipped(f"there is no {path} (Debian: chromium, chromium-driver)")
        options.binary_location = "/usr/bin/chromium"
        for argument in "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars":
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(timeout)
        self.driver.set_script_timeout(timeout)
        self.show(1440, 900)
        self.driver.get(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def run(self, script):
        return self.driver.execute_script(script)

    def find(self, name):
        return self.driver.find_element("id", name)

    def looks(self):
        """Shows the page in each size and in each colours in which it must be readable, and yields the name of that."""
        for name, width, height, ratio in ("laptop", 1440, 900, 1), ("phone", 390, 844, 2):
            for scheme in "light", "dark":
                self.show(width, height, ratio, scheme)
                yield f"{name}_{scheme}"

    def fits(self):
        return self.run("return document.documentElement.scrollWidth") <= self.width

    def show(self, width, height, ratio=1, scheme="light"):
        self.width = width
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": ratio, "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def save(self, path):
        time.sleep(1)  # until the next frames are drawn, in the new size and colours
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture))

    def accessibility(self, axe):
        """What axe-core (https://github.com/dequelabs/axe-core) finds wrong with the page."""
        self.driver.execute_script(axe.read_text())
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")
        if len(found["passes"]) <= 10:
            raise AssertionError(f"axe-core has looked at nothing of the page: {found['passes']}")
        return [f"{v['id']}: {v['help']}: {[node['html'] for node in v['nodes']]}" for v in found["violations"]]

    def complaints(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
