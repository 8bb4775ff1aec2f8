"""Figures: a chart with the numbers it is drawn from, which can be read as a table and taken along as SVG and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from service.errors import NotFound
from service.ui.charts import alone

TABLE_ROWS, TABLE_COLUMNS = 60, 24
"""A table on a page has no more: of more rows every so many are shown, of more columns the first."""


@dataclass(frozen=True)
class Figure:
    """A chart; its name in addresses, its title, its numbers by column, and a sentence on how to read it."""

    name: str
    title: str
    chart: Markup
    columns: Mapping[str, Sequence[Any]]
    note: str = ""
    zooms: bool = False
    """Whether a stretch of its x can be chosen by drawing over it, as `from` and `to` of the page's address."""

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """What a table on a page has of the numbers."""
        rows = list(zip(*self.columns.values(), strict=True))
        return [row[:TABLE_COLUMNS] for row in rows[:: max(1, -(-len(rows) // TABLE_ROWS))]]

    @property
    def names(self) -> list[str]:
        """Of the columns a table on a page has."""
        return list(self.columns)[:TABLE_COLUMNS]

    def svg(self) -> bytes:
        """A picture that needs no page around it."""
        return str(alone(self.chart)).encode()

    def csv(self) -> bytes:
        """All numbers, with a header."""
        sink = io.StringIO()
        writer = csv.writer(sink)
        writer.writerow(self.columns)
        writer.writerows(zip(*self.columns.values(), strict=True))
        return sink.getvalue().encode()


def asked_for(request: Request, figures: Iterable[Figure]) -> Response | None:
    """The figure that `?figure=loss&as=svg` of a page's address asks for; None where it asks for the page."""
    name, form = request.query_params.get("figure"), request.query_params.get("as")
    if name is None:
        return None
    kinds = {"svg": "image/svg+xml", "csv": "text/csv; charset=utf-8"}
    for figure in figures:
        if figure.name == name and form in kinds:
            content = figure.svg() if form == "svg" else figure.csv()
            headers = {"Content-Disposition": f'attachment; filename="{figure.name}.{form}"'}
            return Response(content, headers=headers, media_type=kinds[form])
    raise NotFound(f"This page has no figure {name[:40]!r} as {str(form)[:10]!r}; those shown it has as svg and csv.")


def query(request: Request, **changes: Any) -> str:
    """The page's own query with something changed, or left out where it is None: what is seen is in the address."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    new = [(name, str(value)) for name, value in changes.items() if value is not None]
    return f"?{urlencode([*kept, *new])}" if kept or new else "?"
