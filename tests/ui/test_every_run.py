"""Every page of every kind of run: whole, or a page that says in words why not; never an error of ours."""

from collections.abc import Iterator

import pytest

from service.samples import DIGITS, PENGUINS
from tests.support import QUICK, TINY, Api, Json
from tests.ui.test_pages import HTML, page, read

PAGES = (
    "", "/flow", "/flow?show=gains", "/flow?show=cosine", "/network", "/network?epoch=0", "/layers/1",
    "/layers/1?over=time", "/layers/1?step=1", "/walk", "/evaluation?part=train", "/try", "/doctor", "/boundary",
)  # fmt: skip
SHORT = {"epochs": 2, "batch_size": 32}
DENSE = {"type": "dense", "units": 5, "activation": "tanh"}
SHAPED = {"shape": [8, 8, 1]}
CONVOLUTION = {"type": "conv2d", "filters": 3, "kernel_size": [3, 3], "activation": "relu"}
TWO = b"x,y,a,b\n" + b"".join(
    b"%d,%d,%d,%s\n" % (i, i % 5, i * 2, b"even" if i % 2 == 0 else b"odd") for i in range(60)
)
FAR = b"x,y,label\n" + b"".join(b"%d,%d,%d\n" % (i, i * i, i * 1000) for i in range(40))


def specs() -> dict[str, tuple[bytes, Json]]:
    digits, penguins = DIGITS.content()[:60_000].rpartition(b"\n")[0], PENGUINS.content()
    seen = {"target": DIGITS.target, "training": SHORT}
    return {
        "convolution": (
            digits,
            {**seen, "network": {"input": SHAPED, "layers": [CONVOLUTION, {"type": "flatten"}, DENSE]}},
        ),
        "recurrent": (
            digits,
            {**seen, "network": {"input": {"shape": [8, 8]}, "layers": [{"type": "lstm", "units": 4}]}},
        ),
        "blocks": (
            penguins,
            {
                "target": PENGUINS.target,
                "training": SHORT,
                "network": {
                    "layers": [
                        DENSE,
                        {"type": "batch_norm"},
                        {"type": "dropout", "rate": 0.2},
                        {"type": "residual", "layers": [DENSE]},
                    ]
                },
            },
        ),
        "no hidden layer": (TINY, {"target": "label", "training": SHORT, "network": {"layers": []}}),
        "a number": (TINY, {"target": "y", "training": SHORT, "network": {"layers": [DENSE]}}),
        "two numbers": (TWO, {"target": ["a", "x"], "training": SHORT, "network": {"layers": [DENSE]}}),
        "one feature": (
            TINY,
            {"target": "label", "features": ["x"], "training": SHORT, "network": {"layers": [DENSE]}},
        ),
        "diverged": (
            FAR,
            {
                "target": "label",
                "network": {"layers": [{"type": "dense", "units": 4, "activation": "relu"}] * 3},
                "training": {"epochs": 3, "batch_size": 8, "optimizer": {"type": "sgd", "learning_rate": 1e9}},
            },
        ),
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, dict[str, str]]]:
    with Api(tmp_path_factory.mktemp("every") / "data") as api:
        made = {
            name: api.create(dataset=api.upload(table, name=name), **{"split": QUICK["split"], **spec})["id"]
            for name, (table, spec) in specs().items()
        }
        api.work()
        waiting = api.create()["id"]
        paused = api.create(seed=1)["id"]
        api.post(f"/v1/runs/{paused}/pause")
        yield api, {**made, "queued": waiting, "paused": paused}


@pytest.mark.parametrize("name", [*specs(), "queued", "paused"])
def test_every_page_of_the_run_is_whole_or_says_why_not(runs: tuple[Api, dict[str, str]], name: str) -> None:
    api, made = runs
    status = api.run(made[name])["status"]
    codes: dict[str, int] = {}

    for path in PAGES:
        answer = api.get(f"/runs/{made[name]}{path}", headers=HTML)
        codes[path] = answer.status_code
        assert answer.status_code < 500, (path, answer.text)
        assert read(answer).all("h1")

    assert codes[""] == 200
    if name in ("queued", "paused"):
        drawn = {path for path, code in codes.items() if code == 200}
        assert drawn == {"", "/try", "/network?epoch=0", "/doctor", "/boundary"}, "what it begins with can be looked at"
    elif name == "diverged":
        assert status == "failed"
        assert (codes["/doctor"], codes["/flow"], codes["/layers/1"]) == (200, 200, 200)
    else:
        refused = {path: code for path, code in codes.items() if code != 200}
        assert set(refused) <= {"/boundary", "/walk"}, refused


def test_what_failed_is_said_first(runs: tuple[Api, dict[str, str]]) -> None:
    api, made = runs
    shown = page(api, f"/runs/{made['diverged']}").text

    assert "failed" in shown
    assert "not finite" in shown or "diverged" in shown
