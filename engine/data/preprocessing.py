"""Preprocessing: how a table's cells become the network's numbers, and its outputs words again.

It is fitted on the training rows alone and kept with the run as readable JSON. Training, prediction and inspection
encode through the same few lines, so that a row means the same in all three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.data.schema import BLANKS, Column, ColumnType, spell
from engine.data.splits import Split, split_rows
from engine.data.table import Table, Text
from engine.errors import DataError
from engine.parameters import Array
from engine.spec import RunSpec, SplitSpec, TargetFacts

MAXIMUM_CLASSES = 1000
MAXIMUM_LEVELS = 256
"""One-hot columns of one text feature, the most frequent first."""
MAXIMUM_PROBLEMS = 100
"""Listed of one request."""

UNKNOWN, BLANK = -2, -1
"""Codes of a text that has no one-hot column of its own, and of a blank."""


@dataclass(frozen=True)
class Feature:
    """One column learned from. A number x becomes (x − mean)/scale, a text one column for each of its levels."""

    name: str
    type: ColumnType
    fill: float | str
    """What a blank is read as: the median, or the most frequent value of text and booleans."""
    mean: float = 0.0
    scale: float = 1.0
    levels: tuple[str, ...] = ()
    spellings: dict[str, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many inputs of the network it makes."""
        return len(self.levels) if self.type == "text" else 1


