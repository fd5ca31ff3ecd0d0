"""Runs the demo and takes the pictures of its page for the documentation, with Debian's Chromium.

    python -m lab.demo.screenshots [--seconds 60] [--folder docs/pictures]

`scripts/chromium` installs Chromium and Playwright.
"""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
COLOURS = 64
View = tuple[Literal["light", "dark"], int, int, str | None]
"""Colour scheme, width and height in pixels, and what to scroll to."""
VIEWS: dict[str, View] = {
    "light": ("light", 1000, 1000, None),
    "answers": ("light", 1000, 560, "#answers-title"),
    "phone": ("dark", 390, 844, None),
}

app = typer.Typer(add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(min=1, help="How long the demo runs before.")] = 90.0,
    folder: Path = Path("docs/pictures"),
) -> None:
    """Write page-light.png and its like."""
    command = [sys.executable, "-m", "lab.demo", "--every-s", "0.5"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None, "it is a pipe"
        url = next(line.removeprefix("page: ").strip() for line in demo.stdout if line.startswith("page: "))
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            waiting = browser.new_page()
            waiting.goto(url)  # pictures are made only while a page is open
            time.sleep(seconds)
            for name in VIEWS:
                (folder / f"page-{name}.png").write_bytes(_picture(browser, url, name))
            browser.close()
    finally:
        demo.send_signal(signal.SIGINT)  # so that it stops its services
        demo.communicate()


def _picture(browser: Browser, url: str, name: str) -> bytes:
    scheme, width, height, target = VIEWS[name]
    page = browser.new_page(
        color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page.goto(url)
    page.locator(".answer").first.wait_for()
    if target is not None:
        page.get_by_text("Predicted costs of").first.click()
        page.locator(target).evaluate("heading => heading.scrollIntoView()")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    file = io.BytesIO()
    picture.quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    app()
