"""Clipping: a gradient that is too large is made smaller before it changes anything."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from engine.options import Choice, Field, choice
from engine.parameters import Array, Layout
from engine.plans import Plan, call


class Clip:
    """One way of clipping; `limit` is what it lets through."""

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, spec: Any) -> None:
        self.limit: float = spec.limit

    def plan(self, layout: Layout, gradient: Array) -> Plan:
        """Change the flat gradient in place."""
        raise NotImplementedError


class ValueClipSpec(Choice):
    type: Literal["value"] = "value"
    limit: float = Field(gt=0, description="The largest size of each element.")


class ValueClip(Clip):
    """Every element of the gradient is kept between −limit and limit."""

    spec = ValueClipSpec
    formula = "g ← min(max(g, −limit), limit)"
    source = "Mikolov 2012, Statistical language models based on neural networks, §3.2.2"

    def plan(self, layout: Layout, gradient: Array) -> Plan:
        yield call(np.maximum, gradient, -self.limit, out=gradient)
        yield call(np.minimum, gradient, self.limit, out=gradient)


class NormClipSpec(Choice):
    type: Literal["norm"] = "norm"
    limit: float = Field(gt=0, description="The largest norm of the whole gradient.")


class NormClip(Clip):
    """A gradient whose norm is above the limit is scaled down to it; its direction stays."""

    spec = NormClipSpec
    formula = "g ← g·min(1, limit/‖g‖)"
    source = "Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, algorithm 1"

    def plan(self, layout: Layout, gradient: Array) -> Plan:
        yield from _scale_down(gradient, self.limit)


class LayerClipSpec(Choice):
    type: Literal["layer"] = "layer"
    limit: float = Field(gt=0, description="The largest norm of each layer's gradient.")


class LayerClip(Clip):
    """As `norm`, for each layer's W and b on their own."""

    spec = LayerClipSpec
    formula = "g_l ← g_l·min(1, limit/‖g_l‖)"
    source = "Pascanu, Mikolov & Bengio 2013, algorithm 1, layer by layer"

    def plan(self, layout: Layout, gradient: Array) -> Plan:
        places: dict[str, slice] = {}
        for name, place in layout.slices().items():
            number = name.split(".")[1]
            start = places[number].start if number in places else place.start
            places[number] = slice(start, place.stop)
        for place in places.values():
            yield from _scale_down(gradient[place], self.limit)


def _scale_down(g: Array, limit: float) -> Plan:
    factor = np.empty((), g.dtype)
    yield call(g.dot, g, factor)
    yield call(np.sqrt, factor, factor)
    yield call(np.maximum, factor, limit, out=factor)
    yield call(np.divide, limit, factor, factor)
    yield call(np.multiply, g, factor, g)


CLIPS: dict[str, type[Clip]] = {
    "value": ValueClip,
    "norm": NormClip,
    "layer": LayerClip,
}

if TYPE_CHECKING:
    ClipSpec = Choice
else:
    ClipSpec = choice(CLIPS)
