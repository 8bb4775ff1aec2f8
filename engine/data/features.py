"""Features: the columns learned from, and what the training rows say about each."""

from dataclasses import dataclass, field

import numpy as np

from engine.data.schema import Column, ColumnType
from engine.data.table import BLANK, UNKNOWN, Table, Text
from engine.errors import DataError
from engine.parameters import Array

MAXIMUM_LEVELS = 256
"""One-hot columns of one text feature, the most frequent first."""


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
    """How the file first writes true and false, for whoever reads the preprocessing."""

    @property
    def width(self) -> int:
        """How many inputs of the network it makes."""
        return len(self.levels) if self.type == "text" else 1


def fit_feature(table: Table, column: Column, rows: Array, warnings: list[str]) -> Feature | None:
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
        mean, scale = mean_and_scale(np.where(np.isnan(values), fill, values), column.name)
    if scale == 0:
        warnings.append(f"{column.name}: the same in every training row; dropped")
        return None
    spellings = column.spellings if column.type == "boolean" else {}
    return Feature(column.name, column.type, fill, mean, scale, spellings=spellings)


def fit_place(table: Table, column: Column, rows: Array, warnings: list[str], scaling: str) -> Feature:
    """The feature at one place of a shaped input, which stays though it carries nothing: 0 then, with a warning.

    Raises DataError for text, which is no number at a place.
    """
    if column.type == "text":
        raise DataError(
            f"columns.{column.name}",
            "expected numbers, which network.input gives a shape, got text; leave the column out of features",
            code="not_numbers",
        )
    values = table.numbers(column.name)[rows]
    present = values[~np.isnan(values)]
    spellings = column.spellings if column.type == "boolean" else {}
    fill = float(np.quantile(present, 0.5, method="lower")) if present.size else 0.0
    if scaling == "none":
        return Feature(column.name, column.type, fill, spellings=spellings)
    mean, scale = mean_and_scale(np.where(np.isnan(values), fill, values), column.name)
    if scale == 0:
        what = "the same" if present.size else "blank"
        warnings.append(f"{column.name}: {what} in every training row; kept as 0, since the input has a shape")
    return Feature(column.name, column.type, fill, mean, scale or 1.0, spellings=spellings)


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


def mean_and_scale(values: Array, name: str) -> tuple[float, float]:
    """Mean and standard deviation, 0 where the values do not vary."""
    with np.errstate(all="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not (np.isfinite(mean) and np.isfinite(scale)):
        raise DataError(
            f"columns.{name}", "expected numbers whose squares are finite, got larger ones", code="too_large"
        )
    return mean, 0.0 if np.ptp(values) == 0 or scale < 1e-12 * abs(mean) else scale


def feature_codes(text: Text, feature: Feature) -> Array:
    """For each row the place of its text among the feature's levels."""
    places = {level: place for place, level in enumerate(feature.levels)}
    mapping = np.array([places.get(level, UNKNOWN) for level in text.levels] + [BLANK], np.int64)
    return mapping[text.codes]
