"""The page of `hsisr view` in headless Chromium; needs chromium-driver and the extra clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.program import succeed

pytest.importorskip("selenium")  # not one of the packages that other tests need
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from hsisr.commands.options import ViewOptions
from hsisr.commands.view import view
from hsisr.io.open import open_scene
from hsisr.tiling import Window
from hsisr.view.figure import bicubic_values
from tests.clients.browser import chromium, seen

pytestmark = pytest.mark.clients
THEMES = ("light", "dark")
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("view")
    scene, result = folder / "indian-pines.hdr", folder / "finer.tif"
    succeed("sample", scene)
    succeed("upscale", scene, "-s", 2, "-o", result)
    made = view(scene, [result], folder / "page.html", ViewOptions(uncertainty=result))
    return scene, result, made.output


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


def opened(browser: Chrome, page: Path, width: int = 1280, theme: str = "light") -> None:
    seen(browser, page.as_uri(), width, theme)
    WebDriverWait(browser, 120).until(
        lambda d: d.execute_script("return document.documentElement.dataset.ready") == "yes"
    )


def told(browser: Chrome) -> str:
    return browser.find_element(By.ID, "told").text


def value_of(browser: Chrome, name: str) -> Any:
    return browser.find_element(By.ID, name).get_attribute("value")


def test_nothing_is_fetched_and_nothing_fails(browser: Chrome, files: tuple[Path, ...]) -> None:
    browser.get_log("performance")
    opened(browser, files[2])
    requests = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
        and '"url":"data:' not in entry["message"]
    ]
    assert len(requests) == 1, requests
    assert "page.html" in requests[0]
    assert browser.get_log("browser") == []


def test_a_click_shows_the_spectra_of_that_pixel(browser: Chrome, files: tuple[Path, ...]) -> None:
    opened(browser, files[2])
    viewer = browser.find_element(By.ID, "viewer")
    ActionChains(browser).move_to_element_with_offset(viewer, 40, -30).click().perform()
    row, col = (int(value_of(browser, name)) for name in ("row", "col"))
    browser.find_element(By.TAG_NAME, "summary").click()
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#values tr')].map((r) => [...r.cells].map((c) => "
        "c.textContent))"
    )
    with open_scene(files[0]) as observed, open_scene(files[1]) as result:
        bands = range(observed.metadata.bands)
        lr = observed.read(Window(row // 2, col // 2, 1, 1)).values.ravel()
        hr = result.read(Window(row, col, 1, 1)).values.ravel()
        plain = bicubic_values(observed, Window(row // 2, col // 2, 1, 1), bands, 2)
    plain = plain[:, row % 2, col % 2]
    shown = {int(r[0]) - 1: [float(text) for text in r[2:5]] for r in rows}
    expected = np.stack([lr, plain, hr], axis=1)
    span = 8000 / 2**12
    np.testing.assert_allclose([shown[b] for b in bands], expected, atol=span)


def test_keys_and_fields_move_pixel_and_swipe(browser: Chrome, files: tuple[Path, ...]) -> None:
    opened(browser, files[2])
    before = int(value_of(browser, "row")), int(value_of(browser, "col"))
    viewer = browser.find_element(By.ID, "viewer")
    viewer.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert (int(value_of(browser, "row")), int(value_of(browser, "col"))) == (
        before[0] + 1,
        before[1] + 2,
    )
    field = browser.find_element(By.ID, "row")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("3", Keys.TAB)
    assert told(browser).startswith("Row 3, ")
    browser.find_element(By.ID, "swipe").send_keys(Keys.HOME)
    clip = browser.execute_script("return document.getElementById('over').style.clipPath")
    assert clip == "inset(0px 100% 0px 0px)"


def test_colours_bands_ratio_change_the_picture(browser: Chrome, files: tuple[Path, ...]) -> None:
    opened(browser, files[2])
    picture = "return document.getElementById('under').toDataURL()"
    seen = {browser.execute_script(picture)}
    colours = Select(browser.find_element(By.ID, "colours"))
    for mode in ("infrared", "ratio", "bands"):
        colours.select_by_value(mode)
        seen.add(browser.execute_script(picture))
    Select(browser.find_element(By.ID, "red")).select_by_index(5)
    seen.add(browser.execute_script(picture))
    assert len(seen) >= 4
    Select(browser.find_element(By.ID, "right")).select_by_index(0)
    assert browser.find_element(By.ID, "name-right").text == "observed"


def test_overview_counts_in_pixels_of_the_scene(browser: Chrome, files: tuple[Path, ...]) -> None:
    opened(browser, files[2])
    Select(browser.find_element(By.ID, "view")).select_by_value("-1")
    WebDriverWait(browser, 60).until(
        lambda _: browser.find_element(By.ID, "name-right").text == "observed"
    )
    assert told(browser).startswith("Row 30, column 30, ")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_legible(browser: Chrome, files: tuple[Path, ...], width: int, theme: str) -> None:
    opened(browser, files[2], width, theme)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    ink, paper = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    light = [sum(map(int, c[4:-1].split(", "))) / 765 for c in (ink, paper)]
    assert (light[0] - light[1] > 0) == (theme == "dark")
    assert abs(light[0] - light[1]) > 0.7
