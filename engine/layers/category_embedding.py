"""The category embedding: the levels of several columns become vectors that are learned; numbers pass by."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np

from engine.errors import MAXIMUM_PROBLEMS, DataError, SpecError, raise_all
from engine.layers.base import Layer, Slot, place_in_X
from engine.layers.embedding import MAXIMUM_VOCABULARY, Embedding, EmbeddingSpec
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, copy


class CategoryEmbeddingSpec(Choice):
    """The last inputs are ids, each of a column with so many levels, and become their rows of W; the others stay."""

    type: Literal["category_embedding"] = "category_embedding"
    levels: tuple[Annotated[int, Field(ge=1, le=MAXIMUM_VOCABULARY, strict=True)], ...] = Field(
        min_length=1, max_length=10_000, description="How many levels each of the last inputs has."
    )
    dim: int = Field(ge=1, le=65_536, strict=True, description="How many numbers stand for a level.")


class CategoryEmbedding(Layer):
    """(x, ids) becomes (x, W[ids]), W holding the levels of one column below those of the one before.

    It is an embedding beside numbers that pass, and stands before every other layer.
    """

    spec = CategoryEmbeddingSpec
    formula = "Y = (x, W[i + offset])"
    derivative = "dx = dY of the numbers, dW[i + offset] = Σ of dY where the column's id is i"
    source = "Guo & Berkhahn 2016, Entity embeddings of categorical variables, §3"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: CategoryEmbeddingSpec) -> None:
        super().__init__(input_shape, spec)
        columns = len(spec.levels)
        if len(input_shape) != 1 or input_shape[0] < columns:
            raise SpecError(
                "levels",
                f"expected at least {columns} inputs in a vector, one id for each, got shape {list(input_shape)}",
                code="wrong_shape",
            )
        self.numbers = input_shape[0] - columns
        self.levels = np.array(spec.levels)
        self.offsets = np.cumsum(self.levels) - self.levels
        self.table = Embedding((columns,), EmbeddingSpec(vocabulary_size=int(self.levels.sum()), dim=spec.dim))
        self.output_shape = (self.numbers + columns * spec.dim,)

    def parameters(self) -> Shapes:
        return self.table.parameters()

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        self.table.initialize(values, generator)

    def scratch(self) -> Shapes:
        shape = self.table.output_shape
        return {"ids": self.table.input_shape, "vectors": shape, "dvectors": shape, **self.table.scratch()}

    @property
    def is_choosy(self) -> bool:
        return True

    def check(self, X: Array, place_of: Callable[[tuple[int, ...]], str] = place_in_X) -> None:
        ids = X[:, self.numbers :]
        wrong = np.argwhere(~((np.clip(ids, 0, self.levels - 1) == ids) & (np.rint(ids) == ids)))[:MAXIMUM_PROBLEMS]
        raise_all(
            [
                DataError(
                    place_of((row, self.numbers + column)),
                    f"expected an id from 0 to {self.levels[column] - 1}, got {ids[row, column]:g}",
                    code="unknown_id",
                )
                for row, column in wrong.tolist()
            ]
        )

    def forward(self, slot: Slot) -> Plan:
        ids, inside = slot.scratch["ids"], self._inside(slot)
        yield call(np.fmax, slot.x[:, self.numbers :], 0.0, ids)
        yield call(np.fmin, ids, self.levels - 1.0, ids)
        yield call(np.add, ids, self.offsets.astype(ids.dtype), ids)
        yield from self.table.forward(inside)
        yield from copy(slot.x[:, : self.numbers], slot.y[:, : self.numbers])
        yield from copy(inside.y.reshape(len(slot.y), -1), slot.y[:, self.numbers :])

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left the ids, counted through all columns, in the scratch."""
        inside = self._inside(slot)
        yield from copy(slot.dy[:, self.numbers :], inside.dy.reshape(len(slot.dy), -1))
        yield from self.table.backward(inside)
        if slot.dx is not None:
            yield from copy(slot.dy[:, : self.numbers], slot.dx[:, : self.numbers])
            yield call(slot.dx[:, self.numbers :].fill, 0)

    def _inside(self, slot: Slot) -> Slot:
        """The embedding's own slot."""
        scratch = slot.scratch
        return replace(slot, x=scratch["ids"], y=scratch["vectors"], dx=None, dy=scratch["dvectors"])

    def pieces(self, slot: Slot) -> Array:
        return np.rint(slot.x[:, self.numbers :])
