"""Features: the columns learned from, and what the training rows say about each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

import numpy as np

from engine.data.datetime_parts import datetime_parts, part_names
from engine.data.frequencies import frequencies
from engine.data.schema import Column, ColumnType
from engine.data.table import BLANK, STRETCH_ROWS, UNKNOWN, Table, Text
from engine.encodings import (
    CategoryEncoding,
    DatetimeEncoding,
    DatetimePart,
    Encoding,
    NumberEncoding,
    PreprocessingSpec,
)
from engine.errors import DataError
from engine.parameters import Array
from engine.units import signed_log

QUANTILES = 100
"""Steps of the distribution that the quantile transform keeps."""
SKEWED = 4.0
"""From this skewness on a number from 0 on is learned by its logarithm, unless told otherwise."""
INDICATED = 0.05
"""From this share of blanks on a feature has an indicator of them, unless told otherwise."""
BLANK_LEVEL = ""
"""The level that blanks are, where they are one: no other text is empty."""
MAXIMUM_LEVELS = CategoryEncoding().max_levels
"""Levels told apart of one column, the most frequent first, unless told otherwise."""


@dataclass(frozen=True)
class Feature:
    """One column learned from. A number x becomes (g(x) − mean)/scale, a level its own input, its place or its id."""

    name: str
    type: ColumnType
    fill: float | str
    """What a blank is read as."""
    mean: float = 0.0
    scale: float = 1.0
    levels: tuple[str, ...] = ()
    spellings: dict[str, str] = field(default_factory=dict)
    """How the file first writes true and false, for whoever reads the preprocessing."""
    encoding: Literal["number", "one_hot", "ordinal", "embedding", "datetime"] = "number"
    transform: Literal["none", "log1p", "quantile"] = "none"
    """g of a number."""
    quantiles: tuple[float, ...] = ()
    """The numbers below which equal shares of the training rows lie."""
    indicator: bool = False
    """Whether another input tells blanks."""
    refuses_blanks: bool = False
    has_other: bool = False
    """Whether levels that are not among `levels` are one level of their own."""
    refuses_unseen: bool = False
    parts: tuple[DatetimePart, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    """Of each number of the parts."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The feature of a plain object. Those of an earlier release don't say how they are encoded."""
        lists = {name: tuple(content.get(name, ())) for name in ("levels", "quantiles", "parts", "means", "scales")}
        encoding = {} if "encoding" in content else {"encoding": "one_hot" if content["type"] == "text" else "number"}
        return cls(**{**content, **lists, **encoding})

    @property
    def is_category(self) -> bool:
        """Whether its cells are levels."""
        return self.encoding in ("one_hot", "ordinal", "embedding")

    @property
    def level_count(self) -> int:
        """How many levels there are, the one of all others included."""
        return len(self.levels) + self.has_other

    @property
    def width(self) -> int:
        """How many inputs of the network it makes."""
        if self.encoding == "one_hot":
            return self.level_count
        return len(self.means) if self.encoding == "datetime" else 1 + self.indicator

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name for each input: the column's, with a level or part behind it."""
        if self.encoding == "one_hot":
            levels = (*self.levels, *(["(other)"] if self.has_other else []))
            return tuple(f"{self.name}={'(blank)' if level == BLANK_LEVEL else level}" for level in levels)
        if self.encoding == "datetime":
            return tuple(f"{self.name}.{part}" for part in part_names(self.parts))
        return (self.name, f"{self.name}=(blank)") if self.indicator else (self.name,)

    def transformed(self, values: Array) -> Array:
        """g of numbers."""
        if self.transform == "log1p":
            return signed_log(values)
        if self.transform == "quantile":
            steps = np.array(self.quantiles)
            return np.interp(values, steps, np.linspace(0, 1, len(steps)))
        return values

    def places(self, codes: Array) -> Array:
        """Of each code, as `feature_codes` gives them, the place of its input or id; UNKNOWN where it has none."""
        blank = self.levels.index(str(self.fill))
        found = np.where(codes == BLANK, blank, codes)
        return np.where(found == UNKNOWN, len(self.levels), found) if self.has_other else found


