"""Activations, embeddings and losses as functions of complex numbers, for the complex step.

Each is the real function where the imaginary part is 0, and goes on from there the way its own smooth piece does: a
comparison looks at the real part alone, |z| is ±z, and nothing takes a modulus. They are written on their own, beside
the layers' plans, so that they witness those too. A layer that is not here uses no more than sums, products, quotients,
roots and tanh, or compares by the real part first as NumPy does, so that its own plan is right for complex numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.layers import ACTIVATIONS, LAYERS, Layer, Slot
from engine.layers.activations.gelu import CUBIC, INNER, TAIL
from engine.layers.residual import Part
from engine.losses import LOSSES, Head
from engine.parameters import Array

Complex = Any
"""An array of complex numbers, of which NumPy's own types lose track in arithmetic."""
Form = Callable[[Any, Slot], Complex]
"""Y of a layer and its slot."""
LossForm = Callable[[Any, Head], Complex]
"""Each example's loss of a loss and its head."""


def positive(z: Complex) -> Complex:
    """max(0, z)."""
    return np.where(z.real > 0, z, 0)


def size(z: Complex) -> Complex:
    """|z|."""
    return np.where(z.real < 0, -z, z)


def log_1_plus(z: Complex) -> Complex:
    """log(1 + z), the real part with all its digits where z is small."""
    found = np.empty(z.shape, complex)
    found.real, found.imag = np.log1p(z.real), np.arctan2(z.imag, 1 + z.real)
    return found


def sigmoid(z: Complex) -> Complex:
    """1/(1 + e⁻ᶻ), without an overflow on either side."""
    e = np.exp(-size(z))
    return np.where(z.real < 0, e, 1) / (1 + e)


def softplus(z: Complex) -> Complex:
    """log(1 + eᶻ)."""
    return np.where(z.real < 0, 0, z) + log_1_plus(np.exp(-size(z)))


def log_softmax(z: Complex) -> Complex:
    """log softmax along the last axis."""
    z = z - z.real.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def normal(z: Complex) -> Complex:
    """Φ(z), by the tail that is accurate however far out."""
    u = size(z)
    p, q = (np.polyval(coefficients[::-1], u) for coefficients in TAIL["float64"])
    tail = np.exp(-u * u / 2) * p / q
    return np.where(z.real < 0, tail, 1 - tail)


def elu(layer: Any, slot: Slot) -> Complex:
    """Also SELU's."""
    z = slot.x
    return layer.gain * positive(z) + layer.depth * np.expm1(z - positive(z))


def gelu(layer: Any, slot: Slot) -> Complex:
    z = slot.x
    share = sigmoid(INNER * (z + CUBIC * z**3)) if layer.approximate == "tanh" else normal(z)
    return z * share


def prelu(layer: Any, slot: Slot) -> Complex:
    return positive(slot.x) + slot.params["slope"] * (slot.x - positive(slot.x))


