"""The table of activations, by the `type` a spec names them with."""

from typing import TYPE_CHECKING

from engine.layers.activations.base import Activation
from engine.layers.activations.exponential import Exponential
from engine.layers.activations.identity import Identity, IdentitySpec
from engine.layers.activations.leaky_relu import LeakyRelu, LeakyReluSpec
from engine.layers.activations.relu import Relu, ReluSpec
from engine.layers.activations.sigmoid import Sigmoid, SigmoidSpec
from engine.layers.activations.softmax import Softmax, SoftmaxSpec
from engine.layers.activations.tanh import Tanh, TanhSpec
from engine.options import Choice, choice

ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "relu": Relu,
    "leaky_relu": LeakyRelu,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "softmax": Softmax,
    "exponential": Exponential,
}

if TYPE_CHECKING:
    ActivationSpec = Choice
else:
    ActivationSpec = choice(ACTIVATIONS)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationSpec",
    "IdentitySpec",
    "LeakyReluSpec",
    "ReluSpec",
    "SigmoidSpec",
    "SoftmaxSpec",
    "TanhSpec",
]
