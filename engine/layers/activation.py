"""An activation as a layer of its own."""

from collections.abc import Iterator
from typing import Any, Literal

from engine.layers.activations import ACTIVATIONS, ActivationSpec
from engine.layers.base import Layer
from engine.options import Choice
from engine.parameters import Shape


class ActivationLayerSpec(Choice):
    """An activation as a layer of its own."""

    type: Literal["activation"] = "activation"
    activation: ActivationSpec


class ActivationLayer(Layer):
    """An activation as a layer of its own: it stands for that activation's layer."""

    spec = ActivationLayerSpec
    formula = "A = g(Z)"
    derivative = "its activation's"
    source = "its activation's"

    @classmethod
    def build(cls, input_shape: Shape, spec: Any) -> Iterator[Layer]:
        yield ACTIVATIONS[spec.activation.type](input_shape, spec.activation)
