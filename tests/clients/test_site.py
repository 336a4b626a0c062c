"""The documentation site in headless Chromium; needs chromium-driver, hsisr[clients,docs]."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("selenium")
pytest.importorskip("zensical")
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.clients.browser import chromium, seen

pytestmark = pytest.mark.clients
DOCS = Path(__file__).parents[2] / "docs"
FAULTS = """
const faults = [], width = document.documentElement.clientWidth;
const inside = (e) => e.getBoundingClientRect().right <= width + 1;
const scrolls = (e) => e && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) ? inside(e)
  : scrolls(e.parentElement));
if (document.documentElement.scrollWidth > width) faults.push("the page is wider than the screen");
for (const e of document.querySelectorAll("article table, article pre"))
  if (!inside(e) && !scrolls(e)) faults.push(`clipped: ${e.textContent.trim().slice(0, 40)}`);
for (const e of document.querySelectorAll("article td code"))
  if (e.getClientRects().length > e.textContent.split(/[\\s\\/.-]/).length + 1)
    faults.push(`broken inside words: ${e.textContent}`);
for (const e of document.querySelectorAll("article img"))
  if (!inside(e) || !e.naturalWidth) faults.push(`picture: ${e.src}`);
const blocks = document.querySelectorAll("article pre").length;
const copies = "article .md-clipboard, article .md-code__button[data-md-type=copy]";
const buttons = document.querySelectorAll(copies).length;
if (buttons < blocks) faults.push(`${blocks} blocks of code, ${buttons} buttons to copy them`);
return faults;
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    zensical = Path(sys.executable).with_name("zensical")
    subprocess.run([zensical, "build", "--strict", "-f", DOCS / "mkdocs.yml"], check=True)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(DOCS / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_clipped_code_can_be_copied(browser: Chrome, address: str, width: int) -> None:
    faults = {}
    for page in sorted((DOCS / "src").rglob("*.md")):
        place = page.relative_to(DOCS / "src").with_suffix("").as_posix()
        seen(browser, address + ("" if place == "index" else f"{place}/"), width, "light")
        assert "404" not in browser.title
        if found := browser.execute_script(FAULTS):
            faults[place] = found
    assert faults == {}


def test_the_theme_can_be_switched(browser: Chrome, address: str) -> None:
    seen(browser, address, 1280, "light")
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(paper)
    [shown] = [
        e
        for e in browser.find_elements(By.CSS_SELECTOR, "label[for^=__palette]")
        if e.is_displayed()
    ]
    shown.click()
    assert browser.execute_script(paper) != before
