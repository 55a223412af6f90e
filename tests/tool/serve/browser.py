"""browser.py: a headless Chromium for tests, by Selenium and the DevTools protocol.

It prints `skipped: ` and why, and ends the program with status 77, where no browser runs.
"""

import base64
import os
import shutil
import sys

WAIT_S, SKIPPED = 60, 77


def skip(why):
    """Ends the test as one that cannot run here."""
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def start(folder):
    """A browser whose files lie in the folder. Its path is short: a socket lies there, too."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        skip("no chromium or no chromedriver (apt-get install chromium chromium-driver)")
    try:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        skip("no selenium (apt-get install python3-selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # The browser's own sandbox needs another user than root, or namespaces; it opens this test's
    # page only. Its memory lies in the folder, since /dev/shm is the heaps'.
    words = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-extensions", "--no-proxy-server", f"--user-data-dir={folder}/profile"]
    for word in words:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ.update(HOME=folder, TMPDIR=folder, XDG_CONFIG_HOME=folder, XDG_CACHE_HOME=folder)
    try:
        return webdriver.Chrome(service=Service(chromedriver), options=options)
    except WebDriverException as error:
        return skip(f"chromium does not start: {error.msg}")


class Page:
    """A page in the browser."""

    def __init__(self, driver):
        self.driver = driver

    def run(self, script, *arguments):
        """What the script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, what, *arguments):
        """Waits until the expression is true, and returns it."""
        return self.until(lambda: self.run(f"return ({script})", *arguments), what)

    def until(self, function, what):
        """Calls the function until it returns something that is true, and returns that."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait
        try:
            return WebDriverWait(self.driver, WAIT_S, 0.05).until(lambda _: function())
        except TimeoutException:
            text = self.run("return document.body.innerText")
            raise AssertionError(f"not so: {what}; the page says:\n{text}") from None

    def keys(self, *keys):
        """Presses keys, one after another, where the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains
        ActionChains(self.driver).send_keys(*keys).perform()

    def point(self, element, x, y):
        """Moves the pointer to a place of an element, counted from its upper left corner."""
        box = self.run("const b = arguments[0].getBoundingClientRect(); return [b.x, b.y]", element)
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {
            "type": "mouseMoved", "x": box[0] + x, "y": box[1] + y})

    def screen(self, width, height, scheme):
        """A width and height in pixels; light or dark."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def shot(self, path):
        """A picture of the whole page, as PNG."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def faults(self):
        """Errors and warnings of the page since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING")]
