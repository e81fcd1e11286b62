"""Takes the pictures of the README and the docs from a real run of the demo, in a real browser.

    uv run --with playwright python scripts/screenshots.py

Needs Debian's chromium. Starts `overt demo`, waits for its alert, judges it as two people, and writes PNGs
to docs/screenshots/.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "screenshots"
LINK = re.compile(r"^\s+(\w[\w ]*?)\s+(http://127\.0\.0\.1:\d+/login\?token=\w+)", re.MULTILINE)
WIDTH_PX, HEIGHT_PX = 1280, 860


def start_demo(log: Path, data: str) -> subprocess.Popen[bytes]:
    """Start the demo; its links and its log go to `log`."""
    environment = {**os.environ, "OVERT_CACHE_DIR": os.environ.get("OVERT_CACHE_DIR", str(ROOT / ".cache"))}
    command = [sys.executable, "-m", "overt.cli", "demo", "--no-open", "--port", "0", "--data", data]
    return subprocess.Popen(command, stderr=log.open("wb"), env=environment)


def links_in(log: Path, page: Page) -> dict[str, str]:
    """Wait for the login links; name to address."""
    while True:
        links = {match[1]: match[2] for match in LINK.finditer(log.read_text())}
        if len(links) >= 4:
            return links
        page.wait_for_timeout(200)


def sign_in(browser: Browser, link: str, scheme: str) -> Page:
    """Return a page of a person who has just signed in."""
    context = browser.new_context(
        viewport={"width": WIDTH_PX, "height": HEIGHT_PX},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button").first.click()
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def shoot(page: Page, name: str) -> None:
    """Write one picture."""
    page.wait_for_timeout(400)
    page.screenshot(path=TARGET / f"{name}.png", full_page=True)
    print(f"docs/screenshots/{name}.png")


def open_alert(page: Page) -> None:
    """Wait for the alert of the demo and open it."""
    page.locator("a[href*='/alerts/']").first.wait_for(timeout=120_000)
    page.locator("a[href*='/alerts/']").first.click()
    page.wait_for_load_state("networkidle")


def judge(page: Page) -> None:
    """Give this person's verdict: true alert, with the first reason of the list."""
    page.locator("input[type=radio][value=true_alert]").check()
    page.locator("select").first.select_option(index=1)
    page.get_by_role("button", name="Give judgement").click()
    page.wait_for_load_state("networkidle")


def take(browser: Browser, links: dict[str, str]) -> None:
    """Go through the demo's day and photograph it."""
    first = sign_in(browser, links["Operator 1"], "light")
    shoot(first, "waiting")
    open_alert(first)
    shoot(first, "alert")
    judge(first)
    shoot(first, "judged-once")
    second = sign_in(browser, links["Operator 2"], "dark")
    open_alert(second)
    shoot(second, "alert-dark")
    judge(second)
    officer = sign_in(browser, links["Engagement officer"], "light")
    open_alert(officer)
    shoot(officer, "engagement")


def main() -> None:
    """Start, photograph, stop."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        log = Path(folder) / "log"
        demo = start_demo(log, folder)
        try:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            take(browser, links_in(log, browser.new_page()))
            browser.close()
        finally:
            print(log.read_text(), file=sys.stderr)
            demo.send_signal(signal.SIGTERM)
            demo.wait(30)


if __name__ == "__main__":
    main()
