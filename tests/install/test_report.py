"""The page about a simulation, opened in a browser as a newcomer would."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installing import Install

webdriver = pytest.importorskip("selenium.webdriver")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.install,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are missing"),
]


@pytest.fixture(scope="module")
def runs(installed: Install) -> list[Path]:
    project = installed("mnist", "numpy")
    for options in (["--alpha", "0.3"], ["--alpha", "3", "--aggregator", "fedopt"]):
        project.fednkit("simulate", "--rounds", "5", "--name", options[1], *options)
    folders = sorted((project.folder / "runs").iterdir())
    project.fednkit("report", *map(str, folders), "--output", str(folders[1] / "both.html"))
    return folders


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def shown(browser: Any, page: Path, width: int = 1000) -> Any:
    """Open a page; it must log nothing and ask for nothing but itself."""
    browser.set_window_size(width, 1200)
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    requests = [
        entry["message"]
        for entry in browser.get_log("performance")
        if "Network.requestWillBeSent" in entry["message"]
    ]
    assert requests
    assert all('"url":"file:' in request or '"url":"data:' in request for request in requests)
    return browser


def lines_drawn(browser: Any) -> int:
    """Return how many curves the first figure shows."""
    return len(browser.find_elements("css selector", ".figure .scatterlayer .trace"))


def test_it_says_whether_federation_is_worth_it(runs: list[Path], browser: Any) -> None:
    shown(browser, runs[0] / "report.html")
    headline = browser.find_element("css selector", ".headline").text
    assert headline.startswith("Federated training reaches 0.")
    assert headline.endswith("of the gap.")
    assert len(browser.find_elements("css selector", ".card")) == 4
    titles = [title.text for title in browser.find_elements("css selector", "h2")]
    assert titles == ["How the model learns", "Who gains", "What each site has", "How it was done"]
    assert "fednkit simulate" in browser.find_element("css selector", "pre").text


def test_the_figures_are_drawn_and_described(runs: list[Path], browser: Any) -> None:
    shown(browser, runs[0] / "report.html")
    assert lines_drawn(browser) == 3
    figures = browser.find_elements("css selector", ".figure")
    assert len(figures) == 3
    for figure in figures:
        assert figure.find_elements("css selector", ".scatterlayer .trace, .barlayer .trace")
        assert len(figure.get_attribute("aria-label")) > 40


def test_the_metric_and_the_view_of_the_sites_can_be_switched(
    runs: list[Path], browser: Any
) -> None:
    shown(browser, runs[0] / "report.html")
    switch = "const f = document.querySelectorAll('.figure')[arguments[0]];"
    click = "f.querySelectorAll('.updatemenu-button, .updatemenu-header')"
    assert browser.execute_script(f"{switch} return f.layout.yaxis.title.text", 0) == "accuracy"
    # Plotly's own clicks: the menu is opened first, then the second metric is taken.
    for selector in (".updatemenu-header", ".updatemenu-dropdown-button:last-of-type"):
        browser.execute_script(
            f"{switch} f.querySelector('{selector}').dispatchEvent(new MouseEvent('click'))", 0
        )
    assert browser.execute_script(f"{switch} return f.layout.yaxis.title.text", 0) == "log loss"
    assert lines_drawn(browser) == 3
    browser.execute_script(
        f"{switch} {click}[1].dispatchEvent(new MouseEvent('click', {{bubbles: true}}))", 2
    )
    assert browser.execute_script(f"{switch} return f.layout.barmode", 2) == "group"


def test_it_fits_a_phone_and_a_dark_room(runs: list[Path], browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        shown(browser, runs[0] / "report.html", width=390)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
        background = browser.execute_script(
            "return getComputedStyle(document.body).backgroundColor"
        )
        assert background == "rgb(18, 24, 31)"
        ink = "return document.querySelector('.figure').layout.font.color"
        assert browser.execute_script(ink) == "#e8edf3"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_several_runs_stand_side_by_side(runs: list[Path], browser: Any) -> None:
    shown(browser, runs[1] / "both.html")
    head = browser.find_element("css selector", "thead").text
    assert head.split() == "run aggregator alpha federated alone pooled".split()
    assert len(browser.find_elements("css selector", "tbody")[0].text.splitlines()) == 2
    assert lines_drawn(browser) == 6