def fit_feature(
    table: Table, column: Column, rows: Array, warnings: list[str], spec: PreprocessingSpec
) -> Feature | None:
    """The feature as the training rows show it, or None, with a warning, where it carries nothing.

    Raises DataError for an encoding that is not of such columns, and for what it refuses.
    """
    asked = spec.columns.get(column.name)
    encoding = asked or _default(column, spec)
    if isinstance(encoding, CategoryEncoding):
        text, distinct = _levels(table, column, rows, max(encoding.max_levels, len(encoding.order or ()) + 1))
        return _fit_category(text, distinct, column, rows, warnings, encoding, is_asked=asked is not None)
    place = f"preprocessing.columns.{column.name}"
    if column.type == "text":
        raise DataError(place, f"expected category, as {column.name} is text, got {encoding.type}", code="not_numbers")
    if isinstance(encoding, DatetimeEncoding):
        if column.type != "datetime":
            raise DataError(place, f"expected a column of dates or times, but {column.name} is {column.type}")
        return _fit_datetime(table.numbers(column.name, rows), column, warnings, encoding)
    return _fit_number(table.numbers(column.name, rows), column, rows, warnings, encoding)


def _default(column: Column, spec: PreprocessingSpec) -> Encoding:
    if column.type == "text":
        return spec.categories
    return spec.datetimes if column.type == "datetime" else spec.numbers


# Numbers -----------------------------------------------------------------------------------------------------------


def _fit_number(
    values: Array, column: Column, rows: Array, warnings: list[str], encoding: NumberEncoding
) -> Feature | None:
    blank = np.isnan(values)
    present = values[~blank] if blank.any() else values
    if not present.size:
        warnings.append(f"{column.name}: blank in every training row; dropped")
        return None
    if blank.any() and encoding.missing == "refuse":
        raise _blank_refused(column.name, rows[np.flatnonzero(blank)[0]])
    fill, transform = _fill(present, column, encoding), _transform(present, encoding)
    quantiles = np.quantile(present, np.linspace(0, 1, QUANTILES + 1)).tolist() if transform == "quantile" else []
    drawn = Feature(
        column.name,
        column.type,
        fill,
        spellings=column.spellings if column.type == "boolean" else {},
        transform=transform,
        quantiles=tuple(quantiles),
        indicator=bool(blank.mean() >= INDICATED) if encoding.indicator == "auto" else encoding.indicator,
        refuses_blanks=encoding.missing == "refuse",
    )
    mean, scale = _affine(drawn.transformed(np.where(blank, fill, values) if blank.any() else values), column, encoding)
    if np.ptp(present) == 0 and not drawn.indicator:
        warnings.append(f"{column.name}: the same in every training row; dropped")
        return None
    return replace(drawn, mean=mean, scale=scale or 1.0)


def _fill(present: Array, column: Column, encoding: NumberEncoding) -> float:
    if encoding.missing == "constant":
        return encoding.fill
    if column.type == "boolean":
        return float(present.mean() >= 0.5)
    return float(present.mean()) if encoding.missing == "mean" else float(np.median(present))


def _transform(present: Array, encoding: NumberEncoding) -> Literal["none", "log1p", "quantile"]:
    if encoding.transform != "auto":
        return encoding.transform
    with np.errstate(all="ignore"):
        deviations = present - present.mean()
        cubes = deviations * deviations
        cubes *= deviations
        skewness = cubes.mean() / deviations.std() ** 3
    return "log1p" if present.min() >= 0 and skewness > SKEWED else "none"


def _affine(values: Array, column: Column, encoding: NumberEncoding) -> tuple[float, float]:
    """What is subtracted and divided by; the latter 0 where nothing varies."""
    if encoding.scaling == "none":
        return 0.0, 1.0
    if column.type == "boolean" and encoding.scaling == "standard":
        return 0.0, float(np.ptp(values))
    mean, scale = mean_and_scale(values, column.name)
    if encoding.scaling == "min_max":
        return float(values.min()), float(np.ptp(values))
    if encoding.scaling == "robust":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return float(middle), float(high - low) or scale
    return mean, scale


def fit_places(
    table: Table, columns: Sequence[Column], rows: Array, warnings: list[str], scaling: str
) -> list[Feature]:
    """The features at the places of a shaped input. Under `range` they have one lowest and one highest number.

    Raises DataError for text, which is no number at a place.
    """
    features = [_fit_place(table, column, rows, warnings, scaling) for column in columns]
    if scaling != "range":
        return features
    lowest = min(feature.mean for feature in features)
    scale = max(feature.mean + feature.scale for feature in features) - lowest
    if not np.isfinite(scale):
        raise DataError("features", "expected numbers whose range is finite, got larger ones", code="too_large")
    return [replace(feature, mean=lowest, scale=scale or 1.0) for feature in features]


