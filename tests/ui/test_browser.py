"""The pages in a real browser: silent consoles, nothing from elsewhere, live, for everyone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.samples import DIGITS, made
from tests.acceptance.test_durability import start_penguins
from tests.routes.test_diagnoses import DEEP, SLOW, TABLE
from tests.support import PATIENCE_SECONDS, Server, server, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
HIDE = """
Object.defineProperty(document, "hidden", { value: true, configurable: true });
document.dispatchEvent(new Event("visibilitychange"));
"""
TWO = {"layers": [{"type": "dense", "units": 5, "activation": "tanh"}] * 2}
LONG = {"training": {"epochs": 100_000, "batch_size": 16, "early_stopping": None}}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, where there is one; BROWSER_TESTS=required makes its absence a failure."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None  # type: ignore[assignment]
    if CHROMIUM is None or sync_playwright is None:
        reason = "expected Chromium on the path and pip install 'chainrule[browser]'"
        (pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip)(reason)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("pages") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def places(served: Server) -> dict[str, str]:
    """A run that went well and one that did not, and the addresses of their pages."""
    well = served.client.wait(
        start_penguins(served.client, training={"epochs": 20}).id, timeout_seconds=PATIENCE_SECONDS
    )
    table = served.client.upload_bytes(TABLE, name="<b>odd</b>")
    sick = served.client.create_run(
        dataset=table.id,
        target="label",
        network={"layers": DEEP},
        training=SLOW,
        name="</script><img src=x onerror=alert(1)>",
    )
    served.client.wait(sick.id, timeout_seconds=PATIENCE_SECONDS)
    until(lambda: served.client.doctor(sick.id).findings, what="findings")
    runs = {"well": f"/runs/{well.id}", "sick": f"/runs/{sick.id}"}
    found = {"runs": "/runs", "datasets": "/datasets", "new": "/new", "login": "/login", "system": "/system", **runs}
    found |= {
        f"{name} {page}": f"{place}/{page}" for name, place in runs.items() for page in ("flow", "evaluation", "try")
    }
    found["walk"] = f"{runs['well']}/walk?row=3&address=dW.1%5B0,0%5D"
    found["sick doctor"] = f"{runs['sick']}/doctor"
    found["compare"] = f"/compare?run={well.id}&run={sick.id}"
    plane = served.client.upload_bytes(made.plane("moons", rows=80, noise=0.2, seed=0), name="moons")
    asked = {"target": "class", "network": TWO, "training": {"epochs": 30}}
    played = served.client.create_run(dataset=plane.id, name="moons", **asked)
    served.client.wait(played.id, timeout_seconds=PATIENCE_SECONDS)
    found |= {"plane": f"/runs/{played.id}/boundary", "learn": "/learn", "lesson": "/learn/vanishing"}
    held = httpx.post(f"{served.url}/files", files={"file": ("own.csv", TABLE)}, headers={"Accept": "text/html"})
    found["look"] = held.headers["location"]
    found |= {"playground": "/playground?kind=spirals", "network": f"{runs['well']}/network"}
    found |= {"layer over time": f"{runs['well']}/layers/1?over=time"}
    return found | {"layer": f"{runs['sick']}/layers/1?step=3", "dataset": f"/datasets/{well.dataset.id}"}


class Looked:
    """What a page asked for, and what it complained of."""

    def __init__(self, browser: Any, served: Server, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request",
            lambda asked: None if asked.url.startswith((served.url, "data:")) else self.foreign.append(asked.url),
        )


SCREENS = (
    "runs", "datasets", "new", "login", "well", "sick", "well flow", "sick flow", "well evaluation", "sick evaluation",
    "well try", "sick try", "layer", "dataset", "compare", "system", "sick doctor", "walk",
    "network", "layer over time", "learn", "lesson", "playground", "plane", "look",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_is_silent_our_own_and_for_everyone(
    browser: Any, served: Server, places: dict[str, str], screen: str, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    looked = Looked(
        browser, served, color_scheme=scheme, viewport={"width": 390 if scheme == "dark" else 1200, "height": 800}
    )
    looked.page.goto(f"{served.url}{places[screen]}", wait_until="networkidle" if screen != "well" else "load")

    found = Axe().run(looked.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})

    assert (looked.complaints, looked.foreign) == ([], [])
    assert [(each["id"], [node["html"] for node in each["nodes"][:3]]) for each in found.response["violations"]] == []
    widths = looked.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], "nothing is wider than the screen"
    looked.context.close()


def test_the_apis_documentation_opens_without_the_internet(browser: Any, served: Server) -> None:
    looked = Looked(browser, served)
    looked.page.goto(f"{served.url}/docs")

    looked.page.wait_for_selector(".opblock", timeout=PATIENCE_SECONDS * 1000)

    assert (looked.complaints, looked.foreign) == ([], [])
    looked.context.close()


def test_a_run_is_followed_as_it_trains_past_a_restart_of_the_server(browser: Any, tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        run = start_penguins(served.client, **LONG)
        until(lambda: served.client.run(run.id).epoch > 1, what="an epoch")
        looked = Looked(browser, served)
        looked.page.goto(f"{served.url}/runs/{run.id}")
        marked = "document.querySelector('h1').dataset.mark"
        looked.page.evaluate(f"{marked} = 'still this document'")

        def told() -> str:
            return str(looked.page.inner_text("[data-live] .facts"))

        first = told()
        looked.page.wait_for_function(
            "first => document.querySelector('[data-live] .facts').innerText !== first", arg=first
        )
        served.kill()
        served.start()
        second = told()
        looked.page.wait_for_function(
            "second => document.querySelector('[data-live] .facts').innerText !== second",
            arg=second,
            timeout=PATIENCE_SECONDS * 1000,
        )
        served.client.cancel(run.id)
        looked.page.wait_for_selector(".pill.cancelled", timeout=PATIENCE_SECONDS * 1000)

        assert looked.page.evaluate(marked) == "still this document"
        assert "cancelled" in looked.page.inner_text("[data-told]")
        looked.context.close()


def test_a_run_is_followed_where_streams_do_not_pass(browser: Any, tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        run = start_penguins(served.client, **LONG)
        until(lambda: served.client.run(run.id).epoch > 1, what="an epoch")
        looked = Looked(browser, served)
        asked: list[str] = []
        looked.page.route("**/events?**", lambda route: (asked.append(route.request.url), route.abort()))
        looked.page.goto(f"{served.url}/runs/{run.id}")
        first = looked.page.inner_text("[data-live] .facts")

        looked.page.wait_for_function(
            "first => document.querySelector('[data-live] .facts').innerText !== first",
            arg=first,
            timeout=PATIENCE_SECONDS * 1000,
        )
        served.client.cancel(run.id)
        looked.page.wait_for_selector(".pill.cancelled", timeout=PATIENCE_SECONDS * 1000)

        assert asked, "the stream was tried"
        looked.context.close()


def test_a_chart_tells_its_numbers_and_zooms(browser: Any, served: Server, places: dict[str, str]) -> None:
    looked = Looked(browser, served)
    looked.page.goto(f"{served.url}{places['well']}")
    box = looked.page.locator("#loss svg").bounding_box()
    y = box["y"] + box["height"] / 2

    looked.page.mouse.move(box["x"] + box["width"] * 0.3, y)
    told = looked.page.inner_text("#loss .tip").splitlines()
    looked.page.mouse.down()
    looked.page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=5)
    looked.page.mouse.up()
    looked.page.wait_for_url("**from=*")

    run = served.client.run(places["well"].removeprefix("/runs/"))
    epoch = int(told[0])
    losses = served.client.losses(run.id)
    assert float(told[1].removeprefix("train: ")) == pytest.approx(losses["train.loss"][epoch - 1], rel=1e-3)
    assert f"from={epoch}&" in looked.page.url
    assert looked.complaints == []
    looked.context.close()


def test_the_plane_is_played_from_epoch_to_epoch(browser: Any, served: Server, places: dict[str, str]) -> None:
    looked = Looked(browser, served)
    looked.page.goto(f"{served.url}{places['plane']}")
    first = "document.querySelector('[data-film] .film img').src"
    shown = "document.querySelector('[data-film] figure image').getAttribute('href')"
    last = looked.page.evaluate(shown)

    looked.page.click("button:text-is('Play')")
    looked.page.wait_for_function(f"() => {shown} === {first}", timeout=PATIENCE_SECONDS * 1000)
    looked.page.wait_for_function(f"() => {shown} !== {first}", timeout=PATIENCE_SECONDS * 1000)
    looked.page.click("button:text-is('Stop')")
    looked.page.focus("input[type=range]")
    looked.page.keyboard.press("Home")
    looked.page.wait_for_url("**epoch=0", timeout=PATIENCE_SECONDS * 1000)

    assert looked.page.evaluate(shown) != last
    assert "after epoch 0" in looked.page.inner_text("#boundary h3")
    assert looked.complaints == []
    looked.context.close()


def test_a_number_shows_its_factors_under_the_pointer(browser: Any, served: Server, places: dict[str, str]) -> None:
    looked = Looked(browser, served)
    looked.page.goto(f"{served.url}{places['walk']}")
    link = looked.page.locator(".math a[href*='dZ.1']").first

    link.hover()
    looked.page.wait_for_selector(".peek table")
    told = looked.page.inner_text(".peek")
    looked.page.keyboard.press("Escape")

    assert "dZ.1[0,0]" in told
    assert looked.page.locator(".peek").count() == 0
    link.focus()
    looked.page.wait_for_selector(".peek table")
    assert looked.complaints == []
    looked.context.close()


def test_a_matrix_tells_the_number_under_the_pointer(browser: Any, served: Server, places: dict[str, str]) -> None:
    looked = Looked(browser, served)
    place = f"{places['well']}/layers/1?step=1"
    looked.page.goto(f"{served.url}{place}")
    figure = '[id="W.1.matrix"]'
    looked.page.locator(f"{figure} image").scroll_into_view_if_needed()
    box = looked.page.locator(f"{figure} image").bounding_box()
    numbers = httpx.get(f"{served.url}{place}&figure=W.1.matrix&as=csv").text.splitlines()

    looked.page.mouse.move(box["x"] + 1, box["y"] + 1)

    told = looked.page.inner_text(f"{figure} .tip")
    assert told.startswith("0 → 0: ")
    assert float(told.split(": ")[1]) == pytest.approx(float(numbers[1].split(",")[1]), rel=1e-2)
    assert looked.complaints == []
    looked.context.close()


def test_an_image_is_drawn_and_what_is_said_follows(browser: Any, served: Server) -> None:
    dataset = served.client.upload_bytes(DIGITS.content(), name="digits")
    run = served.client.create_run(dataset=dataset.id, target="digit", training={"epochs": 5})
    served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
    looked = Looked(browser, served)
    looked.page.goto(f"{served.url}/runs/{run.id}/try")
    box = looked.page.locator("canvas.pad").bounding_box()
    answers = "document.querySelector('[data-answers]').innerText"
    before = looked.page.evaluate(answers)

    looked.page.click("text=Clear")
    for share in (0.15, 0.5, 0.85):  # a one: a line down the middle
        looked.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * share)
        looked.page.mouse.down()
    looked.page.mouse.up()

    looked.page.wait_for_function("() => document.querySelector('[data-answers] h3').innerText === 'digit: 1'")
    assert looked.page.evaluate(answers) != before
    middle = looked.page.evaluate("document.querySelector('[name=pixel_3_3]').value")
    edge = looked.page.evaluate("document.querySelector('[name=pixel_3_7]').value")
    assert float(middle) > 0
    assert float(edge) == 0
    assert looked.complaints == []
    looked.context.close()


def test_nine_pages_of_a_run_open_at_once(browser: Any, tmp_path: Path) -> None:
    """A browser has six connections to a host: a page that nobody sees must hold none."""
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        run = start_penguins(served.client, **LONG)
        context = browser.new_context()
        for _ in range(9):
            page = context.new_page()
            page.goto(f"{served.url}/runs/{run.id}", timeout=PATIENCE_SECONDS * 1000)
            assert page.inner_text("h1")
            page.evaluate(HIDE)
        served.client.cancel(run.id)
        context.close()


def test_without_scripts_a_run_is_read_and_started(browser: Any, served: Server, places: dict[str, str]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}{places['sick']}")
    page.click("text=Start a run with this fix")
    page.wait_for_url("**/runs/run_*")

    assert "mended" in page.inner_text("h1")
    assert page.locator("svg.chart").count() + page.locator("p.quiet").count() > 0
    context.close()


PICTURE = Path(__file__).parents[2] / "docs" / "run-page.png"
MOST_BYTES = 150_000


def test_the_readmes_picture_is_a_runs_page(browser: Any, tmp_path: Path) -> None:
    """It is drawn anew where README_PICTURE is set."""
    network = {"layers": [{"type": "dense", "units": 24, "activation": "sigmoid"}] * 5}
    training = {"epochs": 30, "optimizer": {"type": "sgd", "learning_rate": 0.1}}
    asked = {"target": "digit", "network": network, "training": training, "name": "digits, five layers of sigmoids"}
    with server(tmp_path / "data") as served:
        dataset = served.client.upload_bytes(DIGITS.content(), name="digits")
        run = served.client.create_run(dataset=dataset.id, **asked)
        served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
        until(lambda: served.client.doctor(run.id).findings, what="findings")
        page = browser.new_page(viewport={"width": 1100, "height": 1000}, color_scheme="light")
        page.goto(f"{served.url}/runs/{run.id}")
        picture = page.screenshot()
        page.close()

    if os.environ.get("README_PICTURE"):
        PICTURE.write_bytes(picture)
    kept = PICTURE.read_bytes()
    assert kept[16:24] == picture[16:24], "it has the size of today's"
    assert len(kept) <= MOST_BYTES
