"""The encoder: the one place where cells become a network's inputs, for training, prediction and inspection alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from engine.data.datetime_parts import datetime_parts
from engine.data.features import Feature
from engine.data.table import UNKNOWN
from engine.layers.category_embedding import CategoryEmbeddingSpec
from engine.parameters import Array


@dataclass(frozen=True)
class Encoder:
    """The features in order, each with the place of its first input. What becomes an id stands behind all others."""

    features: tuple[Feature, ...]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each feature's inputs begin."""
        starts, place = dict[int, int](), 0
        ordered = sorted(range(len(self.features)), key=lambda number: self.features[number].encoding == "embedding")
        for number in ordered:
            starts[number] = place
            place += self.features[number].width
        return tuple(starts[number] for number in range(len(self.features)))

    @cached_property
    def n_in(self) -> int:
        """Inputs of the network."""
        return sum(feature.width for feature in self.features)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """A name for each input."""
        placed = sorted(zip(self.starts, self.features, strict=True), key=lambda pair: pair[0])
        return tuple(name for _, feature in placed for name in feature.input_names)

    @cached_property
    def numeric(self) -> tuple[Feature, ...]:
        """Those whose cells are numbers or moments."""
        return tuple(feature for feature in self.features if not feature.is_category)

    @cached_property
    def categories(self) -> tuple[Feature, ...]:
        """Those whose cells are levels."""
        return tuple(feature for feature in self.features if feature.is_category)

    @cached_property
    def embedded(self) -> tuple[Feature, ...]:
        """Those whose inputs are ids."""
        return tuple(feature for feature in self.features if feature.encoding == "embedding")

    def embedding(self, dim: int | None) -> CategoryEmbeddingSpec | None:
        """The layer that the network needs in front of all others; None where no input is an id.

        Without `dim` it is fast.ai's rule of thumb, 1.6·levels^0.56, of the column with the most levels, at most 50.
        """
        levels = tuple(feature.level_count for feature in self.embedded)
        if not levels:
            return None
        return CategoryEmbeddingSpec(levels=levels, dim=dim or min(50, round(1.6 * max(levels) ** 0.56)))

    def encode(self, numbers: Array, codes: Sequence[Array], count: int, dtype: npt.DTypeLike) -> Array:
        """X (m, n_in) from the cells of `numeric` (features, m), blanks as NaN, and the codes of `categories` (m,).

        A number too large for the dtype becomes infinite, which whoever uses X refuses by its place.
        """
        X = np.zeros((count, self.n_in), dtype)
        if len(self.numeric):
            self._encode_numbers(np.asarray(numbers, np.float64).T, X)
        for (feature, start), cells in zip(self._placed_categories, codes, strict=True):
            _encode_levels(feature, cells, X[:, start : start + feature.width])
        return X

    def _encode_numbers(self, matrix: Array, X: Array) -> None:
        plan = self._numbers
        blank = np.isnan(matrix)
        if blank.any():
            matrix = np.where(blank, plan.fills, matrix)
            X[:, plan.indicator_places] = blank[:, plan.indicated]
        for column, feature in plan.transformed:
            matrix = matrix.copy() if matrix.base is not None else matrix
            matrix[:, column] = feature.transformed(matrix[:, column])
        with np.errstate(over="ignore"):
            X[:, plan.places] = (matrix[:, plan.columns] - plan.means) / plan.scales
            for column, start, feature in plan.datetimes:
                parts = datetime_parts(matrix[:, column], feature.parts)
                X[:, start : start + feature.width] = (parts - feature.means) / feature.scales

    @cached_property
    def _placed_categories(self) -> tuple[tuple[Feature, int], ...]:
        return tuple(pair for pair in zip(self.features, self.starts, strict=True) if pair[0].is_category)

    @cached_property
    def _numbers(self) -> "_Numbers":
        placed = [pair for pair in zip(self.features, self.starts, strict=True) if not pair[0].is_category]
        plain = [(column, *pair) for column, pair in enumerate(placed) if pair[0].encoding == "number"]
        indicated = [(column, start + 1) for column, feature, start in plain if feature.indicator]
        return _Numbers(
            fills=np.array([feature.fill for feature, _ in placed], np.float64),
            columns=_places([column for column, _, _ in plain], of=len(placed)),
            places=np.array([start for _, _, start in plain], np.int64),
            means=np.array([feature.mean for _, feature, _ in plain]),
            scales=np.array([feature.scale for _, feature, _ in plain]),
            indicated=np.array([column for column, _ in indicated], np.int64),
            indicator_places=np.array([place for _, place in indicated], np.int64),
            transformed=tuple((column, feature) for column, feature, _ in plain if feature.transform != "none"),
            datetimes=tuple(
                (column, start, feature)
                for column, (feature, start) in enumerate(placed)
                if feature.encoding == "datetime"
            ),
        )


@dataclass(frozen=True)
class _Numbers:
    """What encoding the numbers needs at hand."""

    fills: Array
    columns: Array | slice
    places: Array
    means: Array
    scales: Array
    indicated: Array
    indicator_places: Array
    transformed: tuple[tuple[int, Feature], ...]
    datetimes: tuple[tuple[int, int, Feature], ...]


def _places(columns: Sequence[int], *, of: int) -> Array | slice:
    """An index of these columns; of all of them one that copies nothing."""
    return slice(None) if len(columns) == of else np.array(columns, np.int64)


def _encode_levels(feature: Feature, codes: Array, X: Array) -> None:
    places = feature.places(codes)
    known = places != UNKNOWN
    if feature.encoding == "one_hot":
        rows = np.flatnonzero(known)
        X[rows, places[rows]] = 1
    elif feature.encoding == "embedding":
        X[:, 0] = places
    else:
        X[:, 0] = np.where(known, (places - feature.mean) / feature.scale, 0.0)
