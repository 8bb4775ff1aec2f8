"""The table of activations, by the `type` a spec names them with."""

from typing import TYPE_CHECKING

from engine.layers.activations.base import Activation
from engine.layers.activations.elu import Elu
from engine.layers.activations.exponential import Exponential
from engine.layers.activations.gelu import Gelu
from engine.layers.activations.hard_sigmoid import HardSigmoid
from engine.layers.activations.hard_tanh import HardTanh
from engine.layers.activations.identity import Identity, IdentitySpec
from engine.layers.activations.leaky_relu import LeakyRelu, LeakyReluSpec
from engine.layers.activations.mish import Mish
from engine.layers.activations.prelu import Prelu
from engine.layers.activations.relu import Relu, ReluSpec
from engine.layers.activations.relu6 import Relu6
from engine.layers.activations.selu import Selu
from engine.layers.activations.sigmoid import Sigmoid, SigmoidSpec, logistic_slope
from engine.layers.activations.silu import Silu
from engine.layers.activations.softmax import Softmax, SoftmaxSpec
from engine.layers.activations.softplus import Softplus
from engine.layers.activations.softsign import Softsign
from engine.layers.activations.tanh import Tanh, TanhSpec
from engine.options import AutoSpec, Choice, choice

ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "relu": Relu,
    "leaky_relu": LeakyRelu,
    "prelu": Prelu,
    "relu6": Relu6,
    "elu": Elu,
    "selu": Selu,
    "gelu": Gelu,
    "silu": Silu,
    "mish": Mish,
    "softplus": Softplus,
    "exponential": Exponential,
    "sigmoid": Sigmoid,
    "hard_sigmoid": HardSigmoid,
    "tanh": Tanh,
    "hard_tanh": HardTanh,
    "softsign": Softsign,
    "softmax": Softmax,
}

if TYPE_CHECKING:
    ActivationSpec = Choice
    AnyActivationSpec = Choice
else:
    ActivationSpec = choice(ACTIVATIONS)
    AnyActivationSpec = choice(ACTIVATIONS, AutoSpec)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationSpec",
    "AnyActivationSpec",
    "IdentitySpec",
    "LeakyReluSpec",
    "ReluSpec",
    "SigmoidSpec",
    "SoftmaxSpec",
    "TanhSpec",
    "logistic_slope",
]
