"""Rows of a file: sent to be predicted in as many requests as the server's limits make of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.data import rows_of
from engine.errors import DataError
from service.client import Client, ProblemError, media_type_of
from service.schemas.predictions import PredictionsBody
from service.schemas.runs import RunBody

BODY_BYTES = 1000
"""More than a request's body holds beside its rows."""


class RowsRefused(Exception):  # noqa: N818 - said to the user in one sentence
    """Rows that can't be predicted, and why."""


def predict_file(client: Client, run: RunBody, path: Path, *, checkpoint: str) -> PredictionsBody:
    """What a run's network says of every row of a file of any format, all at the same moment of the run."""
    answers, warnings = list[PredictionsBody](), list[str]()
    try:
        for first, rows in _portions(_rows_in(path, run, warnings), client.limits()):
            answers.append(_predict(client, run, rows, first, checkpoint))
            checkpoint = f"checkpoint:{answers[0].checkpoint}"
    except DataError as error:
        raise RowsRefused(f"{path}: {error}") from error
    if not answers:
        raise RowsRefused(f"{path}: expected at least one row, got none")
    return PredictionsBody(
        predictions=[each for answer in answers for each in answer.predictions],
        checkpoint=answers[0].checkpoint,
        warnings=[*warnings, *dict.fromkeys(warning for answer in answers for warning in answer.warnings)],
    )


def _predict(client: Client, run: RunBody, rows: list[Any], first: int, checkpoint: str) -> PredictionsBody:
    try:
        return client.predict(run.id, rows, checkpoint=checkpoint)
    except ProblemError as error:
        if not first:
            raise
        raise RowsRefused(f"among the rows from rows[{first}] on, counted from 0 again: {error}") from error


def _rows_in(path: Path, run: RunBody, warnings: list[str]) -> Iterable[Any]:
    features = run.preprocessing["features"]
    numbers = {feature["name"] for feature in features if feature["type"] not in ("text", "datetime")}
    return rows_of(path, media_type_of(path), numbers, warnings=warnings)


def _portions(rows: Iterable[Any], limits: Mapping[str, int]) -> Iterator[tuple[int, list[Any]]]:
    """The rows in lists that one request may hold, each with the number of its first."""
    first, portion, used = 0, list[Any](), BODY_BYTES
    for number, row in enumerate(rows):
        size = _bytes_of(row, number)
        if portion and (used + size > limits["predict_bytes"] or len(portion) == limits["predict_rows"]):
            yield first, portion
            first, portion, used = number, [], BODY_BYTES
        portion.append(row)
        used += size
    if portion:
        yield first, portion


def _bytes_of(row: Any, number: int) -> int:
    """At most so many bytes of a request."""
    try:
        return len(json.dumps(row, ensure_ascii=False, allow_nan=False).encode()) + 1
    except ValueError as error:
        raise RowsRefused(f"rows[{number}]: expected finite numbers and whole characters") from error
