"""The loss curves of a run, in columns, thinned out where asked."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from service.domain import runs
from service.errors import Fault, Unprocessable
from service.store import epochs

Columns = dict[str, list[Any]]


def columns(session: Session, run_id: str, *, keys: Sequence[str] | None, points: int | None) -> Columns:
    """`{"epoch": […], "train.loss": […], …}`; at most about `points` epochs, extremes and last among them."""
    runs.row_of(session, run_id)
    reports = epochs.all_of(session, run_id)
    names = list(dict.fromkeys(name for report in reports for name in report.values))
    unknown = [key for key in keys or () if key not in names and key != "epoch"]
    if unknown and reports:
        raise Unprocessable(
            f"keys: there is no series {unknown[0][:60]!r}.",
            errors=[Fault("query: keys", "unknown_key", "expected a series of this run", ("epoch", *names))],
        )
    chosen = [name for name in names if keys is None or name in keys]
    found: Columns = {"epoch": [report.epoch for report in reports]}
    found |= {name: [report.values.get(name) for report in reports] for name in chosen}
    if points is None or len(reports) <= points:
        return found
    kept = _thinned(found, points)
    return {name: [series[place] for place in kept] for name, series in found.items()}


def _thinned(found: Columns, points: int) -> list[int]:
    """Places of the first and last epoch, and of every series' lowest and highest within equal stretches."""
    series = [values for name, values in found.items() if name != "epoch"]
    count = len(found["epoch"])
    stretches = max(1, (points - 2) // max(1, 2 * len(series)))
    kept = {0, count - 1}
    for stretch in range(stretches):
        places = range(stretch * count // stretches, (stretch + 1) * count // stretches)
        for values in series:
            present = [place for place in places if values[place] is not None]
            if present:
                kept |= {min(present, key=values.__getitem__), max(present, key=values.__getitem__)}
    return sorted(kept)
