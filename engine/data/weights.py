"""Weights: how much each row counts, by a column of its own and by its class."""

from collections.abc import Sequence

import numpy as np

from engine.data.table import Table
from engine.data.targets import Target
from engine.errors import DataError
from engine.parameters import Array
from engine.spec import TargetFacts, TrainingSpec


def weights_of(table: Table, name: str, rows: Array) -> Array:
    """The column's numbers for these rows (m,). Raises DataError for text, a blank, a negative one, or zeros alone."""
    if table.schema.column(name).type == "text":
        raise DataError("weight", f"expected a column of numbers, but {name} is text", code="not_numbers")
    weights = table.numbers(name, rows)
    wrong = np.flatnonzero(~(weights >= 0))
    if wrong.size:
        got = "a blank" if np.isnan(weights[wrong[0]]) else f"{weights[wrong[0]]:g}"
        raise DataError(
            f"rows[{rows[wrong[0]]}].{name}", f"expected a weight from 0 on, got {got}", code="wrong_weight"
        )
    if weights.size and not weights.any():
        raise DataError("weight", f"expected a weight above 0 in every part, but {name} has none", code="wrong_weight")
    return weights


def fit_class_weights(
    codes: Array | None, targets: Sequence[Target], facts: TargetFacts, training: TrainingSpec
) -> tuple[float, ...]:
    """How much rows of each class count, from the training rows' classes; empty where all count alike.

    `balanced` is rows/(classes·rows of the class): every class counts alike in sum (King & Zeng 2001, Logistic
    regression in rare events data, §3.2). Raises DataError for an unknown class, and where the target has no classes.
    """
    asked, place = training.class_weight, "training.class_weight"
    if asked is None:
        return ()
    if codes is None:
        what = "numbers" if facts.kind == "regression" else "several columns"
        raise DataError(place, f"expected a target of classes in one column, got {what}", code="no_classes")
    classes = targets[0].classes
    if asked == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return tuple((len(codes) / (len(classes) * np.maximum(counts, 1))).tolist())
    unknown = sorted(asked.keys() - set(classes))
    if unknown:
        listed = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
        raise DataError(place, f"there is no class {unknown[0][:60]!r}; there are {listed}", code="unknown_class")
    return tuple(asked.get(name, 1.0) for name in classes)
