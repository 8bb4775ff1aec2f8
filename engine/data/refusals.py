"""Refusals: blanks and unseen levels in columns whose encoding asks for neither."""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.data.features import Feature
from engine.data.table import BLANK, UNKNOWN
from engine.errors import MAXIMUM_PROBLEMS, DataError
from engine.parameters import Array


def refused_numbers(values: Array, features: Sequence[Feature], rows: Array | None = None) -> Iterator[DataError]:
    """A problem for each blank among the numbers (features, m) of a feature that refuses it.

    `rows` are the rows' numbers in their table; None where they count from 0.
    """
    for feature, cells in zip(features, values, strict=True):
        if feature.refuses_blanks:
            yield from _problems(feature, np.isnan(cells), "a value, got a blank", "blank", rows)


def refused_levels(
    codes: Sequence[Array], features: Sequence[Feature], rows: Array | None = None
) -> Iterator[DataError]:
    """A problem for each blank, and for each level that training did not see, of a feature that refuses it."""
    for feature, cells in zip(features, codes, strict=True):
        if feature.refuses_blanks:
            yield from _problems(feature, cells == BLANK, "a value, got a blank", "blank", rows)
        if feature.refuses_unseen:
            what = "a text seen in training, got another"
            yield from _problems(feature, cells == UNKNOWN, what, "unseen_level", rows)


def _problems(feature: Feature, wrong: Array, what: str, code: str, rows: Array | None) -> Iterator[DataError]:
    for place in np.flatnonzero(wrong)[:MAXIMUM_PROBLEMS]:
        row = place if rows is None else rows[place]
        yield DataError(f"rows[{row}].{feature.name}", f"expected {what}", code=code)
