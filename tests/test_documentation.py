"""README and docs hold what the code does: every route, setting, limit, command and name is there, and what they show
runs."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from engine.catalogue import catalogue
from engine.data import ANY, READERS
from engine.data.schema import BLANKS
from engine.defaults import split_of, with_defaults
from engine.inspection import REDUCTIONS
from engine.inspection.doctor import RULES
from service.cli import app as command_line
from service.forms import MEDIA_TYPE as FORM
from service.schemas.runs import RunBody, RunCreate
from service.settings import Limits, Settings
from service.store.events import KINDS
from tests.support import PATIENCE_SECONDS, Api, server

ROOT = Path(__file__).parent.parent
UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "": 1}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README, API, ENGINE, OPERATIONS, DECISIONS, DOCTOR = (
    (ROOT / name).read_text()
    for name in (
        "README.md",
        "docs/api.md",
        "docs/engine.md",
        "docs/operations.md",
        "docs/decisions.md",
        "docs/doctor.md",
    )
)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def rows(page: str) -> list[str]:
    """The first cell of each row of each table."""
    return re.findall(r"^\|([^|]*)\|", page, re.MULTILINE)


# What there is, is written down ------------------------------------------------------------------------------------


def test_every_route_has_its_place(shared: Api) -> None:
    routes = [
        f"{method.upper()} {path}"
        for path, methods in shared.get("/openapi.json").json()["paths"].items()
        for method in methods
    ]

    assert len(routes) > 25
    assert [route for route in routes if not re.search(rf"`{re.escape(route)}[?`]", API)] == []


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_everything_a_spec_can_name_has_its_row(kind: str) -> None:
    named = re.findall(r"`(\w+)`", "\n".join(rows(ENGINE)))

    assert {entry["name"] for entry in catalogue()[kind]} <= set(named)


def test_every_setting_has_its_row() -> None:
    variables = {f"CHAINRULE_{name.upper()}" for name in Settings.model_fields if name != "limits"}

    assert {name for cell in rows(OPERATIONS) for name in re.findall(r"`(CHAINRULE_[A-Z_]+)`", cell)} == variables


@pytest.mark.parametrize("name", Limits.model_fields)
def test_every_limit_has_its_row_and_default(name: str) -> None:
    [shown] = re.findall(rf"^\| `{name}` \| ([^|]+) \|", API[API.index("## Limits") :], re.MULTILINE)

    number, _, unit = shown.partition(" ")
    assert int(number.replace(",", "")) * {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "": 1}[unit] == getattr(
        Limits(), name
    )


def test_every_command_has_its_row() -> None:
    commands = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]

    documented = {name for cell in rows(OPERATIONS) for name in re.findall(r"`(?:chainrule )?([a-z]+)\b[^`]*`", cell)}
    assert set(commands) <= documented


def test_every_field_of_a_run_has_its_row() -> None:
    named = {name for cell in rows(API) for name in re.findall(r"`(\w+)`", cell)}

    assert set(RunBody.model_fields) <= named


def test_every_file_format_and_what_can_be_said_of_it_is_named(shared: Api) -> None:
    named = {name for cell in rows(API) for name in re.findall(r"`([^`]+)`", cell)}
    parameters = shared.get("/openapi.json").json()["paths"]["/v1/datasets/preview"]["post"]["parameters"]

    assert {*READERS, ANY, FORM} <= named
    assert {parameter["name"] for parameter in parameters} <= named


def test_every_event_reduction_and_blank_is_named() -> None:
    named = set(re.findall(r"`([^`\n]+)`", API))

    assert set(KINDS) <= named
    assert set(REDUCTIONS) <= named
    assert BLANKS - {""} <= named


def test_everything_an_inspection_can_be_asked_for_has_its_row(shared: Api) -> None:
    entries = shared.get("/v1/inspection/quantities").json()["items"]

    written = ENGINE.splitlines()
    assert [row for row in map(row_of, entries) if row not in written] == []


def row_of(entry: dict[str, Any]) -> str:
    """The row of a table that an entry of the inspection's catalogue stands in."""
    options = ", ".join(f"`{name}`" for name in entry["options"])
    cells = (f"`{entry['name']}`", *(entry[key] for key in ("summary", "equation", "shape", "cost", "source")), options)
    return "".join(f"| {cell} ".replace("|", "\\|").replace("\\|", "|", 1) for cell in cells).replace("  ", " ") + "|"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[>;=]", each)[0].strip() for each in wanted} - {"chainrule"}

    reasons = "\n".join(rows(DECISIONS))
    assert {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", reasons)} == set()


# What is written down, holds ---------------------------------------------------------------------------------------


def test_the_defaults_shown_are_the_defaults() -> None:
    shown = next(json.loads(block) for block in blocks(API, "json") if '"split"' in block)

    least = RunCreate(dataset=shown["dataset"], target=shown["target"])
    split = split_of(least.split, 300)
    decided = with_defaults(
        least.spec().model_copy(update={"split": split}), rows=255, task="classification", unexplained=0.5
    )

    assert RunCreate.model_validate(shown).spec() == decided
    assert set(shown) == set(RunCreate.model_fields)
    assert set(shown["training"]) == set(least.training.model_dump())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()

    for target in re.findall(r"\]\(([\w./:#-]+)\)", text):
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            linked = (page.parent / name) if name else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked.read_text()), target
    for path in re.findall(r"`((?:engine|service|tests|migrations|docs|\.ci)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_test_command_is_the_one_ci_runs() -> None:
    [command] = [block.strip() for block in blocks(README, "bash") if "pytest" in block]

    assert command in (ROOT / ".ci/run").read_text()
    assert command in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_walk_with_curl_runs_as_written(tmp_path: Path) -> None:
    """Every command of both walks in one shell, against a server: what comes has the form of what is shown."""
    assert shutil.which("curl"), "expected curl 7.82 or later on the path, as the README's walk needs it"
    walk = README[README.index("In another terminal") : README.index("## Where to read on")]
    commands, shown = blocks(walk, "bash"), [json.loads(block) for block in blocks(walk, "json")]
    (tmp_path / "service").symlink_to(ROOT / "service")
    with server(tmp_path / "data") as running:
        script = "\necho; echo ----\n".join(commands).replace("http://127.0.0.1:8000", running.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    stream, *answers = done.stdout.split("\n----\n")
    found = [json.loads(answer) for answer in answers if answer.strip()]
    assert "event: end" in stream
    assert [form(each) for each in found] == [form(each) for each in shown]
    assert found[1]["predictions"][0]["label"] == shown[1]["predictions"][0]["label"]
    np.testing.assert_allclose(numbers(found[-1]), numbers(shown[-1]), rtol=1e-12)
    assert np.load(tmp_path / "weights.npz", allow_pickle=False)["W.2"].shape == (128, 3)


def form(value: Any) -> Any:
    """What a JSON value is made of: its keys, and the kinds of what they hold, each once for a list.

    From which stored state a step is computed again depends on how fast the machine trained; it may be none.
    """
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items() if key != "checkpoint"}
    if isinstance(value, list):
        kinds = [form(item) for item in value]
        return [kind for place, kind in enumerate(kinds) if kind not in kinds[:place]]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def numbers(value: Any) -> list[float]:
    """Every number in a JSON value, in order."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [float(value)] if isinstance(value, (int, float)) else []


def test_every_rule_of_the_doctor_has_its_row_and_thresholds() -> None:
    table = {cells[1].strip().strip("`"): cells for line in DOCTOR.splitlines() if len(cells := line.split("|")) > 6}

    for rule in RULES.values():
        assert rule.severity in table[rule.id][2]
        assert all(f"`{name}` {value:g}" in "|".join(table[rule.id]) for name, value in rule.thresholds.items())
