"""The page in a real Chromium, served by the agent as a process; its model server is a mock."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.standalone.broker import free_port
from product import Product, jpeg, running_product

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="scripts/chromium installs Playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="scripts/chromium installs Chromium"),
]
KEYS = {"operator": "key-of-the-operator", "gate": "key-of-the-camera-1"}
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "tokens").write_text("".join(f"{name}:{key}\n" for name, key in KEYS.items()))
    http = {
        "listen": f"127.0.0.1:{free_port()}",
        "token_file": str(folder / "tokens"),
        "page": {"pictures": True},
    }
    with running_product(folder, ("mock",), http=http) as product:
        yield product


@pytest.fixture(scope="module")
def browser(site: Product) -> Iterator[Any]:  # after the agent, which starts outside of its event loop
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visit:
    """One open page.

    Attributes:
        faults: console errors, exceptions, and requests to other hosts.
    """

    def __init__(self, browser: Any, site: Product, **context: Any) -> None:
        self.site = site
        self.url = f"http://{site.site['http']['listen']}/"
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._request)
        self.page.goto(self.url)

    def sign_in(self, key: str = KEYS["operator"]) -> Any:
        self.page.get_by_label("Token").fill(key)
        self.page.keyboard.press("Enter")
        return self.page

    def ask(self, question: str | None = None) -> dict[str, Any]:
        """Asks as a camera, and returns the answer."""
        image, asked = jpeg()
        url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
        content = [
            {"type": "text", "text": question or asked},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        request = urllib.request.Request(
            f"{self.url}v1/chat/completions",
            json.dumps({"messages": [{"role": "user", "content": content}]}).encode(),
            {"Authorization": f"Bearer {KEYS['gate']}"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            about: dict[str, Any] = json.load(response)["inarvl"]
        return about

    def _console(self, message: Any) -> None:
        expected = (
            "401" in message.text or "403" in message.text
        )  # Chromium logs them; the page asks for a token
        if message.type in ("error", "warning") and not expected:
            self.faults.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.faults.append(request.url)


@pytest.fixture
def visit(browser: Any, site: Product) -> Iterator[Visit]:
    visit = Visit(browser, site, reduced_motion="reduce")
    yield visit
    visit.context.close()
    assert visit.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_readable_in_each_colour_scheme_and_width(
    browser: Any, site: Product, scheme: str, width: int
) -> None:
    visit = Visit(browser, site, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visit.sign_in()
    visit.ask("W" * 300)
    page.locator(".answer").first.wait_for()
    page.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("body", ".card", ".note", ".tier", "button", "dt"):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    visit.context.close()
    assert visit.faults == []


CONTRAST = """element => {
    const light = (colour) => {
        const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const colours = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
    const [low, high] = colours.map(light);
    return (Math.max(low, high) + 0.05) / (Math.min(low, high) + 0.05);
}"""


def test_a_wrong_token_is_refused_and_one_of_a_camera_too(visit: Visit) -> None:
    for key, reason in (("wrong", "valid token"), (KEYS["gate"], "operator")):
        visit.sign_in(key)
        playwright.expect(visit.page.get_by_role("alert")).to_contain_text(reason)
        assert visit.page.evaluate("sessionStorage.length") == 0
    playwright.expect(visit.sign_in().get_by_text("Live")).to_be_visible()


def test_the_mode_is_set_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit.sign_in()
    playwright.expect(page.get_by_label("Auto")).to_be_checked()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Shift+Tab")
    playwright.expect(page.get_by_label("Auto")).to_be_focused()
    page.keyboard.press("ArrowRight")
    playwright.expect(page.get_by_role("status").filter(has_text="Mode set: Board")).to_be_visible()
    assert "local" in (visit.site.folder / "mode.json").read_text()
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.get_by_role("status").filter(has_text="Mode set: Auto")).to_be_visible()
    playwright.expect(page.get_by_label("Auto")).to_be_checked()


def test_feedback_is_given_with_the_keyboard_alone(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask("Is the gate open?")
    thumb = page.get_by_role("button", name="Correct: Is the gate open?").first
    thumb.wait_for()
    page.get_by_role("button", name="Pause the list").focus()
    page.keyboard.press("Tab")
    playwright.expect(thumb).to_be_focused()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("status").filter(has_text="Feedback sent: correct")).to_be_visible()
    playwright.expect(thumb).to_have_attribute("aria-pressed", "true")
    visit.ask("Is the door open?")
    time.sleep(2)  # the list waits while its button has the focus
    playwright.expect(thumb).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.get_by_role("heading", name="Is the door open?").wait_for()


def test_a_hostile_question_is_only_text(visit: Visit) -> None:
    page = visit.sign_in()
    visit.ask(HOSTILE)
    playwright.expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    assert page.title() == "inarvl e2e"
    assert page.locator("#answers script, #answers img:not([src^='data:image/'])").count() == 0


def test_an_answer_has_its_reason_picture_and_predicted_costs_but_not_its_secret(visit: Visit) -> None:
    page = visit.sign_in()
    page.get_by_text("Live").wait_for()
    about = visit.ask("Who is at the gate?")
    answer = page.locator(".answer", has_text="Who is at the gate?").first
    playwright.expect(answer).to_contain_text(about["reason"])
    playwright.expect(answer.locator("img")).to_be_visible()
    answer.locator("summary").click()
    playwright.expect(answer.locator("tbody tr").first).to_contain_text("ms")
    assert about["decision_id"] not in page.content()
    playwright.expect(page.locator("#shares-text")).to_have_text(re.compile(r"[1-9]\d* on the board"))


def test_it_follows_the_agent_through_a_restart(visit: Visit, tmp_path: Path) -> None:
    page = visit.sign_in()
    visit.ask("Before the restart?")
    page.get_by_role("heading", name="Before the restart?").first.wait_for()
    visit.site.services["agent"].stop()
    page.get_by_text("trying again").wait_for()
    visit.site.start("agent").wait_ready(60.0, lambda _status: None)
    page.get_by_text("Live").wait_for(timeout=60_000)
    playwright.expect(page.get_by_role("heading", name="Before the restart?")).to_have_count(0)
    visit.faults = [fault for fault in visit.faults if "net::ERR_" not in fault]  # while it was stopped
