"""What one output adds to an example's loss, and its derivatives by A and by Z, as expressions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.inspection.explain.expressions import (
    Expression,
    Number,
    apply,
    greater,
    less,
    minus,
    negative,
    over,
    plus,
    power,
    times,
)
from engine.losses import LOSSES, Loss


@dataclass(frozen=True)
class Output:
    """One output k of an example, or the symbols for it."""

    z: Expression
    a: Expression
    y: Expression
    is_yes: bool
    """Whether Y is 1, where it is a label."""
    row: Sequence["Output"] = ()
    """All outputs of the example, for what works on whole rows."""

    @property
    def log_sum(self) -> Expression:
        """log Σ_j e^{Z_j}."""
        return apply("log_sum_exp", *(each.z for each in self.row))


@dataclass(frozen=True)
class Form:
    """A loss written out; every function takes the loss and an output."""

    term: Callable[[Any, Output], Expression]
    """What the output adds, from A."""
    dA: Callable[[Any, Output], Expression]
    dZ: Callable[[Any, Output], Expression]
    """Behind the canonical activation."""
    stable: Callable[[Any, Output], Expression] | None = None
    """What the output adds, from Z, where that is another formula."""


def residual(o: Output) -> Expression:
    return minus(o.a, o.y)


def of_residual(term: Callable[[Any, Expression], Expression], slope: Callable[[Any, Expression], Expression]) -> Form:
    """A loss of R = A − Y, behind which Z is A."""

    def derivative(loss: Any, o: Output) -> Expression:
        return slope(loss, residual(o))

    return Form(lambda loss, o: term(loss, residual(o)), derivative, derivative)


def huber(loss: Any, R: Expression) -> Expression:
    size = apply("abs", R)
    near = apply("min", size, loss.delta)
    return times(near, minus(size, times(0.5, near)))


def quantile(loss: Any, o: Output) -> Expression:
    q = loss.quantile
    return apply("max", times(q, minus(o.y, o.a)), times(1 - q, residual(o)))


def quantile_slope(loss: Any, o: Output) -> Expression:
    return minus(times(1 - loss.quantile, greater(o.a, o.y)), times(loss.quantile, less(o.a, o.y)))


def shared_out(o: Output, smoothing: float, classes: int) -> Expression:
    """T: the target with a share of it spread evenly over the classes."""
    return plus(times(1 - smoothing, o.y), smoothing / classes) if smoothing else o.y


def binary_target(loss: Any, o: Output) -> Expression:
    return shared_out(o, loss.label_smoothing, 2)


def binary_cross_entropy(loss: Any, o: Output) -> Expression:
    T = binary_target(loss, o)
    return negative(
        plus(times(loss.pos_weight, apply("x_log_y", T, o.a)), apply("x_log_y", minus(1, T), minus(1, o.a)))
    )


def binary_cross_entropy_of_Z(loss: Any, o: Output) -> Expression:
    T = binary_target(loss, o)
    no = times(minus(1, T), apply("log_1_plus_exp", o.z))
    return plus(times(loss.pos_weight, T, apply("log_1_plus_exp", negative(o.z))), no)


def binary_cross_entropy_dA(loss: Any, o: Output) -> Expression:
    T = binary_target(loss, o)
    return minus(over(minus(1, T), minus(1, o.a)), times(loss.pos_weight, over(T, o.a)))


def binary_cross_entropy_dZ(loss: Any, o: Output) -> Expression:
    T = binary_target(loss, o)
    if loss.pos_weight == 1:
        return minus(o.a, T)
    return minus(times(minus(1, T), o.a), times(loss.pos_weight, T, minus(1, o.a)))


def class_target(loss: Any, o: Output) -> Expression:
    return shared_out(o, loss.label_smoothing, len(o.row))


def focal_G(loss: Any, o: Output) -> Expression:
    """G = (1 − A)^γ·(1 − γ·A·log A/(1 − A))."""
    inner = over(times(loss.gamma, apply("x_log_y", o.a, o.a)), minus(1, o.a))
    return times(power(minus(1, o.a), loss.gamma), minus(1, inner))


def focal_dZ(loss: Any, o: Output) -> Expression:
    pulled = plus(*(times(each.y, focal_G(loss, each)) for each in o.row))
    return minus(times(o.a, pulled), times(o.y, focal_G(loss, o)))


def _binary(loss: Any, o: Output) -> tuple[float, Expression, Expression]:
    """w, p and 1 − p of a yes or a no."""
    if o.is_yes:
        return loss.yes, o.a, minus(1, o.a)
    return loss.no, minus(1, o.a), o.a


def binary_focal(loss: Any, o: Output) -> Expression:
    w, p, q = _binary(loss, o)
    return negative(times(w, power(q, loss.gamma), apply("log", p)))


def binary_focal_of_Z(loss: Any, o: Output) -> Expression:
    w, _, q = _binary(loss, o)
    return times(w, power(q, loss.gamma), apply("log_1_plus_exp", negative(o.z) if o.is_yes else o.z))


def binary_focal_dA(loss: Any, o: Output) -> Expression:
    w, p, q = _binary(loss, o)
    found = times(w, power(q, loss.gamma), minus(over(times(loss.gamma, apply("log", p)), q), over(1, p)))
    return found if o.is_yes else negative(found)


def binary_focal_dZ(loss: Any, o: Output) -> Expression:
    w, p, q = _binary(loss, o)
    found = times(w, power(q, loss.gamma), minus(q, times(loss.gamma, apply("x_log_y", p, p))))
    return negative(found) if o.is_yes else found


def margin(o: Output) -> tuple[float, Expression]:
    """t, 1 for a yes and −1 for a no, and how far t·A falls short of 1."""
    t = 1.0 if o.is_yes else -1.0
    return t, minus(1, o.a) if o.is_yes else plus(1, o.a)


def hinge_slope(loss: Any, o: Output) -> Expression:
    t, short = margin(o)
    return times(-t, greater(short, 0)) if t < 0 else negative(greater(short, 0))


def squared_hinge_slope(loss: Any, o: Output) -> Expression:
    t, short = margin(o)
    return times(-2 * t, apply("max", 0, short))


def a_minus_y(loss: Any, o: Output) -> Expression:
    return residual(o)


def minus_y_over_a(loss: Any, o: Output) -> Expression:
    return negative(over(o.y, o.a))


FORMS: dict[type[Loss], Form] = {
    LOSSES["half_squared_error"]: of_residual(lambda loss, R: times(0.5, power(R, 2)), lambda loss, R: R),
    LOSSES["squared_error"]: of_residual(lambda loss, R: power(R, 2), lambda loss, R: times(2, R)),
    LOSSES["absolute_error"]: of_residual(lambda loss, R: apply("abs", R), lambda loss, R: apply("sign", R)),
    LOSSES["huber"]: of_residual(huber, lambda loss, R: apply("min", apply("max", R, -loss.delta), loss.delta)),
    LOSSES["log_cosh"]: of_residual(lambda loss, R: apply("log_cosh", R), lambda loss, R: apply("tanh", R)),
    LOSSES["quantile"]: Form(quantile, quantile_slope, quantile_slope),
    LOSSES["poisson"]: Form(
        lambda loss, o: minus(o.a, apply("x_log_y", o.y, o.a)),
        lambda loss, o: minus(1, over(o.y, o.a)),
        a_minus_y,
        lambda loss, o: minus(o.a, times(o.y, o.z)),
    ),
    LOSSES["gamma"]: Form(
        lambda loss, o: plus(over(o.y, o.a), apply("log", o.a)),
        lambda loss, o: over(minus(o.a, o.y), power(o.a, 2)),
        lambda loss, o: minus(1, times(o.y, apply("exp", negative(o.z)))),
        lambda loss, o: plus(times(o.y, apply("exp", negative(o.z))), o.z),
    ),
    LOSSES["binary_cross_entropy"]: Form(
        binary_cross_entropy, binary_cross_entropy_dA, binary_cross_entropy_dZ, binary_cross_entropy_of_Z
    ),
    LOSSES["cross_entropy"]: Form(
        lambda loss, o: negative(apply("x_log_y", class_target(loss, o), o.a)),
        lambda loss, o: negative(over(class_target(loss, o), o.a)),
        lambda loss, o: minus(o.a, class_target(loss, o)),
        lambda loss, o: times(class_target(loss, o), minus(o.log_sum, o.z)),
    ),
    LOSSES["kullback_leibler"]: Form(
        lambda loss, o: apply("x_log_y", o.y, over(o.y, o.a)),
        minus_y_over_a,
        a_minus_y,
        lambda loss, o: plus(apply("x_log_y", o.y, o.y), times(o.y, minus(o.log_sum, o.z))),
    ),
    LOSSES["binary_focal"]: Form(binary_focal, binary_focal_dA, binary_focal_dZ, binary_focal_of_Z),
    LOSSES["focal"]: Form(
        lambda loss, o: negative(times(power(minus(1, o.a), loss.gamma), apply("x_log_y", o.y, o.a))),
        lambda loss, o: negative(over(times(o.y, focal_G(loss, o)), o.a)),
        focal_dZ,
        lambda loss, o: times(o.y, power(minus(1, o.a), loss.gamma), minus(o.log_sum, o.z)),
    ),
    LOSSES["hinge"]: Form(lambda loss, o: apply("max", 0, margin(o)[1]), hinge_slope, hinge_slope),
    LOSSES["squared_hinge"]: Form(
        lambda loss, o: power(apply("max", 0, margin(o)[1]), 2), squared_hinge_slope, squared_hinge_slope
    ),
}

ZERO = Number(0.0)
