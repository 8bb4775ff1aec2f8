"""SELU: an ELU of just the size that draws the outputs to mean 0 and variance 1."""

from typing import Literal

from engine.layers.activations.elu import Elu
from engine.options import Choice
from engine.parameters import Shape

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


class SeluSpec(Choice):
    type: Literal["selu"] = "selu"


class Selu(Elu):
    """A = λZ where Z > 0, else λα(eᶻ − 1), with λ ≈ 1.0507 and α ≈ 1.6733. At exactly 0 the derivative is λα.

    Weights of variance 1/n_in and standardised inputs belong to it.
    """

    spec = SeluSpec
    formula = "A = λZ where Z > 0, else λα(eᶻ − 1)"
    derivative = "λ where Z > 0, else A + λα"
    second_derivative = "0 where Z > 0, else λαeᶻ"
    source = "Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-normalizing neural networks, eq. 2, 14"
    initializer = "lecun_normal"
    gain = SCALE

    def __init__(self, input_shape: Shape, spec: SeluSpec) -> None:
        super(Elu, self).__init__(input_shape, spec)
        self.depth = SCALE * ALPHA
