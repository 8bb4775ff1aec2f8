"""Pages of datasets: what was brought, and what is in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.data import Preprocessing
from service.dependencies import Cursor, DatasetId, ReadSession, SettingsDep
from service.domain import datasets
from service.samples import SAMPLES
from service.store import datasets as dataset_store
from service.store.tables import DatasetRow
from service.ui import charts, pictures
from service.ui.figures import Figure
from service.ui.pages.common import LISTED, WithFigures
from service.ui.pictures import GREY, Pixels
from service.ui.rendering import render
from service.ui.specs import encodings

router = APIRouter(include_in_schema=False)

SHOWN_COLUMNS, SHOWN_ROWS = 24, 12
LISTED_COLUMNS = 200
"""Of a table of more columns the first are described."""
THUMBNAILS = 48
BARS = 20


@router.get("/datasets")
def list_datasets_page(request: Request, session: ReadSession, cursor: Cursor = None) -> Response:
    """Every dataset, and a place to bring one."""
    page = datasets.listed(session, limit=LISTED, cursor=cursor)
    return render(
        request,
        "datasets.html",
        here="list_datasets_page",
        datasets=page.items,
        next_cursor=page.next_cursor,
        samples=[*SAMPLES],
    )


@router.get("/datasets/{dataset_id}", dependencies=[WithFigures])
def dataset_page(
    request: Request,
    dataset_id: DatasetId,
    session: ReadSession,
    settings: SettingsDep,
    column: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What a dataset holds; of one column, the last unless another is asked for, how its values are spread."""
    row = datasets.get(session, dataset_id)
    profile = datasets.profile_of(row)
    columns = [{"name": name, **_column(name, each)} for name, each in profile["columns"].items()]
    names = [each["name"] for each in columns]
    chosen = next((each for each in columns if each["name"] == column), columns[-1])
    told = [*row.warnings, *(each["detail"] for each in profile["warnings"])]
    told += [f"{each['name']}: {warning['detail']}" for each in columns for warning in each["warnings"]]
    return render(
        request,
        "dataset.html",
        here="",
        row=row,
        like=(like := next(iter(dataset_store.newest_runs(session, dataset_id, limit=1)), None)),
        encodings=[] if like is None else encodings(Preprocessing.from_json(like.preprocessing))[:LISTED_COLUMNS],
        run_count=dataset_store.run_count(session, dataset_id),
        duplicates=(profile["duplicate_rows"] or {}).get("count"),
        blanks=sum(each["missing"] for each in columns),
        warnings=told[:100],
        columns=columns[:LISTED_COLUMNS],
        unlisted=len(columns[LISTED_COLUMNS:]),
        shown=names[:SHOWN_COLUMNS],
        hidden_columns=len(names[SHOWN_COLUMNS:]),
        first_rows=datasets.rows_of(settings.data, row, offset=0, limit=SHOWN_ROWS),
        thumbnails=list(_thumbnails(row, settings.data, names)),
        figures=list(_spread(chosen, row.rows)),
    )


def _column(name: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    found = profile.get("histogram")
    chart = charts.small_histogram(found["counts"], title=f"how {name} is spread") if found else None
    quartiles = profile.get("quartiles") or (None, None, None)
    return {
        **profile,
        "chart": chart,
        "median": quartiles[1],
        "top": profile.get("top", []),
        "minimum": profile.get("minimum"),
        "maximum": profile.get("maximum"),
    }


def _spread(column: Mapping[str, Any], rows: int) -> Iterator[Figure]:
    """How the values of a column are spread: a number's in bins, and how often each of a few occurs."""
    name, top = column["name"], column["top"][:BARS]
    if top:
        values, counts = [str(each["value"]) for each in top], [each["count"] for each in top]
        shares = [f"{count} ({100 * count / max(rows, 1):.1f} %)" for count in counts]
        chart = charts.bars(values, counts, title=f"how often each value of {name} occurs", texts=shares)
        told = {"value": values, "rows": counts, "share": [count / max(rows, 1) for count in counts]}
        more = column["distinct"] - len(top) if column["distinct"] else 0
        note = f"And {more} more values." if more > 0 else "As classes to learn, this is their balance."
        yield Figure("values", f"Values of {name}", chart, told, note)
    if column.get("histogram"):
        edges, counts = column["histogram"]["edges"], column["histogram"]["counts"]
        chart = charts.histogram(edges, counts, title=f"how {name} is spread", x_label=name)
        spread = {"from": edges[:-1], "to": edges[1:], "rows": counts}
        yield Figure("histogram", f"How {name} is spread", chart, spread)


def _thumbnails(row: DatasetRow, data: Any, names: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """The first rows as images with what stands beside their pixels, where the columns make one."""
    pixels = Pixels.among(names)
    if pixels is None:
        return
    others = [name for name in names if name not in set(pixels.names)][:2]
    rows = datasets.rows_of(data, row, offset=0, limit=THUMBNAILS)
    values = np.array([[_number(each[name]) for name in pixels.names] for each in rows])
    most = float(values.max(initial=0)) or 1.0
    for place, (each, image) in enumerate(zip(rows, pixels.images(values, pixels.names), strict=True)):
        yield place, pictures.address(image, 0, most, GREY), ", ".join(str(each[name]) for name in others)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
