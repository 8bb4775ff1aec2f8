"""Evaluations: how good a run's network is on a part of its dataset, computed again from file and checkpoint."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.data import Table
from engine.data.targets import Target
from engine.evaluation import evaluate_targets, worst
from engine.metrics import Judged, Truth, measure
from engine.network import Evaluator
from engine.parameters import Array
from service.domain import datasets
from service.domain.checkpoints import Moment
from service.errors import Fault, Parameter, TooLarge, Unprocessable
from service.settings import Limits

Answer = dict[str, Any]
Part = Literal["train", "validation", "test"]

ENCODED_NUMBERS = 2**21
"""About so many inputs are encoded at once."""


def evaluate(
    moment: Moment, data: Path, dataset_id: str, *, part: Part, worst_count: int, limits: Limits, sample_count: int = 0
) -> Answer:
    """All metrics of a part, each target's tables, the rows with the largest losses, and some rows evenly apart."""
    table = datasets.table_at_hand(data, dataset_id)
    numbers = moment.preprocessing.split(table).part(part)
    _check(moment, numbers, part, limits)
    with np.errstate(all="ignore"):  # what is not finite is null in the answer
        judged, losses = _judged(moment, table, numbers)
        metrics = {"loss": float(judged.truth.mean(losses)), **measure(judged)}
        targets = evaluate_targets(judged, moment.preprocessing.targets)
    return {
        "run": moment.run_id,
        "checkpoint": moment.checkpoint_id,
        "epoch": moment.epoch,
        "part": part,
        "rows": len(numbers),
        "metrics": _finite(metrics),
        "targets": [
            {
                "name": each.name,
                "metrics": _finite(each.metrics),
                "classes": each.classes,
                "confusion": each.confusion,
                "calibration": each.calibration,
                "residuals": None if each.residuals is None else _finite(each.residuals),
            }
            for each in targets
        ],
        "worst": _rows(moment, table, judged, losses, numbers, worst(losses, worst_count)),
        "sample": _rows(moment, table, judged, losses, numbers, _apart(len(numbers), sample_count)),
    }


def _apart(rows: int, count: int) -> Array:
    return np.unique(np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64))


def _check(moment: Moment, numbers: Array, part: Part, limits: Limits) -> None:
    if not len(numbers):
        detail = f"expected a part with rows, but this run's {part} part has none"
        fault = Fault(Parameter("query", "part"), "empty_part", detail)
        raise Unprocessable(f"part: {detail}.", code="empty_part", errors=[fault])
    needed = len(numbers) * (moment.network.n_in + 2 * moment.network.n_out)
    if needed > limits.evaluate_numbers:
        raise TooLarge(
            f"The {part} part's inputs, targets and outputs are {needed} numbers, at most {limits.evaluate_numbers} "
            "are allowed.",
            limit="evaluate_numbers",
            maximum=limits.evaluate_numbers,
        )


def _judged(moment: Moment, table: Table, numbers: Array) -> tuple[Judged, Array]:
    """Outputs for the rows with these numbers beside their targets, and each row's loss; X some rows at a time.

    The rows are cut as a training's evaluation cuts them, so that the bits are the same.
    """
    network, preprocessing, dtype = moment.network, moment.preprocessing, moment.parameters.dtype
    evaluator = Evaluator(network, moment.parameters, rows=len(numbers))
    Y = preprocessing.encode_targets(table, numbers, dtype=dtype, n_out=network.n_out)
    A, losses = np.empty_like(Y), np.empty(len(numbers), dtype)
    at_once = network.evaluation_rows * max(1, ENCODED_NUMBERS // (network.evaluation_rows * network.n_in))
    for start in range(0, len(numbers), at_once):
        some = slice(start, start + at_once)
        X = preprocessing.encode_features(table, numbers[some], dtype=dtype)
        found = evaluator.evaluate(X, Y[some])
        A[some], losses[some] = found.A, found.losses
    kind = preprocessing.facts.kind
    weights = preprocessing.weights(table, numbers)
    return Judged(A, Truth(Y, kind, preprocessing.units, weights), network.loss.scores), losses


def _rows(moment: Moment, table: Table, judged: Judged, losses: Array, numbers: Array, places: Array) -> list[Answer]:
    """The rows at these places in words: what is true of them, and what the network says."""
    targets = moment.preprocessing.targets
    names = [target.name for target in targets]
    answers = moment.preprocessing.decode(judged.A[places], scores=judged.scores)
    rows = numbers[places]
    truths = [
        _truths(target, each.truth, table, rows=rows, places=places)
        for target, each in zip(targets, judged.targets, strict=True)
    ]
    return [
        {"row": row, **_finite({"loss": loss}), **_words(names, answer, true)}
        for row, loss, answer, *true in zip(rows.tolist(), losses[places].tolist(), answers, *truths, strict=True)
    ]


def _truths(target: Target, truth: Truth, table: Table, *, rows: Array, places: Array) -> list[Any]:
    """What the dataset says: class names, or values."""
    if truth.kind == "regression":
        return list(table.numbers(target.name, rows).tolist())
    return [target.classes[code] for code in truth.classes[places].tolist()]


def _words(names: Sequence[str], answer: Answer, truths: Sequence[Any]) -> Answer:
    """One row's `true` and `predicted`, by name where there are several targets."""
    said = answer["targets"] if len(names) > 1 else {names[0]: answer}
    true = {name: _said(said[name], what) for name, what in zip(names, truths, strict=True)}
    predicted = {name: _said(each, each.get("label", each.get("value"))) for name, each in said.items()}
    if len(names) == 1:
        return {"true": true[names[0]], "predicted": predicted[names[0]]}
    return {"true": {"targets": true}, "predicted": {"targets": predicted}}


def _said(answer: Answer, what: Any) -> Answer:
    """A value; or a class with the probability or score that an answer gives it."""
    if "value" in answer:
        return _finite({"value": what})
    kind, of_each = ("score", answer["scores"]) if "scores" in answer else ("probability", answer["probabilities"])
    return {"label": what, **_finite({kind: of_each[what]})}


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is not None and isfinite(value) else None for name, value in values.items()}
