"""Targets: the columns to be learned, and the task they call for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.data.features import mean_and_scale
from engine.data.frequencies import frequencies, runs
from engine.data.schema import ColumnType
from engine.data.table import Table
from engine.encodings import TargetEncoding
from engine.errors import DataError, SpecError, raise_all
from engine.losses import LOSSES
from engine.options import Choice
from engine.parameters import Array
from engine.spec import RunSpec, TargetFacts
from engine.units import signed_exp, signed_log

MAXIMUM_CLASSES = 1000


@dataclass(frozen=True)
class Target:
    """One column learned. Classes are one output each, or one for two classes; a number y is (g(y) − mean)/scale."""

    name: str
    type: ColumnType
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    transform: Literal["none", "log1p"] = "none"
    """g: of log1p sign(y)·log(1 + |y|)."""

    def encoded(self, values: Array) -> Array:
        """Numbers y (m,) as an output is to be, in float64; infinite where they are too large."""
        with np.errstate(over="ignore"):
            return np.asarray((self._transformed(values) - self.mean) / self.scale)

    def own(self, outputs: Array) -> Array:
        """Outputs (m,) as numbers in the target's own unit."""
        values = outputs * self.scale + self.mean
        return signed_exp(values) if self.transform == "log1p" else values

    def _transformed(self, values: Array) -> Array:
        return signed_log(values) if self.transform == "log1p" else values


def target_facts(table: Table, spec: RunSpec) -> TargetFacts:
    """What the target columns call for. Raises DataError for columns that are unknown or can't be learned."""
    _check_columns(table, spec)
    kinds = {name: _kind(table, name, spec) for name in spec.target}
    if set(kinds.values()) == {"number"}:
        return TargetFacts("regression", len(spec.target))
    if len(spec.target) == 1:
        count = len(class_target(table, spec.target[0]).classes)
        return TargetFacts("binary", 1) if count == 2 else TargetFacts("multiclass", count)
    counts = {name: len(class_target(table, name).classes) for name, kind in kinds.items() if kind == "class"}
    if len(counts) == len(kinds) and set(counts.values()) == {2}:
        return TargetFacts("multilabel", len(counts))
    found = ", ".join(f"{name}: {counts[name]} classes" if name in counts else f"{name}: numbers" for name in kinds)
    raise DataError(
        "target",
        f"expected several columns of numbers, or several of two classes each, got {found}; train a run for each",
        code="mixed_targets",
    )


def _check_columns(table: Table, spec: RunSpec) -> None:
    known = set(table.schema.names)
    places = {f"target[{i}]" if len(spec.target) > 1 else "target": name for i, name in enumerate(spec.target)}
    places |= {f"features[{i}]": name for i, name in enumerate(spec.features or ())}
    places |= {f"split.{kind}": name for kind in ("group", "time", "part") if (name := getattr(spec.split, kind))}
    places |= {"weight": spec.weight} if spec.weight is not None else {}
    places |= {f"preprocessing.columns.{name}": name for name in spec.preprocessing.columns}
    listed = ", ".join(table.schema.names[:20]) + (", …" if len(known) > 20 else "")
    raise_all(
        [
            DataError(place, f"there is no column {name!r}; the dataset has {listed}", code="unknown_column")
            for place, name in places.items()
            if name not in known
        ]
    )
    for what, name in places.items():
        if name in spec.target and what.startswith(("split", "weight")):
            raise DataError(what, f"{name} is the target, so it can't say this of its rows", code="target_in_features")
    for what, names in (("target", spec.target), ("features", spec.features or ())):
        if len(set(names)) < len(names):
            raise DataError(what, "expected every column once, got one twice", code="duplicate_column")
    for place, name in enumerate(spec.features or ()):
        if name in spec.target:
            raise DataError(
                f"features[{place}]", f"{name} is the target, so it can't be learned from", code="target_in_features"
            )


def _kind(table: Table, name: str, spec: RunSpec) -> str:
    """Whether a target column is of classes or numbers. Refuses one that does not vary."""
    column = table.schema.column(name)
    if column.type == "datetime":
        raise DataError(
            "target", f"expected numbers or classes to learn, but {name} holds dates and times", code="datetime_target"
        )
    if column.type == "text":
        present = table.row_count - column.missing
        distinct = frequencies(lambda: ((text, None) for _, text in table.texts(name)), present, 1).distinct
    else:
        values = table.present(name)
        values.sort()
        present, distinct = len(values), sum(len(different) for different, _ in runs(values))
    if present < 2:
        raise DataError(
            "target", f"expected at least 2 rows with a value in {name}, got {present}", code="empty_target"
        )
    loss = LOSSES.get(spec.training.loss.type)
    learns_numbers_alone = loss is not None and loss.learns == {"regression"}
    is_class = column.type in ("text", "boolean") or (
        column.type == "integer" and distinct <= 50 and present >= 10 * distinct and not learns_numbers_alone
    )
    if spec.task != "auto":
        is_class = spec.task == "classification"
    if distinct < 2:
        code, what = ("one_class", "one class") if is_class else ("constant_target", "one value")
        raise DataError("target", f"expected {name} to vary, got {what} in all {present} rows", code=code)
    if not is_class and column.type in ("text", "boolean"):
        raise DataError(
            "task", f"expected numbers to learn by regression, but {name} is {column.type}", code="text_target"
        )
    if is_class and distinct > MAXIMUM_CLASSES:
        raise DataError(
            "target",
            f"expected at most {MAXIMUM_CLASSES} classes, but {name} has {distinct}"
            + ("" if column.type == "text" else '; ask for "task": "regression"'),
            code="too_many_classes",
        )
    return "class" if is_class else "number"


def class_target(table: Table, name: str) -> Target:
    column = table.schema.column(name)
    text = table.text(name)
    levels = list(text.levels)
    order = sorted(levels) if column.type == "text" else levels  # numbers and booleans stand in their own order
    return Target(name, column.type, classes=tuple(order))


def number_target(table: Table, name: str, rows: Array, loss: Choice, encoding: TargetEncoding) -> Target:
    kind, transform = LOSSES.get(loss.type), encoding.transform
    is_own = kind is not None and not kind.standardises
    if is_own and transform != "none":
        detail = f"expected none under {loss.type}, which learns {name} in its own unit, got {transform}"
        raise SpecError("preprocessing.targets.transform", detail, code="impossible_target")
    values = table.numbers(name, rows)
    mean, scale = mean_and_scale(signed_log(values) if transform == "log1p" else values, name)
    if scale == 0:
        raise DataError("target", f"expected {name} to vary over the training rows", code="constant_target")
    if kind is None or kind.standardises:
        return Target(name, table.schema.column(name).type, mean=mean, scale=scale, transform=transform)
    try:
        kind(loss).check(table.present(name)[:, np.newaxis])
    except DataError as error:
        raise DataError("target", f"{name} under {loss.type}: {error.message}", code="impossible_target") from error
    return Target(name, table.schema.column(name).type)
