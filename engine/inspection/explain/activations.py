"""What each activation makes of one Z, and its derivative there, as expressions of Z and A."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

from engine.inspection.explain.expressions import (
    Expression,
    apply,
    at_most,
    greater,
    less,
    minus,
    negative,
    over,
    plus,
    power,
    times,
)
from engine.layers import ACTIVATIONS
from engine.layers.activations import Activation
from engine.layers.activations.gelu import CUBIC

INNER = sqrt(2 / pi)


@dataclass(frozen=True)
class Form:
    """An activation written out; `layer` holds its options, `slope` is what a unit of it learned, where it learns."""

    value: Callable[[Any, Expression, Expression | None], Expression]
    """Of layer, Z and slope."""
    derivative: Callable[[Any, Expression, Expression, Expression | None], Expression]
    """Of layer, Z, A and slope."""


def elu(layer: Any, z: Expression, slope: Expression | None) -> Expression:
    """Also SELU's."""
    below = times(layer.depth, minus(apply("exp", apply("min", 0, z)), 1))
    return plus(times(layer.gain, apply("max", 0, z)), below)


def elu_derivative(layer: Any, z: Expression, a: Expression, slope: Expression | None) -> Expression:
    return plus(times(layer.gain, greater(z, 0)), times(plus(a, layer.depth), at_most(z, 0)))


def gelu(layer: Any, z: Expression, slope: Expression | None) -> Expression:
    return times(z, _share(layer, z))


def gelu_derivative(layer: Any, z: Expression, a: Expression, slope: Expression | None) -> Expression:
    share = _share(layer, z)
    if layer.approximate != "tanh":
        return plus(share, times(z, apply("density", z)))
    bend = times(2 * INNER, plus(1, times(3 * CUBIC, power(z, 2))))
    return plus(share, times(z, share, minus(1, share), bend))


def _share(layer: Any, z: Expression) -> Expression:
    if layer.approximate != "tanh":
        return apply("normal", z)
    return apply("sigmoid", times(2 * INNER, plus(z, times(CUBIC, power(z, 3)))))


def mish_derivative(layer: Any, z: Expression, a: Expression, slope: Expression | None) -> Expression:
    T = apply("tanh", apply("log_1_plus_exp", z))
    return plus(T, times(z, apply("sigmoid", z), minus(1, power(T, 2))))


def silu_derivative(layer: Any, z: Expression, a: Expression, slope: Expression | None) -> Expression:
    share = apply("sigmoid", z)
    return plus(share, times(a, minus(1, share)))


def leaky(z: Expression, slope: float | Expression) -> Expression:
    return plus(apply("max", 0, z), times(slope, apply("min", 0, z)))


def leaky_derivative(z: Expression, slope: float | Expression) -> Expression:
    return plus(greater(z, 0), times(slope, at_most(z, 0)))


def learned(slope: Expression | None) -> Expression:
    """The slope of a unit that has one."""
    if slope is None:
        raise TypeError("expected the slope of a unit")
    return slope


def between(z: Expression, low: float, high: float) -> Expression:
    """[low < Z]·[Z < high]."""
    return times(less(low, z), less(z, high))


FORMS: dict[type[Activation], Form] = {
    ACTIVATIONS["identity"]: Form(lambda g, z, s: z, lambda g, z, a, s: plus(1)),
    ACTIVATIONS["relu"]: Form(lambda g, z, s: apply("max", 0, z), lambda g, z, a, s: greater(z, 0)),
    ACTIVATIONS["leaky_relu"]: Form(lambda g, z, s: leaky(z, g.slope), lambda g, z, a, s: leaky_derivative(z, g.slope)),
    ACTIVATIONS["prelu"]: Form(
        lambda g, z, s: leaky(z, learned(s)), lambda g, z, a, s: leaky_derivative(z, learned(s))
    ),
    ACTIVATIONS["relu6"]: Form(
        lambda g, z, s: apply("min", apply("max", 0, z), 6), lambda g, z, a, s: between(z, 0, 6)
    ),
    ACTIVATIONS["elu"]: Form(elu, elu_derivative),
    ACTIVATIONS["selu"]: Form(elu, elu_derivative),
    ACTIVATIONS["gelu"]: Form(gelu, gelu_derivative),
    ACTIVATIONS["silu"]: Form(lambda g, z, s: times(z, apply("sigmoid", z)), silu_derivative),
    ACTIVATIONS["mish"]: Form(lambda g, z, s: times(z, apply("tanh", apply("log_1_plus_exp", z))), mish_derivative),
    ACTIVATIONS["softplus"]: Form(lambda g, z, s: apply("log_1_plus_exp", z), lambda g, z, a, s: apply("sigmoid", z)),
    ACTIVATIONS["exponential"]: Form(lambda g, z, s: apply("exp", z), lambda g, z, a, s: a),
    ACTIVATIONS["sigmoid"]: Form(
        lambda g, z, s: over(1, plus(1, apply("exp", negative(z)))), lambda g, z, a, s: times(a, minus(1, a))
    ),
    ACTIVATIONS["hard_sigmoid"]: Form(
        lambda g, z, s: over(apply("min", apply("max", 0, plus(z, 3)), 6), 6),
        lambda g, z, a, s: over(between(z, -3, 3), 6),
    ),
    ACTIVATIONS["tanh"]: Form(lambda g, z, s: apply("tanh", z), lambda g, z, a, s: minus(1, power(a, 2))),
    ACTIVATIONS["hard_tanh"]: Form(
        lambda g, z, s: apply("min", apply("max", -1, z), 1), lambda g, z, a, s: between(z, -1, 1)
    ),
    ACTIVATIONS["softsign"]: Form(
        lambda g, z, s: over(z, plus(1, apply("abs", z))),
        lambda g, z, a, s: over(1, power(plus(1, apply("abs", z)), 2)),
    ),
}
"""All but softmax, which works on whole rows."""
