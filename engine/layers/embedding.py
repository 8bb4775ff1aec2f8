"""The embedding: every id has a vector of its own, which is learned."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from engine.errors import MAXIMUM_PROBLEMS, DataError, raise_all
from engine.layers.base import Layer, Slot, place_in_X
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call

MAXIMUM_VOCABULARY = 2**24
"""Ids are held as floats, and float32 tells no more integers apart."""


class EmbeddingSpec(Choice):
    """Each input is an id from 0 to vocabulary_size − 1 and becomes its row of W."""

    type: Literal["embedding"] = "embedding"
    vocabulary_size: int = Field(ge=1, le=MAXIMUM_VOCABULARY, strict=True, description="How many ids there are.")
    dim: int = Field(ge=1, le=65_536, strict=True, description="How many numbers stand for an id.")


class Embedding(Layer):
    """Y = W[X]: ids of any shape (…) become (…, dim). It is a dense layer without b on ids written one-hot.

    W starts standard normal. An id is rounded to the nearest integer, and moved to the nearest there is where it lies
    outside, undefined ones to 0; `check` refuses such data before. The loss does not change with a small nudge of an
    id, so dX is 0.
    """

    spec = EmbeddingSpec
    formula = "Y = W[X]"
    derivative = "dW[i] = Σ of dY where X = i, dX = 0"
    source = "Bengio, Ducharme, Vincent & Jauvin 2003, A neural probabilistic language model, §2"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: EmbeddingSpec) -> None:
        super().__init__(input_shape, spec)
        self.vocabulary_size, self.dim = spec.vocabulary_size, spec.dim
        self.output_shape = (*input_shape, spec.dim)

    def parameters(self) -> Shapes:
        return {"W": (self.vocabulary_size, self.dim)}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        values["W"][...] = generator.standard_normal(values["W"].shape)

    def scratch(self) -> Shapes:
        return {"rounded": self.input_shape}

    @property
    def is_choosy(self) -> bool:
        return True

    def check(self, X: Array, place_of: Callable[[tuple[int, ...]], str] = place_in_X) -> None:
        wrong = np.argwhere(~((np.clip(X, 0, self.vocabulary_size - 1) == X) & (np.rint(X) == X)))
        expected = f"expected an id from 0 to {self.vocabulary_size - 1}"
        indices = (tuple(index) for index in wrong[:MAXIMUM_PROBLEMS].tolist())
        raise_all([DataError(place_of(index), f"{expected}, got {X[index]:g}", code="unknown_id") for index in indices])

    def forward(self, slot: Slot) -> Plan:
        ids = np.empty(slot.x.shape, np.intp)
        yield from self._read(slot, ids)
        yield call(np.take, slot.params["W"], ids, 0, slot.y, "clip")

    def backward(self, slot: Slot) -> Plan:
        """Sum the rows of dY that belong to one id, number by number: so `np.add.at` is as fast as a plain loop."""
        ids, places = np.empty(slot.x.shape, np.intp), np.empty(slot.y.shape, np.intp)
        yield from self._read(slot, ids)
        yield call(np.multiply, ids, self.dim, ids)
        yield call(np.add, ids[..., None], np.arange(self.dim), places)
        yield call(slot.grads["W"].fill, 0)
        yield call(np.add.at, slot.grads["W"].reshape(-1), places.reshape(-1), slot.dy.reshape(-1))
        if slot.dx is not None:
            yield call(slot.dx.fill, 0)

    def _read(self, slot: Slot, ids: Array) -> Plan:
        rounded = slot.scratch["rounded"]
        yield call(np.fmax, slot.x, 0.0, rounded)
        yield call(np.fmin, rounded, float(self.vocabulary_size - 1), rounded)
        yield call(np.rint, rounded, rounded)
        yield call(np.copyto, ids, rounded, casting="unsafe")

    def pieces(self, slot: Slot) -> Array:
        return np.rint(slot.x)
