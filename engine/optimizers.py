"""Optimizers: how a gradient becomes a change of the parameters. All work on flat vectors, block by block.

A block fits the processor's cache, so that the several passes of one update read it from memory once.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from engine.parameters import Array, Layout
from engine.spec import AdamSpec, SgdSpec

BLOCK = 32_768
"""Numbers in a block: 128 KiB of float32."""

Update = Callable[[int], None]
"""Applies one update; its argument counts the updates from 1."""


class Optimizer:
    """One optimizer. Its memory between updates is in `moments`, flat vectors as long as the parameters."""

    formula: ClassVar[str]
    source: ClassVar[str]
    moments: ClassVar[tuple[str, ...]]

    def __init__(self, spec: Any) -> None:
        self.learning_rate: float = spec.learning_rate

    def bind(self, parameters: Array, gradient: Array, moments: dict[str, Array]) -> Update:
        """The update as a function on these very vectors; it changes `parameters` and `moments` in place."""
        raise NotImplementedError


class Sgd(Optimizer):
    """Stochastic gradient descent: v ← μ·v + g, θ ← θ − η·v; with Nesterov's look-ahead θ ← θ − η·(g + μ·v)."""

    formula = "v ← μ·v + g, θ ← θ − η·v (Nesterov: θ ← θ − η·(g + μ·v))"
    source = "Sutskever, Martens, Dahl & Hinton 2013, On the importance of initialization and momentum in deep learning"
    moments = ("v",)

    def __init__(self, spec: SgdSpec) -> None:
        super().__init__(spec)
        self.momentum, self.nesterov = spec.momentum, spec.nesterov

    def bind(self, parameters: Array, gradient: Array, moments: dict[str, Array]) -> Update:
        rate, momentum = self.learning_rate, self.momentum
        blocks = _blocks(parameters, gradient, moments["v"], scratch=1)

        def plain(count: int) -> None:
            for theta, g, _, change in blocks:
                np.multiply(g, rate, out=change)
                np.subtract(theta, change, out=theta)

        def heavy(count: int) -> None:
            for theta, g, v, change in blocks:
                np.multiply(v, momentum, out=v)
                np.add(v, g, out=v)
                np.multiply(v, rate, out=change)
                np.subtract(theta, change, out=theta)

        def ahead(count: int) -> None:
            for theta, g, v, change in blocks:
                np.multiply(v, momentum, out=v)
                np.add(v, g, out=v)
                np.multiply(v, momentum, out=change)
                np.add(change, g, out=change)
                np.multiply(change, rate, out=change)
                np.subtract(theta, change, out=theta)

        if momentum == 0:
            return plain
        return ahead if self.nesterov else heavy


class Adam(Optimizer):
    """Adam: steps along the gradient's running mean, scaled by the root of its running square, both bias-corrected.

    The kept moments are the textbook's divided by 1 − β, which saves two passes: M ← β₁·M + g, V ← β₂·V + g². The
    bias corrections are folded into the step's length and ε: with k = √((1 − β₂ᵗ)/(1 − β₂)),
    θ ← θ − η·k·(1 − β₁)/(1 − β₁ᵗ) · M/(√V + ε·k). This equals the published update.
    """

    formula = "m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)"
    source = "Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1 and the end of §2"
    moments = ("M", "V")

    def __init__(self, spec: AdamSpec) -> None:
        super().__init__(spec)
        self.beta1, self.beta2, self.epsilon = spec.beta1, spec.beta2, spec.epsilon

    def bind(self, parameters: Array, gradient: Array, moments: dict[str, Array]) -> Update:
        eta, beta1, beta2, epsilon = self.learning_rate, self.beta1, self.beta2, self.epsilon
        blocks = _blocks(parameters, gradient, moments["M"], moments["V"], scratch=1)

        def update(count: int) -> None:
            k = sqrt((1 - beta2**count) / (1 - beta2))
            rate = eta * k * (1 - beta1) / (1 - beta1**count)
            floor = epsilon * k
            for theta, g, M, V, change in blocks:
                np.multiply(M, beta1, out=M)
                np.add(M, g, out=M)
                np.multiply(g, g, out=change)
                np.multiply(V, beta2, out=V)
                np.add(V, change, out=V)
                np.sqrt(V, out=change)
                np.add(change, floor, out=change)
                np.divide(M, change, out=change)
                np.multiply(change, rate, out=change)
                np.subtract(theta, change, out=theta)

        return update


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": Sgd,
    "adam": Adam,
}


def bind_penalty(l2: float, layout: Layout, parameters: Array, gradient: Array) -> Callable[[], None]:
    """A function that adds the derivative of ½λ‖W‖², which is λ·W, to the gradient of every W (never of b)."""
    blocks: list[tuple[Array, ...]] = []
    for name, place in layout.slices().items():
        if name.startswith("W."):
            blocks += _blocks(parameters[place], gradient[place], scratch=1)

    def penalize() -> None:
        for W, dW, change in blocks:
            np.multiply(W, l2, out=change)
            np.add(dW, change, out=dW)

    def nothing() -> None:
        pass

    return penalize if l2 else nothing


def _blocks(*vectors: Array, scratch: int) -> Sequence[tuple[Array, ...]]:
    """Cut equally long vectors into blocks; every block gets the same scratch arrays beside its views."""
    size = vectors[0].size
    spare = [np.empty(min(BLOCK, size), vectors[0].dtype) for _ in range(scratch)]
    return [
        (*(v[start : start + BLOCK] for v in vectors), *(s[: min(BLOCK, size - start)] for s in spare))
        for start in range(0, size, BLOCK)
    ]