def _fit_place(table: Table, column: Column, rows: Array, warnings: list[str], scaling: str) -> Feature:
    """The feature at one place, which stays though it carries nothing: 0 then, with a warning."""
    if column.type == "text":
        raise DataError(
            f"columns.{column.name}",
            "expected numbers, which network.input gives a shape, got text; leave the column out of features",
            code="not_numbers",
        )
    values = table.numbers(column.name, rows)
    present = values[~np.isnan(values)]
    spellings = column.spellings if column.type == "boolean" else {}
    fill = float(np.quantile(present, 0.5, method="lower")) if present.size else 0.0
    if scaling == "none":
        return Feature(column.name, column.type, fill, spellings=spellings)
    if scaling == "range":
        lowest, highest = (float(present.min()), float(present.max())) if present.size else (fill, fill)
        return Feature(column.name, column.type, fill, lowest, highest - lowest, spellings=spellings)
    mean, scale = mean_and_scale(np.where(np.isnan(values), fill, values), column.name)
    if scale == 0:
        what = "the same" if present.size else "blank"
        warnings.append(f"{column.name}: {what} in every training row; kept as 0, since the input has a shape")
    return Feature(column.name, column.type, fill, mean, scale or 1.0, spellings=spellings)


def mean_and_scale(values: Array, name: str) -> tuple[float, float]:
    """Mean and standard deviation, 0 where the values do not vary."""
    with np.errstate(all="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale)):
        raise DataError(
            f"columns.{name}", "expected numbers whose squares are finite, got larger ones", code="too_large"
        )
    return mean, 0.0 if np.ptp(values) == 0 or scale < 1e-12 * abs(mean) else scale


# Moments -----------------------------------------------------------------------------------------------------------


def _fit_datetime(seconds: Array, column: Column, warnings: list[str], encoding: DatetimeEncoding) -> Feature | None:
    present = seconds[~np.isnan(seconds)]
    if not present.size or np.ptp(present) == 0:
        what = "blank" if not present.size else "the same"
        warnings.append(f"{column.name}: {what} in every training row; dropped")
        return None
    fill = float(np.quantile(present, 0.5, method="lower"))
    filled = np.where(np.isnan(seconds), fill, seconds)
    blocks = [filled[start : start + STRETCH_ROWS] for start in range(0, len(filled), STRETCH_ROWS)]
    asked = [part for part in get_args(DatetimePart) if part in encoding.parts]
    kept = [part for part in asked if _varies(datetime_parts(block, (part,)) for block in blocks)]
    means, scales = _mean_and_deviation(datetime_parts(block, kept) for block in blocks)
    return Feature(
        column.name,
        column.type,
        fill,
        encoding="datetime",
        parts=tuple(kept),
        means=tuple(means.tolist()),
        scales=tuple(np.where(scales > 0, scales, 1.0).tolist()),
    )


def _varies(blocks: Iterable[Array]) -> bool:
    """Whether any of the numbers in blocks (m, n) does, beyond rounding."""
    lowest, highest = zip(*((block.min(axis=0), block.max(axis=0)) for block in blocks), strict=True)
    return bool((np.max(highest, axis=0) - np.min(lowest, axis=0)).max() > 1e-9)


def _mean_and_deviation(blocks: Iterable[Array]) -> tuple[Array, Array]:
    """Of each column (n,) of blocks (m, n): joined as in Chan, Golub & LeVeque 1979, Updating formulae, eq. 2.1."""
    count, mean, square = 0, np.float64(0), np.float64(0)
    for block in blocks:
        of_block, rows = block.mean(axis=0), len(block)
        away = of_block - mean
        square = square + block.var(axis=0) * rows + away * away * (count * rows / (count + rows))
        mean = mean + away * (rows / (count + rows))
        count += rows
    return np.asarray(mean), np.sqrt(square / count)


# Categories --------------------------------------------------------------------------------------------------------


def _levels(table: Table, column: Column, rows: Array, most: int) -> tuple[Text, int]:
    """The column as text, and how many texts the training rows have.

    Of one that is too large to be held in memory, at least the `most` most frequent texts of those rows have a code.
    """
    if table.keeps(column.name) or column.type != "text":
        text = table.text(column.name)
        return text, int(np.count_nonzero(_counts(text, rows)))
    trains = np.zeros(table.row_count, bool)
    trains[rows] = True
    found = frequencies(lambda: ((text, trains[place]) for place, text in table.texts(column.name)), len(rows), most)
    levels = tuple(text for text, _ in found.top)
    codes = np.empty(table.row_count, np.int32)
    for stretch, text in table.texts(column.name):
        codes[stretch] = codes_of(text, levels)
    return Text(codes, levels), found.distinct


def _counts(text: Text, rows: Array) -> Array:
    """How many of the rows have each level."""
    codes = text.codes[rows]
    return np.bincount(codes[codes >= 0], minlength=len(text.levels))


def _fit_category(
    text: Text,
    distinct: int,
    column: Column,
    rows: Array,
    warnings: list[str],
    encoding: CategoryEncoding,
    *,
    is_asked: bool,
) -> Feature | None:
    codes = text.codes[rows]
    if encoding.missing == "refuse" and (codes == BLANK).any():
        raise _blank_refused(column.name, rows[np.flatnonzero(codes == BLANK)[0]])
    counts = _counts(text, rows)
    if encoding.order is None and (reason := _useless(column.name, codes, distinct, encoding, is_asked)):
        warnings.append(reason)
        return None
    by_count = np.argsort(-counts, kind="stable")
    kept = [place for place in by_count[: encoding.max_levels] if counts[place] >= encoding.min_count]
    if encoding.order is not None:
        levels = encoding.order
        _check_order(text, counts, levels, column.name)
    else:
        levels = _sorted([text.levels[place] for place in kept], column)
    merged = encoding.order is None and len(kept) < distinct
    if distinct > encoding.max_levels and encoding.order is None:
        most = f"its {encoding.max_levels} most frequent texts of {distinct}"
        warnings.append(f"{column.name}: only {most} are learned from")
    is_level = encoding.missing == "level"
    fill = BLANK_LEVEL if is_level else text.levels[by_count[0]] if by_count.size else ""
    if fill not in levels:
        levels = (BLANK_LEVEL, *levels) if is_level else levels
        fill = fill if fill in levels else levels[0]
    feature = Feature(
        column.name,
        column.type,
        fill,
        levels=levels,
        encoding=encoding.encoding,
        refuses_blanks=encoding.missing == "refuse",
        has_other=merged or encoding.unseen == "other" or encoding.encoding == "embedding",
        refuses_unseen=encoding.unseen == "refuse",
    )
    if encoding.encoding != "ordinal":
        return feature
    places = feature.places(feature_codes(text, feature)[rows])
    mean, scale = mean_and_scale(places[places != UNKNOWN].astype(np.float64), column.name)
    return replace(feature, mean=mean, scale=scale or 1.0)


def _useless(name: str, codes: Array, distinct: int, encoding: CategoryEncoding, is_asked: bool) -> str | None:
    """Why nothing can be learned from the column."""
    has_blanks = bool((codes == BLANK).any())
    tells_blanks = encoding.missing == "level" and has_blanks
    if distinct + tells_blanks < 2:
        if distinct == 1 and has_blanks:
            return f"{name}: the same in every training row that has it; dropped"
        return f"{name}: {'blank' if distinct == 0 else 'the same'} in every training row; dropped"
    if not is_asked and distinct > 20 and distinct > 0.5 * len(codes):
        return f"{name}: {distinct} different texts in {len(codes)} rows, like an identifier; dropped"
    return None


def _sorted(levels: Sequence[str], column: Column) -> tuple[str, ...]:
    """Texts by themselves, what spells numbers by its size."""
    return tuple(sorted(levels) if column.type in ("text", "boolean", "datetime") else sorted(levels, key=float))


def _check_order(text: Text, counts: Array, order: Sequence[str], name: str) -> None:
    missing = [level for level, count in zip(text.levels, counts, strict=True) if count and level not in order]
    if missing:
        raise DataError(
            f"preprocessing.columns.{name}.order",
            f"expected every level of the training rows, {missing[0][:60]!r} is not among them",
            code="unknown_level",
        )


def feature_codes(text: Text, feature: Feature) -> Array:
    """For each row the place of its text among the feature's levels; BLANK or UNKNOWN else."""
    return codes_of(text, feature.levels)


def codes_of(text: Text, levels: Sequence[str]) -> Array:
    """For each row (m,) the place of its text among these levels; BLANK or UNKNOWN else."""
    places = {level: place for place, level in enumerate(levels)}
    mapping = np.array([*(places.get(level, UNKNOWN) for level in text.levels), UNKNOWN, BLANK], np.int32)
    return mapping[text.codes]  # the last two places are what BLANK and UNKNOWN count from the end


def _blank_refused(name: str, row: int) -> DataError:
    return DataError(f"rows[{row}].{name}", "expected a value, got a blank", code="blank")
