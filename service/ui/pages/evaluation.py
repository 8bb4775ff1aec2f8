"""The page of an evaluation: how good a run is on a part of its dataset, and where it is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.evaluation import Bin
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import checkpoints, datasets, evaluations, histograms, runs
from service.domain.evaluations import Part
from service.ui import charts
from service.ui.charts import Cell, Dot
from service.ui.figures import Figure
from service.ui.numbers import number
from service.ui.pages.common import WithFigures
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

WORST = 20
DOTS = 600
"""Of more rows so many are drawn, evenly apart."""
BINS = 40
DRAWN_CLASSES, WRITTEN_CLASSES = 40, 16


@router.get("/runs/{run_id}/evaluation", dependencies=[InspectTurn, WithFigures])
def evaluation_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    part: Part = "test",
) -> Response:
    """How good it is on a part of its dataset."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
        moment = checkpoints.moment(session, row, "best")
    found = evaluations.evaluate(
        moment,
        settings.data,
        row.dataset_id,
        part=part,
        worst_count=WORST,
        limits=settings.limits,
        sample_count=DOTS if row.resolved["task"] == "regression" else 0,
    )
    several = len(found["targets"]) > 1
    split = moment.preprocessing.split(datasets.table_at_hand(settings.data, row.dataset_id))
    sizes = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
    figures = [
        figure
        for place, target in enumerate(found["targets"])
        for figure in _figures(target, found["sample"], f".{place}" if several else "")
    ]
    return render(
        request,
        "evaluation.html",
        here="",
        tab="evaluation_page",
        row=row,
        part=part,
        parts=[name for name, count in sizes.items() if count],
        found=found,
        figures=figures,
    )


def _figures(target: Mapping[str, Any], sample: Sequence[Mapping[str, Any]], suffix: str) -> Iterator[Figure]:
    """What can be drawn of a target; the suffix tells it from others in addresses."""
    about = f" of {target['name']}"
    if target["confusion"] and len(target["classes"]) <= DRAWN_CLASSES:
        yield _confusion(target, about, suffix)
    if target["calibration"]:
        yield _calibration(target["calibration"], about, suffix)
    if target["residuals"]:
        pairs = [(_value(each["true"], target), _value(each["predicted"], target), each["row"]) for each in sample]
        known = [(true, said, row) for true, said, row in pairs if true is not None and said is not None]
        yield from _residuals(known, about, suffix)


def _confusion(target: Mapping[str, Any], about: str, suffix: str) -> Figure:
    names = [each.name for each in target["classes"]]
    counts, are_few = target["confusion"], len(names) <= WRITTEN_CLASSES
    cells = [[Cell(count / max(1, sum(row)), text=str(count) if are_few else "") for count in row] for row in counts]
    chart = charts.heat_map(
        names, names, cells, title=f"confusion{about}", x_label="said", unit="of the true class", span=(0.0, 1.0)
    )
    columns = {"true": names, **{f"said {name}": [row[place] for row in counts] for place, name in enumerate(names)}}
    note = "A line is a class that is true, a column one that is said; perfect is all on the diagonal."
    return Figure(f"confusion{suffix}", f"Confusion{about}", chart, columns, note)


def _calibration(bins: Sequence[Bin], about: str, suffix: str) -> Figure:
    full = [(each, each.mean_predicted or 0.0, each.observed or 0.0) for each in bins if each.count]
    most = max(each.count for each, _, _ in full)
    dots = [
        Dot(
            said,
            true,
            title=f"{each.count} rows: said {number(said, 3)}, true {number(true, 3)}",
            radius=3 + 6 * (each.count / most) ** 0.5,
        )
        for each, said, true in full
    ]
    chart = charts.scatter(
        dots, title=f"calibration{about}", x_label="said probability", y_label="share that is so", has_same=True,
        span=(-0.02, 1.02),
    )  # fmt: skip
    columns: dict[str, list[float]] = {
        "from": [each.low for each, _, _ in full],
        "to": [each.high for each, _, _ in full],
        "rows": [each.count for each, _, _ in full],
        "said": [said for _, said, _ in full],
        "true": [true for _, _, true in full],
    }
    note = "On the broken line what is said to be so likely is so as often; below it the network is too sure. A larger "
    return Figure(f"calibration{suffix}", f"Calibration{about}", chart, columns, f"{note}dot stands for more rows.")


def _value(side: Mapping[str, Any], target: Mapping[str, Any]) -> float | None:
    found = side["targets"][target["name"]] if "targets" in side else side
    value = found.get("value")
    return None if value is None else float(value)


def _residuals(known: Sequence[tuple[float, float, int]], about: str, suffix: str) -> Iterator[Figure]:
    true, said, rows = ([each[place] for each in known] for place in range(3))
    dots = [Dot(t, s, title=f"row {row}: true {number(t)}, said {number(s)}") for t, s, row in known]
    chart = charts.scatter(dots, title=f"said beside true{about}", x_label="true", y_label="said", has_same=True)
    columns = {"row": rows, "true": true, "said": said}
    note = "On the broken line what is said is true."
    yield Figure(f"said{suffix}", f"Said beside true{about}", chart, columns, note)
    off = [s - t for t, s, _ in known]
    dots = [
        Dot(s, each, title=f"row {row}: off by {number(each)}") for each, (_, s, row) in zip(off, known, strict=True)
    ]
    chart = charts.scatter(dots, title=f"residuals{about}", x_label="said", y_label="said − true")
    note = "A slope, a bow or a funnel is something the network has not learned."
    yield Figure(f"residuals{suffix}", f"Residuals{about}", chart, {"row": rows, "said": said, "residual": off}, note)
    spread = histograms.spread_of([np.array(off)], min(BINS, max(6, len(off) // 5)))
    edges, counts = spread.edges.tolist(), spread.counts[0].tolist()
    chart = charts.histogram(edges, counts, title=f"how residuals are spread{about}", x_label="said − true")
    columns = {"from": edges[:-1], "to": edges[1:], "how many": counts}
    note = f"{int(spread.outside[0])} rows outside the middle 98 % are left out."
    yield Figure(f"spread{suffix}", f"Spread of the residuals{about}", chart, columns, note)
