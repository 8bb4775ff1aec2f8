"""The tables of layers and activations, by the `type` a spec names them with."""

from engine.layers.activations import Identity, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from engine.layers.base import Layer, Slot
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.parameters import Shape
from engine.spec import ActivationLayerSpec, DenseSpec, LayerSpec

ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity,
    "relu": Relu,
    "leaky_relu": LeakyRelu,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
}

LAYERS: dict[str, type[Layer]] = {
    "dense": Dense,
    "dropout": Dropout,
}


def expand(spec: LayerSpec, input_shape: Shape) -> list[Layer]:
    """The layers one spec stands for: a dense spec is the sum and its activation, so that both Z and A are seen."""
    if isinstance(spec, ActivationLayerSpec):
        return [ACTIVATIONS[spec.activation.type](input_shape, spec.activation)]
    layer = LAYERS[spec.type](input_shape, spec)
    if isinstance(spec, DenseSpec):
        return [layer, ACTIVATIONS[spec.activation.type](layer.output_shape, spec.activation)]
    return [layer]


__all__ = ["ACTIVATIONS", "LAYERS", "Layer", "Slot", "expand"]
