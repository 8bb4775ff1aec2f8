"""Preprocessing: how a table's cells become the network's numbers, and its outputs words again.

It is fitted on the training rows alone and kept with the run as readable JSON. Training, prediction and inspection
encode through the same few lines, so that a row means the same in all three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.data.cells import class_cells, number_cells, number_columns, text_cells, without
from engine.data.encoder import Encoder
from engine.data.features import Feature, codes_of, feature_codes, fit_feature, fit_places
from engine.data.notices import Notices
from engine.data.outputs import Output
from engine.data.refusals import refused_levels, refused_numbers
from engine.data.splits import Split, named_parts, split_by_time, split_rows, times_of
from engine.data.table import STRETCH_ROWS, Table, Text
from engine.data.targets import Target, class_target, number_target, target_facts
from engine.data.weights import fit_class_weights, weights_of
from engine.defaults import split_of
from engine.errors import MAXIMUM_PROBLEMS, DataError, raise_all
from engine.parameters import Array
from engine.spec import RunSpec, SplitSpec, TargetFacts
from engine.units import Units


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
    weight: str | None = None
    """The column that says how much each row counts."""
    na: tuple[str, ...] = ()
    """Spellings of a blank in the dataset's file, which rows may use too."""
    class_weights: tuple[float, ...] = ()
    """How much rows of each class count, in the order of the target's classes; empty: all alike."""

    # Fitting -------------------------------------------------------------------------------------------------------

    @classmethod
    def fit(cls, table: Table, spec: RunSpec) -> Self:
        """Choose the rows to train on, and fit everything on them. Raises DataError for data that can't be used."""
        facts = target_facts(table, spec)
        targets = tuple(class_target(table, name) for name in spec.target)
        if facts.task == "regression":
            targets = tuple(Target(name, table.schema.column(name).type) for name in spec.target)
        draft = cls((), targets, facts, spec.split, spec.seed, (), (), spec.weight, table.na)
        draft = replace(draft, split_spec=split_of(spec.split, len(draft.usable_rows(table))))
        split = draft.split(table)
        class_weights = fit_class_weights(draft.class_codes(table, split.train), targets, facts, spec.training)
        warnings = _split_warnings(table, split, draft)
        if facts.task == "regression":
            targets = tuple(
                number_target(table, name, split.train, spec.training.loss, spec.preprocessing.targets)
                for name in spec.target
            )
        columns = [table.schema.column(name) for name in _feature_names(table, spec)]
        if (shaped := spec.network.input) is not None:
            features, dropped = fit_places(table, columns, split.train, warnings, shaped.scaling), []
        else:
            found = {each.name: fit_feature(table, each, split.train, warnings, spec.preprocessing) for each in columns}
            features = [feature for feature in found.values() if feature is not None]
            dropped = [name for name, feature in found.items() if feature is None]
        if not features:
            raise DataError("features", "expected at least one column that varies over the training rows, found none")
        return replace(
            draft,
            features=tuple(features),
            targets=targets,
            dropped=tuple(dropped),
            warnings=tuple(warnings),
            class_weights=class_weights,
        )

    @property
    def is_stratified(self) -> bool:
        """Whether each class is drawn from by itself."""
        spec = self.split_spec
        return spec.stratify and self.facts.kind in ("binary", "multiclass") and not spec.columns

    def usable_rows(self, table: Table) -> Array:
        """The numbers of the rows that have every target."""
        present = np.ones(table.row_count, bool)
        for target in self.targets:
            for rows, values in table.stretches(target.name):
                present[rows] &= values.codes >= 0 if isinstance(values, Text) else ~np.isnan(values)
        return np.flatnonzero(present)

    def split(self, table: Table) -> Split:
        """The rows of each part: those with a target, as the split's spec says. Raises DataError where it can't be."""
        usable, spec = self.usable_rows(table), self.split_spec
        if spec.time is not None:
            parts = split_by_time(times_of(table, spec.time, usable), spec)
        elif spec.part is not None:
            parts = named_parts(table, spec.part, usable)
        else:
            strata = self.class_codes(table, usable) if self.is_stratified else None
            groups = None if spec.group is None else table.text(spec.group, usable).codes
            parts = split_rows(len(usable), spec, seed=self.seed, strata=strata, groups=groups)
        train = usable[parts.train]
        train = train[~np.isin(train, spec.without)] if spec.without else train
        if not len(train):
            raise DataError("split", "expected rows that are left to train on, got none", code="empty_part")
        return Split(train, usable[parts.validation], usable[parts.test])

    def class_codes(self, table: Table, rows: Array) -> Array | None:
        """For each of the rows the place of its class, of a single target of classes; None of other targets."""
        return self._codes(table, self.targets[0], rows) if self.facts.kind in ("binary", "multiclass") else None

    def weights(self, table: Table, rows: Array) -> Array | None:
        """How much each of the rows counts (m,), by the weight column and its class; None where all count alike.

        Raises DataError for a weight that is blank or negative.
        """
        found = None if self.weight is None else weights_of(table, self.weight, rows)
        codes = self.class_codes(table, rows)
        if self.class_weights and codes is not None:
            of_classes = np.array(self.class_weights)[codes]
            return of_classes if found is None else found * of_classes
        return found

    # What the network sees -----------------------------------------------------------------------------------------

    @property
    def n_in(self) -> int:
        """Inputs of the network."""
        return self.encoder.n_in

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
        """A name for each input of the network: the column, with its level or part behind it."""
        return self.encoder.input_names

    @cached_property
    def encoder(self) -> Encoder:
        """What makes inputs of cells."""
        return Encoder(self.features)

    @property
    def units(self) -> Units | None:
        """How the outputs of a regression lie to the targets' own numbers; None of classes."""
        if self.facts.kind != "regression":
            return None
        return Units(
            np.array([target.scale for target in self.targets]),
            np.array([target.mean for target in self.targets]),
            np.array([target.transform == "log1p" for target in self.targets]),
        )

    # Encoding ------------------------------------------------------------------------------------------------------

    def check(self, table: Table, split: Split, *, dtype: npt.DTypeLike) -> None:
        """Refuse weights that are none, and numbers of any part that the dtype can't hold once they are scaled."""
        parts = (split.train, split.validation, split.test)
        for part in parts:
            self.weights(table, part)
        some = [rows[start : start + STRETCH_ROWS] for rows in parts for start in range(0, len(rows), STRETCH_ROWS)]
        problems = list[DataError]()
        for feature in self.encoder.numeric:
            for rows in some:
                with np.errstate(over="ignore"):  # to infinity
                    scaled = (feature.transformed(table.numbers(feature.name, rows)) - feature.mean) / feature.scale
                    problems += _too_far(scaled.astype(dtype)[:, np.newaxis], (feature.name,), rows)
        for target in self.targets if self.facts.kind == "regression" else ():
            for rows in some:
                scaled = _scaled(table.numbers(target.name, rows), target, dtype)
                problems += _too_far(scaled[:, np.newaxis], (target.name,), rows)
        raise_all(problems)

    def encode_features(self, table: Table, numbers: Array | None = None, *, dtype: npt.DTypeLike) -> Array:
        """X (m, n_in) of the table's rows with these numbers, or of all. Raises DataError as `check` does."""
        rows, encoder = np.arange(table.row_count) if numbers is None else numbers, self.encoder
        values = np.array([table.numbers(feature.name, rows) for feature in encoder.numeric])
        codes = [feature_codes(table.text(feature.name, rows), feature) for feature in encoder.categories]
        raise_all([*refused_numbers(values, encoder.numeric, rows), *refused_levels(codes, encoder.categories, rows)])
        X = encoder.encode(values, codes, len(rows), dtype)
        raise_all(_too_far(X, self.input_names, rows))
        return X

    def encode_targets(
        self, table: Table, numbers: Array | None = None, *, dtype: npt.DTypeLike, n_out: int | None = None
    ) -> Array:
        """Y (m, n_out) of the table's rows with these numbers, or of all. Raises DataError as `check` does."""
        rows = np.arange(table.row_count) if numbers is None else numbers
        if self.facts.kind == "regression":
            columns = [_scaled(table.numbers(target.name, rows), target, dtype) for target in self.targets]
            Y = np.stack(columns, axis=1)
            raise_all(_too_far(Y, [target.name for target in self.targets], rows))
            return Y
        return self._class_outputs([self._codes(table, target, rows) for target in self.targets], dtype, n_out)

    def encode_rows(
        self,
        rows: Sequence[Any],
        *,
        dtype: npt.DTypeLike,
        with_targets: bool = False,
        n_out: int | None = None,
        notices: Notices | None = None,
    ) -> Encoded:
        """Rows as they come over the wire: objects by column name, or lists in the order of `feature_names`.

        With targets, objects hold the target columns too, and lists end with them. With `notices` the warnings are of
        all that was encoded with them. Raises DataError that lists every missing column, every cell of a wrong type and
        every number that the dtype can't hold once it is scaled.
        """
        names = self.feature_names + (tuple(target.name for target in self.targets) if with_targets else ())
        problems, notices = list[DataError](), notices or Notices()
        notices.rows += len(rows)
        columns = self._columns(rows, names, problems, notices)
        numbers, codes = self._cells(columns, problems, notices)
        Y = self._target_cells(columns, problems, dtype, n_out) if with_targets else None
        raise_all(problems)
        X = self.encoder.encode(numbers, codes, len(rows), dtype)
        raise_all(_too_far(X, self.input_names))
        if Y is not None:
            raise_all(_too_far(Y, names[-len(self.targets) :]))
        return Encoded(X, Y, notices.warnings)

    def encode_columns(
        self, columns: Mapping[str, list[Any]], *, dtype: npt.DTypeLike, notices: Notices | None = None
    ) -> Encoded:
        """The same of rows that come as columns of equal length by name, in any order, without targets.

        Raises DataError as `encode_rows` does, but for a missing column once.
        """
        notices = notices or Notices()
        raise_all(
            [
                DataError(f"columns.{name}", "expected this column, found none", code="missing_column")
                for name in self.feature_names
                if name not in columns
            ]
        )
        notices.ignore(name for name in columns if name not in self._known_names)
        problems, count = list[DataError](), len(columns[self.feature_names[0]])
        notices.rows += count
        numbers, codes = self._cells(columns, problems, notices)
        raise_all(problems)
        X = self.encoder.encode(numbers, codes, count, dtype)
        raise_all(_too_far(X, self.input_names))
        return Encoded(X, None, notices.warnings)

    def decode(self, A: Array, *, scores: bool = False) -> list[dict[str, Any]]:
        """Outputs (m, n_out) in words: labels with probabilities that sum to 1, or values in the target's unit.

        With `scores` a class has no probability: labels come with the score of each.
        """
        found = [self._decode_target(target, outputs, scores) for target, outputs in self._outputs(A)]
        if len(found) == 1:
            return found[0]
        names = [target.name for target in self.targets]
        return [{"targets": dict(zip(names, answers, strict=True))} for answers in zip(*found, strict=True)]

    def outputs(self, A: Array, *, scores: bool = False) -> list[Output]:
        """What `decode` says by column: `label` and `probability_<class>` (or `score_<class>`), or `value`.

        Of several targets each column begins with the target's name, and a value's is that name.
        """
        found, is_alone = list[Output](), len(self.targets) == 1
        for target, outputs in self._outputs(A):
            if self.facts.kind == "regression":
                found.append(Output("value" if is_alone else target.name, target.own(outputs[:, 0])))
                continue
            of_each, prefix = _of_each(outputs, scores), "" if is_alone else f"{target.name}_"
            what = "score" if scores else "probability"
            found.append(Output(f"{prefix}label", of_each.argmax(axis=1), target.classes))
            found += [
                Output(f"{prefix}{what}_{name}", numbers)
                for name, numbers in zip(target.classes, of_each.T, strict=True)
            ]
        return found

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
            "weight": self.weight,
            "na": list(self.na),
            "class_weights": list(self.class_weights),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The preprocessing `to_json` gave."""
        return cls(
            features=tuple(map(Feature.from_json, content["features"])),
            targets=tuple(Target(**item | {"classes": tuple(item["classes"])}) for item in content["targets"]),
            facts=TargetFacts(**content["facts"]),
            split_spec=SplitSpec.model_validate(content["split"]),
            seed=content["seed"],
            dropped=tuple(content["dropped"]),
            warnings=tuple(content["warnings"]),
            weight=content.get("weight"),
            na=tuple(content.get("na", ())),
            class_weights=tuple(content.get("class_weights", ())),
        )

    # Inside --------------------------------------------------------------------------------------------------------

    def _cells(
        self, columns: Mapping[str, list[Any]], problems: list[DataError], notices: Notices
    ) -> tuple[Array, list[Array]]:
        """The numbers (features, m) and the codes of levels (m,) in cells by column, as the encoder takes them."""
        encoder = self.encoder
        cells = {name: without(self.na, columns[name]) for name in self.feature_names}
        numbers = number_columns([cells[feature.name] for feature in encoder.numeric], encoder.numeric, problems)
        codes = [text_cells(cells[feature.name], feature, problems, notices) for feature in encoder.categories]
        problems += [*refused_numbers(numbers, encoder.numeric), *refused_levels(codes, encoder.categories)]
        return numbers, codes

    def _columns(
        self, rows: Sequence[Any], names: tuple[str, ...], problems: list[DataError], notices: Notices
    ) -> dict[str, list[Any]]:
        """The cells by column, in row order."""
        if all(type(row) is dict for row in rows):
            return self._named_columns(rows, names, problems, notices)
        listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                got = (
                    f"{len(row)} cells"
                    if isinstance(row, list)
                    else "an object"
                    if isinstance(row, dict)
                    else "neither"
                )
                wanted = f"objects by column name alone, or lists alone of {len(names)} cells in the order {listed}"
                problems.append(DataError(f"rows[{number}]", f"expected {wanted}; got {got}", code="wrong_shape"))
        raise_all(problems)
        return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))

    def _named_columns(
        self, rows: Sequence[dict[str, Any]], names: tuple[str, ...], problems: list[DataError], notices: Notices
    ) -> dict[str, list[Any]]:
        known = self._known_names
        notices.ignore(name for row in rows if not row.keys() <= known for name in row if name not in known)
        try:
            return {name: [row[name] for row in rows] for name in names}
        except KeyError:
            problems += [
                DataError(f"rows[{number}].{name}", "expected this column, found none", code="missing_column")
                for number, row in enumerate(rows)
                for name in names
                if name not in row
            ]
            return {name: [row.get(name) for row in rows] for name in names}

    @cached_property
    def _known_names(self) -> frozenset[str]:
        targets = (target.name for target in self.targets)
        return frozenset((*self.feature_names, *self.dropped, *targets))

    def _codes(self, table: Table, target: Target, rows: Array) -> Array:
        """For each of the rows the place of its class."""
        return codes_of(table.text(target.name, rows), target.classes)

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
                values = np.array(number_cells(columns[target.name], feature, problems), np.float64)
                for number in np.flatnonzero(np.isnan(values)):
                    problems.append(DataError(f"rows[{number}].{target.name}", "expected a number, got a blank"))
                scaled.append(_scaled(values, target, dtype))
            return np.stack(scaled, axis=1)
        codes = [class_cells(columns[target.name], target, problems) for target in self.targets]
        return None if problems else self._class_outputs(codes, dtype, n_out)

    def _outputs(self, A: Array) -> list[tuple[Target, Array]]:
        """Each target with its own outputs in float64."""
        A = A.astype(np.float64)
        if len(self.targets) == 1:
            return [(self.targets[0], A)]
        return [(target, A[:, place : place + 1]) for place, target in enumerate(self.targets)]

    def _decode_target(self, target: Target, A: Array, scores: bool) -> list[dict[str, Any]]:
        if self.facts.kind == "regression":
            return [{"value": value} for value in target.own(A[:, 0]).tolist()]
        of_each = _of_each(A, scores)
        more, what = ({"probabilities": None}, "scores") if scores else ({}, "probabilities")
        classes = target.classes
        return [
            {"label": classes[best], **more, what: dict(zip(classes, row, strict=True))}
            for best, row in zip(of_each.argmax(axis=1).tolist(), of_each.tolist(), strict=True)
        ]


def _of_each(A: Array, scores: bool) -> Array:
    """The probability, or the score, of each class (m, classes): one output is that of the second of two."""
    if A.shape[1] == 1:
        return np.concatenate([-A if scores else 1 - A, A], axis=1)
    return A if scores else A / A.sum(axis=1, keepdims=True)


def _scaled(values: Array, target: Target, dtype: npt.DTypeLike) -> Array:
    with np.errstate(over="ignore"):  # to infinity, which is refused by its place
        return target.encoded(values).astype(dtype)


def _too_far(values: Array, names: Sequence[str], rows: Array | None = None) -> list[DataError]:
    """A problem for each cell that scaling made infinite, by the number of its row in the table if that is given."""
    infinite = np.isinf(values)
    if not infinite.any():
        return []
    places = np.argwhere(infinite)[:MAXIMUM_PROBLEMS]
    expected = f"expected a number nearer to those of training, got one too large for {values.dtype} once it is scaled"
    if rows is not None:
        places[:, 0] = rows[places[:, 0]]
    return [DataError(f"rows[{row}].{names[place]}", expected, code="too_large") for row, place in places]


def _feature_names(table: Table, spec: RunSpec) -> Sequence[str]:
    kept_out = {*spec.target, *spec.split.columns, spec.weight}
    return spec.features or [name for name in table.schema.names if name not in kept_out]


def _split_warnings(table: Table, split: Split, draft: Preprocessing) -> list[str]:
    warnings = []
    used = len(split.train) + len(split.validation) + len(split.test)
    names = ", ".join(target.name for target in draft.targets)
    if used < table.row_count:
        warnings.append(f"{names}: blank in {table.row_count - used} rows, which are left out")
    for part, share in (("validation", draft.split_spec.validation), ("test", draft.split_spec.test)):
        found, wanted = len(split.part(part)), round(used * share)
        if draft.is_stratified and found < wanted:
            warnings.append(
                f"split: each class of {names} keeps a row to train, so the {part} part has {found} of {wanted} rows; "
                "stratify: false draws from all rows alike"
            )
        elif share and not found and draft.split_spec.part is None:
            warnings.append(f"split: {used} rows are too few for a {part} part of {share:g}; it is empty")
    return warnings