def softmax(layer: Any, slot: Slot) -> Complex:
    e = np.exp(slot.x - slot.x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def within(z: Complex, low: float, high: float) -> Complex:
    """z kept between two real numbers."""
    return np.where(z.real <= low, low, np.where(z.real >= high, high, z))


def embedding(layer: Any, slot: Slot) -> Complex:
    return looked_up(slot.params["W"], slot.x, np.array(layer.vocabulary_size))


def category_embedding(layer: Any, slot: Slot) -> Complex:
    ids = slot.x[:, layer.numbers :]
    starts = np.cumsum(layer.levels) - layer.levels
    vectors = slot.params["W"][rounded(ids, layer.levels) + starts]
    return np.concatenate([slot.x[:, : layer.numbers], vectors.reshape(len(ids), -1)], axis=1)


def looked_up(W: Array, ids: Array, count: Array) -> Complex:
    """Each id's row of W; an id has no derivative."""
    return W[rounded(ids, count)]


def rounded(ids: Array, count: Array) -> Complex:
    """The nearest ids from 0 to count − 1."""
    return np.rint(np.fmin(np.fmax(ids.real, 0), count - 1)).astype(np.intp)


FORMS: dict[type[Layer], Form] = {
    ACTIVATIONS["identity"]: lambda layer, slot: slot.x,
    ACTIVATIONS["relu"]: lambda layer, slot: positive(slot.x),
    ACTIVATIONS["leaky_relu"]: lambda layer, slot: np.where(slot.x.real > 0, slot.x, layer.slope * slot.x),
    ACTIVATIONS["prelu"]: prelu,
    ACTIVATIONS["relu6"]: lambda layer, slot: within(slot.x, 0, 6),
    ACTIVATIONS["elu"]: elu,
    ACTIVATIONS["selu"]: elu,
    ACTIVATIONS["gelu"]: gelu,
    ACTIVATIONS["silu"]: lambda layer, slot: slot.x * sigmoid(slot.x),
    ACTIVATIONS["mish"]: lambda layer, slot: slot.x * np.tanh(softplus(slot.x)),
    ACTIVATIONS["softplus"]: lambda layer, slot: softplus(slot.x),
    ACTIVATIONS["exponential"]: lambda layer, slot: np.exp(slot.x),
    ACTIVATIONS["sigmoid"]: lambda layer, slot: sigmoid(slot.x),
    ACTIVATIONS["hard_sigmoid"]: lambda layer, slot: within(slot.x + 3, 0, 6) / 6,
    ACTIVATIONS["tanh"]: lambda layer, slot: np.tanh(slot.x),
    ACTIVATIONS["hard_tanh"]: lambda layer, slot: within(slot.x, -1, 1),
    ACTIVATIONS["softsign"]: lambda layer, slot: slot.x / (1 + size(slot.x)),
    ACTIVATIONS["softmax"]: softmax,
    LAYERS["embedding"]: embedding,
    LAYERS["category_embedding"]: category_embedding,
}

PLAIN: frozenset[type[Layer]] = frozenset(
    {
        Part,
        *(
            LAYERS[name]
            for name in (
                "dense",
                "conv1d",
                "conv2d",
                "max_pool",
                "average_pool",
                "global_max_pool",
                "global_average_pool",
                "flatten",
                "reshape",
                "dropout",
                "alpha_dropout",
                "gaussian_noise",
                "batch_norm",
                "layer_norm",
                "rms_norm",
                "gru",
                "lstm",
                "residual",
            )
        ),
    }
)
"""Those whose own plan serves."""


# Losses ------------------------------------------------------------------------------------------------------------


def where_any(Y: Array, z: Array) -> Complex:
    """z, or 1 where Y is 0, so that 0·log 0 and 0/0 are 0."""
    return np.where(Y == 0, 1, z)


def residual(rho: Callable[[Any, Array], Array]) -> tuple[LossForm, LossForm]:
    """Both ways of Σ_k ρ(A_k − Y_k), which are one."""

    def form(loss: Any, head: Head) -> Complex:
        return rho(loss, head.A - head.Y).sum(axis=1)

    return form, form


def margin(rho: Callable[[Array], Array]) -> tuple[LossForm, LossForm]:
    """Both ways of Σ_k ρ(max(0, 1 − t_k·A_k)), which are one."""

    def form(loss: Any, head: Head) -> Complex:
        return rho(positive(1 - (2 * head.Y - 1) * head.A)).sum(axis=1)

    return form, form


def huber(loss: Any, R: Array) -> Complex:
    return np.where(size(R).real > loss.delta, loss.delta * (size(R) - loss.delta / 2), R * R / 2)


def quantile(loss: Any, R: Array) -> Complex:
    return np.where(R.real > 0, (1 - loss.quantile) * R, -loss.quantile * R)


def log_cosh(loss: Any, R: Array) -> Complex:
    return size(R) + log_1_plus(np.expm1(-2 * size(R)) / 2)


def binary_cross_entropy_of_Z(loss: Any, head: Head) -> Complex:
    Z, T = head.Z, _shared_out(head.Y, loss.label_smoothing, 2)
    return (loss.pos_weight * T * softplus(-Z) + (1 - T) * softplus(Z)).sum(axis=1)


def binary_cross_entropy_of_A(loss: Any, head: Head) -> Complex:
    A, T = head.A, _shared_out(head.Y, loss.label_smoothing, 2)
    yes, no = loss.pos_weight * T * np.log(where_any(T, A)), (1 - T) * np.log(where_any(1 - T, 1 - A))
    return -(yes + no).sum(axis=1)


def cross_entropy_of_Z(loss: Any, head: Head) -> Complex:
    T = _shared_out(head.Y, loss.label_smoothing, head.Y.shape[1])
    return -(T * log_softmax(head.Z)).sum(axis=1)


def cross_entropy_of_A(loss: Any, head: Head) -> Complex:
    T = _shared_out(head.Y, loss.label_smoothing, head.Y.shape[1])
    return -(T * np.log(where_any(T, head.A))).sum(axis=1)


def _shared_out(Y: Array, smoothing: float, classes: int) -> Complex:
    return (1 - smoothing) * Y + smoothing / classes


def binary_focal_of_Z(loss: Any, head: Head) -> Complex:
    M, w = (1 - 2 * head.Y) * head.Z, _either(loss, head.Y)
    return (w * np.exp(-loss.gamma * softplus(-M)) * softplus(M)).sum(axis=1)


def binary_focal_of_A(loss: Any, head: Head) -> Complex:
    is_yes, w = head.Y.real > 0.5, _either(loss, head.Y)
    p, q = np.where(is_yes, head.A, 1 - head.A), np.where(is_yes, 1 - head.A, head.A)
    return -(w * q**loss.gamma * np.log(p)).sum(axis=1)


def _either(loss: Any, Y: Array) -> Complex:
    return np.where(Y.real > 0.5, loss.yes, loss.no)


def focal_of_Z(loss: Any, head: Head) -> Complex:
    logs = log_softmax(head.Z)
    return -(head.Y * (-np.expm1(logs)) ** loss.gamma * logs).sum(axis=1)


def focal_of_A(loss: Any, head: Head) -> Complex:
    return -(head.Y * (1 - head.A) ** loss.gamma * np.log(where_any(head.Y, head.A))).sum(axis=1)


LOSS_FORMS: dict[type, tuple[LossForm, LossForm]] = {
    LOSSES["half_squared_error"]: residual(lambda loss, R: R * R / 2),
    LOSSES["squared_error"]: residual(lambda loss, R: R * R),
    LOSSES["absolute_error"]: residual(lambda loss, R: size(R)),
    LOSSES["huber"]: residual(huber),
    LOSSES["log_cosh"]: residual(log_cosh),
    LOSSES["quantile"]: residual(quantile),
    LOSSES["poisson"]: (
        lambda loss, head: (np.exp(head.Z) - head.Y * head.Z).sum(axis=1),
        lambda loss, head: (head.A - head.Y * np.log(where_any(head.Y, head.A))).sum(axis=1),
    ),
    LOSSES["gamma"]: (
        lambda loss, head: (head.Y * np.exp(-head.Z) + head.Z).sum(axis=1),
        lambda loss, head: (head.Y / head.A + np.log(head.A)).sum(axis=1),
    ),
    LOSSES["binary_cross_entropy"]: (binary_cross_entropy_of_Z, binary_cross_entropy_of_A),
    LOSSES["cross_entropy"]: (cross_entropy_of_Z, cross_entropy_of_A),
    LOSSES["kullback_leibler"]: (
        lambda loss, head: (head.Y * (np.log(where_any(head.Y, head.Y)) - log_softmax(head.Z))).sum(axis=1),
        lambda loss, head: (head.Y * np.log(where_any(head.Y, head.Y / where_any(head.Y, head.A)))).sum(axis=1),
    ),
    LOSSES["binary_focal"]: (binary_focal_of_Z, binary_focal_of_A),
    LOSSES["focal"]: (focal_of_Z, focal_of_A),
    LOSSES["hinge"]: margin(lambda V: V),
    LOSSES["squared_hinge"]: margin(lambda V: V * V),
}
"""From Z behind the canonical activation, and from A behind any other."""