@dataclass(frozen=True)
class Target:
    """One column learned. Classes are one output each, or one for two classes; a number y is (y − mean)/scale."""

    name: str
    type: ColumnType
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Encoded:
    """Rows as numbers: X (m, n_in), Y (m, n_out) where targets were asked for, and what should be said about them."""

    X: Array
    Y: Array | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Preprocessing:
    """All that was fitted, in the order of the network's inputs and outputs."""

    features: tuple[Feature, ...]
    targets: tuple[Target, ...]
    facts: TargetFacts
    split_spec: SplitSpec
    seed: int
    dropped: tuple[str, ...]
    """Features that carry nothing, such as constants."""
    warnings: tuple[str, ...]

    # Fitting -------------------------------------------------------------------------------------------------------

    @classmethod
    def fit(cls, table: Table, spec: RunSpec) -> Self:
        """Choose the rows to train on, and fit everything on them. Raises DataError for data that can't be used."""
        facts = target_facts(table, spec)
        targets = tuple(_class_target(table, name) for name in spec.target)
        if facts.task == "regression":
            targets = tuple(Target(name, table.schema.column(name).type) for name in spec.target)
        draft = cls((), targets, facts, spec.split, spec.seed, (), ())
        split = draft.split(table)
        warnings = _split_warnings(table, split, draft)
        if facts.task == "regression":
            targets = tuple(_number_target(table, name, split.train) for name in spec.target)
        features, dropped = [], []
        for name in _feature_names(table, spec):
            feature = _fit_feature(table, table.schema.column(name), split.train, warnings)
            if feature is None:
                dropped.append(name)
            else:
                features.append(feature)
        if not features:
            raise DataError("features", "expected at least one column that varies over the training rows, found none")
        return cls(tuple(features), targets, facts, spec.split, spec.seed, tuple(dropped), tuple(warnings))

    def split(self, table: Table) -> Split:
        """The rows of each part: those with a target, drawn by the seed, stratified for a single class target."""
        present = np.ones(table.row_count, bool)
        for target in self.targets:
            present &= ~_is_blank(table, target.name)
        usable = np.flatnonzero(present)
        strata = None
        if self.split_spec.stratify and self.facts.kind in ("binary", "multiclass"):
            strata = self._codes(table, self.targets[0])[usable]
        parts = split_rows(len(usable), self.split_spec, seed=self.seed, strata=strata)
        return Split(usable[parts.train], usable[parts.validation], usable[parts.test])

    # What the network sees -----------------------------------------------------------------------------------------

    @property
    def n_in(self) -> int:
        """Inputs of the network."""
        return sum(feature.width for feature in self.features)

    @property
    def n_out(self) -> int:
        """Outputs the targets call for. A binary target under softmax has one more."""
        return self.facts.outputs

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns used, in the order an array row gives them."""
        return tuple(feature.name for feature in self.features)

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name for each input of the network: the column, or column=level."""
        return tuple(
            f"{feature.name}={level}" if level is not None else feature.name
            for feature in self.features
            for level in (feature.levels if feature.type == "text" else (None,))
        )

    @property
    def target_scale(self) -> Array:
        """What one unit of each output is in the target's own unit (n_out,)."""
        return np.array([target.scale for target in self.targets] if self.facts.kind == "regression" else [1.0])

    # Encoding ------------------------------------------------------------------------------------------------------

    def encode_features(self, table: Table, numbers: Array | None = None, *, dtype: npt.DTypeLike) -> Array:
        """X (m, n_in) of the table's rows with these numbers, or of all."""
        rows = slice(None) if numbers is None else numbers
        values = [table.numbers(name)[rows] for name in self._plan.number_names]
        codes = [_feature_codes(table.text(feature.name), feature)[rows] for feature in self._plan.texts]
        count = table.row_count if numbers is None else len(numbers)
        return self._encode(values, codes, count, dtype)

    def encode_targets(
        self, table: Table, numbers: Array | None = None, *, dtype: npt.DTypeLike, n_out: int | None = None
    ) -> Array:
        """Y (m, n_out) of the table's rows with these numbers, or of all."""
        rows = slice(None) if numbers is None else numbers
        if self.facts.kind == "regression":
            columns = [(table.numbers(target.name)[rows] - target.mean) / target.scale for target in self.targets]
            return np.stack(columns, axis=1).astype(dtype)
        return self._class_outputs([self._codes(table, target)[rows] for target in self.targets], dtype, n_out)

    def encode_rows(
        self,
        rows: Sequence[Any],
        *,
        dtype: npt.DTypeLike,
        with_targets: bool = False,
        n_out: int | None = None,
    ) -> Encoded:
        """Rows as they come over the wire: objects by column name, or lists in the order of `feature_names`.

        With targets, objects hold the target columns too, and lists end with them. Raises DataError that lists every
        missing column and every cell of a wrong type.
        """
        names = self.feature_names + (tuple(target.name for target in self.targets) if with_targets else ())
        columns, warnings = self._columns(rows, names)
        problems: list[DataError] = []
        values = [_number_cells(columns[feature.name], feature, problems) for feature in self._plan.number_features]
        codes = [_text_cells(columns[feature.name], feature, problems, warnings) for feature in self._plan.texts]
        Y = self._target_cells(columns, problems, dtype, n_out) if with_targets else None
        _raise_all(problems)
        return Encoded(self._encode(values, codes, len(rows), dtype), Y, tuple(warnings))

    def decode(self, A: Array) -> list[dict[str, Any]]:
        """Outputs (m, n_out) in words: labels with probabilities that sum to 1, or values in the target's unit."""
        found = [self._decode_target(target, outputs) for target, outputs in self._outputs(A)]
        if len(found) == 1:
            return found[0]
        names = [target.name for target in self.targets]
        return [{"targets": dict(zip(names, answers, strict=True))} for answers in zip(*found, strict=True)]

    # Keeping -------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """A plain object that says everything."""
        return {
            "features": [asdict(feature) for feature in self.features],
            "targets": [asdict(target) for target in self.targets],
            "facts": asdict(self.facts),
            "split": self.split_spec.model_dump(),
            "seed": self.seed,
            "dropped": list(self.dropped),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The preprocessing `to_json` gave."""
        return cls(
            features=tuple(Feature(**item | {"levels": tuple(item["levels"])}) for item in content["features"]),
            targets=tuple(Target(**item | {"classes": tuple(item["classes"])}) for item in content["targets"]),
            facts=TargetFacts(**content["facts"]),
            split_spec=SplitSpec.model_validate(content["split"]),
            seed=content["seed"],
            dropped=tuple(content["dropped"]),
            warnings=tuple(content["warnings"]),
        )

    # Inside --------------------------------------------------------------------------------------------------------

    @cached_property
    def _plan(self) -> "_Plan":
        return _Plan.of(self.features)

    def _encode(self, values: Sequence[Any], codes: Sequence[Array], count: int, dtype: npt.DTypeLike) -> Array:
        """The one place where cells become inputs."""
        plan, X = self._plan, np.zeros((count, self.n_in), dtype)
        if values:
            matrix = np.array(values, np.float64).T
            blank = np.isnan(matrix)
            if blank.any():
                matrix = np.where(blank, plan.fills, matrix)
            X[:, plan.number_places] = (matrix - plan.means) / plan.scales
        rows = np.arange(count)
        for feature, start, cells in zip(plan.texts, plan.text_starts, codes, strict=True):
            fill = feature.levels.index(str(feature.fill))
            places = np.where(cells == BLANK, fill, cells)
            known = places != UNKNOWN
            X[rows[known], start + places[known]] = 1
        return X

    def _columns(self, rows: Sequence[Any], names: tuple[str, ...]) -> tuple[dict[str, list[Any]], list[str]]:
        """The cells by column, in row order."""
        if all(type(row) is dict for row in rows):
            return self._named_columns(rows, names)
        problems = []
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                got = f"{len(row)} cells" if isinstance(row, list) else type(row).__name__
                problems.append(
                    DataError(
                        f"rows[{number}]",
                        f"expected an object by column name, as all the others, or {len(names)} cells in the order "
                        f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}; got {got}",
                        code="wrong_shape",
                    )
                )
        _raise_all(problems)
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {n: [] for n in names}, []

    def _named_columns(
        self, rows: Sequence[dict[str, Any]], names: tuple[str, ...]
    ) -> tuple[dict[str, list[Any]], list[str]]:
        try:
            columns = {name: [row[name] for row in rows] for name in names}
        except KeyError:
            raise self._missing_columns(rows, names) from None
        known = self._known_names
        extra = dict.fromkeys(name for row in rows if not row.keys() <= known for name in row if name not in known)
        warnings = [f"{name}: not a column this run learned from; ignored" for name in list(extra)[:MAXIMUM_PROBLEMS]]
        return columns, warnings

    @cached_property
    def _known_names(self) -> frozenset[str]:
        targets = (target.name for target in self.targets)
        return frozenset((*self.feature_names, *self.dropped, *targets))

    def _missing_columns(self, rows: Sequence[dict[str, Any]], names: tuple[str, ...]) -> DataError:
        number = next(number for number, row in enumerate(rows) if not row.keys() >= set(names))
        missing = [name for name in names if name not in rows[number]]
        return _joined(
            [
                DataError(f"rows[{number}].{name}", "expected this column, found none", code="missing_column")
                for name in missing[:MAXIMUM_PROBLEMS]
            ]
        )

    def _codes(self, table: Table, target: Target) -> Array:
        """For each row of a table the place of its class."""
        text = table.text(target.name)
        places = {name: place for place, name in enumerate(target.classes)}
        mapping = np.array([places.get(level, UNKNOWN) for level in text.levels] + [BLANK], np.int64)
        return mapping[text.codes]

    def _class_outputs(self, codes: Sequence[Array], dtype: npt.DTypeLike, n_out: int | None) -> Array:
        if self.facts.kind == "multiclass" or n_out == 2 > self.facts.outputs:
            return np.eye(len(self.targets[0].classes), dtype=dtype)[codes[0]]
        return np.stack(codes, axis=1).astype(dtype)

    def _target_cells(
        self, columns: Mapping[str, list[Any]], problems: list[DataError], dtype: npt.DTypeLike, n_out: int | None
    ) -> Array | None:
        if self.facts.kind == "regression":
            scaled = []
            for target in self.targets:
                feature = Feature(target.name, target.type, float("nan"))
                values = np.array(_number_cells(columns[target.name], feature, problems), np.float64)
                for number in np.flatnonzero(np.isnan(values))[:MAXIMUM_PROBLEMS]:
                    problems.append(DataError(f"rows[{number}].{target.name}", "expected a number, got a blank"))
                scaled.append((values - target.mean) / target.scale)
            return np.stack(scaled, axis=1).astype(dtype)
        codes = [_class_cells(columns[target.name], target, problems) for target in self.targets]
        return None if problems else self._class_outputs(codes, dtype, n_out)

    def _outputs(self, A: Array) -> list[tuple[Target, Array]]:
        """Each target with its own outputs in float64."""
        A = A.astype(np.float64)
        if len(self.targets) == 1:
            return [(self.targets[0], A)]
        return [(target, A[:, place : place + 1]) for place, target in enumerate(self.targets)]

    def _decode_target(self, target: Target, A: Array) -> list[dict[str, Any]]:
        if self.facts.kind == "regression":
            return [{"value": value} for value in (A[:, 0] * target.scale + target.mean).tolist()]
        P = np.concatenate([1 - A, A], axis=1) if A.shape[1] == 1 else A / A.sum(axis=1, keepdims=True)
        classes = target.classes
        return [
            {"label": classes[best], "probabilities": dict(zip(classes, row, strict=True))}
            for best, row in zip(P.argmax(axis=1).tolist(), P.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class _Plan:
    """The features by kind, with what encoding them needs at hand."""

    number_features: tuple[Feature, ...]
    number_names: tuple[str, ...]
    number_places: Array
    means: Array
    scales: Array
    fills: Array
    texts: tuple[Feature, ...]
    text_starts: tuple[int, ...]

    @classmethod
    def of(cls, features: Sequence[Feature]) -> Self:
        starts = [0, *np.cumsum([feature.width for feature in features]).tolist()]
        numbers = [(feature, start) for feature, start in zip(features, starts, strict=False) if feature.type != "text"]
        texts = [(feature, start) for feature, start in zip(features, starts, strict=False) if feature.type == "text"]
        return cls(
            number_features=tuple(feature for feature, _ in numbers),
            number_names=tuple(feature.name for feature, _ in numbers),
            number_places=np.array([start for _, start in numbers], np.int64),
            means=np.array([feature.mean for feature, _ in numbers]),
            scales=np.array([feature.scale for feature, _ in numbers]),
            fills=np.array([feature.fill for feature, _ in numbers], np.float64),
            texts=tuple(feature for feature, _ in texts),
            text_starts=tuple(start for _, start in texts),
        )


# The target --------------------------------------------------------------------------------------------------------


def target_facts(table: Table, spec: RunSpec) -> TargetFacts:
    """What the target columns call for. Raises DataError for columns that are unknown or can't be learned."""
    _check_columns(table, spec)
    kinds = {name: _kind(table, name, spec) for name in spec.target}
    if set(kinds.values()) == {"number"}:
        return TargetFacts("regression", len(spec.target))
    if len(spec.target) == 1:
        count = len(_class_target(table, spec.target[0]).classes)
        return TargetFacts("binary", 1) if count == 2 else TargetFacts("multiclass", count)
    counts = {name: len(_class_target(table, name).classes) for name, kind in kinds.items() if kind == "class"}
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
    listed = ", ".join(table.schema.names[:20]) + (", …" if len(known) > 20 else "")
    _raise_all(
        [
            DataError(place, f"there is no column {name!r}; the dataset has {listed}", code="unknown_column")
            for place, name in places.items()
            if name not in known
        ]
    )
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
    values = table.values(name)
    if isinstance(values, Text):
        present, distinct = int((values.codes >= 0).sum()), len(values.levels)
    else:
        kept = values[~np.isnan(values)]
        present, distinct = len(kept), int(np.unique(kept).size)
    if present < 2:
        raise DataError(
            "target", f"expected at least 2 rows with a value in {name}, got {present}", code="empty_target"
        )
    is_class = column.type in ("text", "boolean") or (
        column.type == "integer" and distinct <= 50 and present >= 10 * distinct
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


def _class_target(table: Table, name: str) -> Target:
    column = table.schema.column(name)
    text = table.text(name)
    levels = list(text.levels)
    order = sorted(levels) if column.type == "text" else levels  # numbers and booleans stand in their own order
    return Target(name, column.type, classes=tuple(order))


def _number_target(table: Table, name: str, rows: Array) -> Target:
    values = table.numbers(name)[rows]
    mean, scale = _mean_and_scale(values, name)
    if scale == 0:
        raise DataError("target", f"expected {name} to vary over the training rows", code="constant_target")
    return Target(name, table.schema.column(name).type, mean=mean, scale=scale)


# Features ----------------------------------------------------------------------------------------------------------


def _feature_names(table: Table, spec: RunSpec) -> Sequence[str]:
    return spec.features or [name for name in table.schema.names if name not in spec.target]


def _fit_feature(table: Table, column: Column, rows: Array, warnings: list[str]) -> Feature | None:
    """The feature as the training rows show it, or None, with a warning, where it carries nothing."""
    if column.type == "text":
        return _fit_text(table.text(column.name), column, rows, warnings)
    values = table.numbers(column.name)[rows]
    present = values[~np.isnan(values)]
    if not present.size:
        warnings.append(f"{column.name}: blank in every training row; dropped")
        return None
    if column.type == "boolean":
        fill, mean, scale = float(present.mean() >= 0.5), 0.0, float(np.ptp(present))
    else:
        fill = float(np.median(present))
        mean, scale = _mean_and_scale(np.where(np.isnan(values), fill, values), column.name)
    if scale == 0:
        warnings.append(f"{column.name}: the same in every training row; dropped")
        return None
    spellings = column.spellings if column.type == "boolean" else {}
    return Feature(column.name, column.type, fill, mean, scale, spellings=spellings)


def _fit_text(text: Text, column: Column, rows: Array, warnings: list[str]) -> Feature | None:
    codes = text.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(text.levels))
    distinct = int((counts > 0).sum())
    if distinct < 2 and not (distinct == 1 and (codes < 0).any()):
        what = "blank" if distinct == 0 else "the same"
        warnings.append(f"{column.name}: {what} in every training row; dropped")
        return None
    if distinct > 20 and distinct > 0.5 * len(rows):
        warnings.append(f"{column.name}: {distinct} different texts in {len(rows)} rows, like an identifier; dropped")
        return None
    frequent = np.argsort(-counts, kind="stable")[: min(distinct, MAXIMUM_LEVELS)]
    if distinct > MAXIMUM_LEVELS:
        warnings.append(f"{column.name}: only its {MAXIMUM_LEVELS} most frequent texts of {distinct} are learned from")
    fill = text.levels[frequent[0]]
    if distinct == 1:
        warnings.append(f"{column.name}: the same in every training row that has it; dropped")
        return None
    return Feature(column.name, "text", fill, levels=tuple(sorted(text.levels[place] for place in frequent)))


def _mean_and_scale(values: Array, name: str) -> tuple[float, float]:
    """Mean and standard deviation, 0 where the values do not vary."""
    with np.errstate(all="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale)):
        raise DataError(
            f"columns.{name}", "expected numbers whose squares are finite, got larger ones", code="too_large"
        )
    return mean, 0.0 if np.ptp(values) == 0 or scale < 1e-12 * abs(mean) else scale


def _feature_codes(text: Text, feature: Feature) -> Array:
    """For each row the place of its text among the feature's levels."""
    places = {level: place for place, level in enumerate(feature.levels)}
    mapping = np.array([places.get(level, UNKNOWN) for level in text.levels] + [BLANK], np.int64)
    return mapping[text.codes]


def _is_blank(table: Table, name: str) -> Array:
    values = table.values(name)
    return values.codes < 0 if isinstance(values, Text) else np.isnan(values)


def _split_warnings(table: Table, split: Split, draft: Preprocessing) -> list[str]:
    warnings = []
    used = len(split.train) + len(split.validation) + len(split.test)
    names = ", ".join(target.name for target in draft.targets)
    if used < table.row_count:
        warnings.append(f"{names}: blank in {table.row_count - used} rows, which are left out")
    for part, share in (("validation", draft.split_spec.validation), ("test", draft.split_spec.test)):
        if share and not len(split.part(part)):
            warnings.append(f"split: {used} rows are too few for a {part} part of {share:g}; it is empty")
    return warnings


# Cells as they come over the wire ----------------------------------------------------------------------------------

_NUMBERS = frozenset({int, float, type(None)})


def _number_cells(cells: list[Any], feature: Feature, problems: list[DataError]) -> list[Any]:
    """Cells of a number or boolean column as numbers, blanks as None."""
    kinds = set(map(type, cells))
    if kinds <= {int, float} or (kinds <= _NUMBERS):
        try:
            if np.isinf(np.array(cells, np.float64)).any():
                raise OverflowError
        except OverflowError:
            pass
        else:
            return cells
    found: list[Any] = []
    for number, cell in enumerate(cells):
        value = _number(cell, feature)
        if isinstance(value, str):
            problems.append(DataError(f"rows[{number}].{feature.name}", value, code="wrong_type"))
            value = None
        found.append(value)
    return found


def _number(cell: Any, feature: Feature) -> float | str | None:
    """The cell as a number, None if blank, or what is wrong with it."""
    if cell is None or (isinstance(cell, str) and cell in BLANKS):
        return None
    if feature.type == "boolean":
        names = {feature.spellings.get(plain, plain): value for plain, value in (("true", 1.0), ("false", 0.0))}
        names |= {"true": 1.0, "false": 0.0}
        if isinstance(cell, (bool, int, float)) and cell in (0, 1):
            return float(cell)
        if isinstance(cell, str) and cell in names:
            return names[cell]
        return f"expected true or false, got {_shown(cell)}"
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        return f"expected a number, got {_shown(cell)}"
    try:
        value = float(cell)
    except OverflowError:
        value = float("inf")
    return value if np.isfinite(value) else "expected a finite number, got a larger one than float64 holds"


def _text_cells(cells: list[Any], feature: Feature, problems: list[DataError], warnings: list[str]) -> Array:
    places = {level: place for place, level in enumerate(feature.levels)}
    codes, unknown = np.empty(len(cells), np.int64), 0
    for number, cell in enumerate(cells):
        if isinstance(cell, (list, dict)):
            problems.append(
                DataError(f"rows[{number}].{feature.name}", f"expected a text, got {_shown(cell)}", code="wrong_type")
            )
        text = _spelled(cell)
        codes[number] = BLANK if text is None else places.get(text, UNKNOWN)
        unknown += codes[number] == UNKNOWN
    if unknown:
        warnings.append(f"{feature.name}: {unknown} of {len(cells)} rows hold a text not seen in training")
    return codes


def _class_cells(cells: list[Any], target: Target, problems: list[DataError]) -> Array:
    places = {name: place for place, name in enumerate(target.classes)}
    if target.type != "text":
        places |= {_plainly(name, target.type): place for name, place in list(places.items())}
    codes = np.zeros(len(cells), np.int64)
    listed = ", ".join(target.classes[:20]) + (", …" if len(target.classes) > 20 else "")
    for number, cell in enumerate(cells):
        text = _spelled(cell)
        if text not in places and isinstance(cell, float) and cell.is_integer():
            text = str(int(cell))
        if text in places:
            codes[number] = places[text]
        else:
            problems.append(
                DataError(
                    f"rows[{number}].{target.name}",
                    f"expected one of the classes {listed}, got {_shown(cell)}",
                    code="unknown_class",
                )
            )
    return codes


def _plainly(name: str, kind: ColumnType) -> str:
    """The plain form of a class that the file spells in its own way."""
    return spell(name.lower() == "true", kind) if kind == "boolean" else spell(float(name), kind)


def _spelled(cell: Any) -> str | None:
    """A cell as a file would spell it; None if blank."""
    if cell is None or isinstance(cell, str):
        return None if cell in BLANKS or cell is None else cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return repr(cell)


def _shown(cell: Any) -> str:
    """What was found, short: its kind for anything but a number, so that no answer repeats what users keep private."""
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(cell), "a number")


def _joined(problems: Sequence[DataError]) -> DataError:
    first = problems[0]
    return DataError(first.place, first.message, code=first.code, problems=problems)


def _raise_all(problems: Sequence[DataError]) -> None:
    if problems:
        raise _joined(problems[:MAXIMUM_PROBLEMS])
