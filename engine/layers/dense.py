"""The dense layer: every output is a weighted sum of every input."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np

from engine.initializers import InitializerSpec, initialize, resolve_init
from engine.layers.activations import ACTIVATIONS, ActivationSpec, IdentitySpec
from engine.layers.base import Layer, Slot
from engine.options import AutoSpec, Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, add_to_rows, dot, matrix, sum_rows

MAXIMUM_UNITS = 65_536


class DenseSpec(Choice):
    """Z = X·W + b, then the activation."""

    type: Literal["dense"] = "dense"
    units: int = Field(ge=1, le=MAXIMUM_UNITS, strict=True, description="How many neurons the layer has.")
    activation: ActivationSpec = IdentitySpec()
    use_bias: bool = Field(True, description="Whether there is a b.")
    init: InitializerSpec = Field(AutoSpec(), description="How W starts; `auto` is what the activation prefers.")

    def resolved(self) -> Self:
        return self.model_copy(update={"init": resolve_init(self.init, ACTIVATIONS[self.activation.type].initializer)})


class Dense(Layer):
    """Z = X·W + b. An input of several axes is multiplied along its last one."""

    spec = DenseSpec
    formula = "Z = X·W + b"
    derivative = "dW = Xᵀ·dZ, db = Σ rows of dZ, dX = dZ·Wᵀ"
    source = "Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors"
    backward_reads = frozenset({"x"})
    can_skip_gradients = True

    def __init__(self, input_shape: Shape, spec: DenseSpec) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = (*input_shape[:-1], spec.units)
        self.use_bias = spec.use_bias
        self.init = resolve_init(spec.init, ACTIVATIONS[spec.activation.type].initializer)

    @classmethod
    def build(cls, input_shape: Shape, spec: Any) -> Iterator[Layer]:
        layer = cls(input_shape, spec)
        yield layer
        yield ACTIVATIONS[spec.activation.type](layer.output_shape, spec.activation)

    def parameters(self) -> Shapes:
        n_in, n_out = self.input_shape[-1], self.output_shape[-1]
        return {"W": (n_in, n_out), "b": (n_out,)} if self.use_bias else {"W": (n_in, n_out)}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        n_in, n_out = values["W"].shape
        initialize(values["W"], self.init, generator, n_in=n_in, n_out=n_out)

    def forward(self, slot: Slot) -> Plan:
        X, Z = matrix(slot.x), matrix(slot.y)
        yield dot(X, slot.params["W"], Z)
        if self.use_bias:
            yield add_to_rows(Z, slot.params["b"])

    def backward(self, slot: Slot) -> Plan:
        X, dZ = matrix(slot.x), matrix(slot.dy)
        if "W" in slot.grads:
            yield dot(X.T, dZ, slot.grads["W"])
        if "b" in slot.grads:
            yield sum_rows(dZ, slot.grads["b"])
        if slot.dx is not None:
            yield dot(dZ, slot.params["W"].T, matrix(slot.dx))
