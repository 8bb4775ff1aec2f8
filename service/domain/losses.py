"""The loss curves of a run, in columns, thinned out where asked."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.domain import runs
from service.errors import Fault, Parameter, Unprocessable
from service.store import epochs

Columns = dict[str, list[Any]]

LOSSES = ("train.loss", "validation.loss")
"""What a thinned curve shows where no series is asked for by name."""


def columns(
    session: Session,
    run_id: str,
    *,
    keys: Sequence[str] | None,
    points: int | None,
    first: int | None = None,
    last: int | None = None,
) -> Columns:
    """`{"epoch": […], "train.loss": […], …}`; with `points` thinned to the extremes of the series asked for.

    From the first to the last of these epochs, if they are given.
    """
    runs.row_of(session, run_id)
    reports = [
        report
        for report in epochs.all_of(session, run_id)
        if (first is None or report[0] >= first) and (last is None or report[0] <= last)
    ]
    names = list(dict.fromkeys(name for _, values in reports for name in values))
    unknown = [key for key in keys or () if key not in names and key != "epoch"]
    if unknown and reports:
        raise Unprocessable(
            f"keys: there is no series {unknown[0][:60]!r}.",
            errors=[
                Fault(Parameter("query", "keys"), "unknown_key", "expected a series of this run", ("epoch", *names))
            ],
        )
    chosen = [name for name in names if keys is None or name in keys]
    found: Columns = {"epoch": [epoch for epoch, _ in reports]}
    found |= {name: [values.get(name) for _, values in reports] for name in chosen}
    if points is None or len(reports) <= points:
        return found
    shown = [name for name in chosen if keys is not None or name in LOSSES]
    kept = _thinned([found[name] for name in shown], len(reports), points)
    return {name: [series[place] for place in kept] for name, series in found.items()}


def _thinned(series: Sequence[list[Any]], count: int, points: int) -> list[int]:
    """Places of the first and last epoch, and of every series' lowest and highest within equal stretches.

    There are as many stretches as `points` has room for, and at least one.
    """
    stretches = max(1, (points - 2) // max(1, 2 * len(series)))
    kept = {0, count - 1}
    for stretch in range(stretches):
        places = range(stretch * count // stretches, (stretch + 1) * count // stretches)
        for values in series:
            present = [place for place in places if values[place] is not None]
            if present:
                kept |= {min(present, key=values.__getitem__), max(present, key=values.__getitem__)}
    return sorted(kept)
