"""The base rate: what is so on average, before anything is known of a row. A head's b can start there.

A network that starts at b = 0 first has to learn how rare a class is, from losses that are large for no better reason;
with b where the base rate is, the first steps already go into what tells rows apart (Lin, Goyal, Girshick, He & Dollár
2017, Focal loss for dense object detection, §3.3).
"""

from collections.abc import Callable

import numpy as np

from engine.layers import ACTIVATIONS
from engine.parameters import Array

LINKS: dict[str, Callable[[Array], Array]] = {
    "identity": np.positive,
    "sigmoid": lambda A: np.log(A) - np.log1p(-A),
    "softmax": np.log,
    "exponential": np.log,
    "softplus": lambda A: A + np.log(-np.expm1(-A)),
}
"""The Z whose outputs are A, for the heads that have one for every mean of their targets: the link of a generalized
linear model."""


def base_rate_bias(activation: str, Y: Array) -> Array:
    """The b (n_out,) with which a head gives the mean of the targets Y (m, n_out) for an input of zeros.

    What no row or every row has counts as if half a row were the exception, so that b is finite.
    """
    few = 0.5 / len(Y)
    rates: Array = Y.mean(axis=0, dtype=np.float64)
    if ACTIVATIONS[activation].range in ("probability", "shares"):
        rates = np.clip(rates, few, 1 - few)
    elif ACTIVATIONS[activation].range == "positive":
        rates = np.maximum(rates, few)
    return LINKS[activation](rates)
