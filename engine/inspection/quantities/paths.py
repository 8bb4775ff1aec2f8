"""Integrals of a gradient along straight lines in the space of inputs, one line for each example."""

from typing import Protocol

import numpy as np

from engine.parameters import Array

PANEL = 4
"""Gauss-Legendre nodes on each stretch that is halved until the integral has converged."""
MOST_PANELS = 1024
"""Of one example, about; then it is left as it is."""
NUMBERS = 2**22
"""About how many numbers of inputs are gathered at once: 32 MiB."""


class Function(Protocol):
    """F of one example's input, and its gradient."""

    def at(self, X: Array, examples: Array) -> tuple[Array, Array]:
        """F (k,) and its gradient (k, n_in) at X (k, n_in), the inputs of these examples (k,)."""


class Path:
    """The lines from `start` to `end`, both (m, n_in), and F on them; a place is 0 at the start and 1 at the end."""

    def __init__(self, function: Function, end: Array, start: Array) -> None:
        self.function, self.start, self.way = function, start, end - start
        self.m, self.n_in = end.shape
        examples = np.arange(self.m)
        self.F_start, self.F_end = (function.at(X, examples)[0] for X in (start, end))

    @property
    def places_at_once(self) -> int:
        """How many places are gathered at a time."""
        return max(1, NUMBERS // len(self.way.T))

    def at(self, examples: Array, places: Array) -> tuple[Array, Array]:
        """F (k,) and its gradient (k, n_in) at a place (k,) of each of these examples' lines (k,)."""
        return self.function.at(self.start[examples] + places[:, None] * self.way[examples], examples)


def fixed(path: Path, rule: str, nodes: int) -> Array:
    """The integral by so many nodes of a rule for every line: (m, n_in), times the way."""
    places, shares = _rule(rule, nodes)
    total = np.zeros((path.m, path.n_in))
    examples, step = np.arange(path.m), max(1, path.places_at_once // path.m)
    for start in range(0, nodes, step):
        part = places[start : start + step]
        _, dX = path.at(np.tile(examples, len(part)), np.repeat(part, path.m))
        total += np.tensordot(shares[start : start + step], dX.reshape(len(part), path.m, path.n_in), axes=1)
    total *= path.way
    return total


def until_complete(path: Path, completeness: float) -> tuple[Array, Array]:
    """The integral, and how many nodes each line took.

    A line's stretches are halved where what they sum to is not the difference of F at their ends; a kink on a line is
    closed in on that way, where a rule over all of it would come nearer but slowly.
    """
    total, nodes, panels = np.zeros((path.m, path.n_in)), np.zeros(path.m), np.ones(path.m)
    allowed = completeness * np.maximum(np.abs(path.F_end - path.F_start), 1)
    places, shares = _rule("gauss_legendre", PANEL)
    at_once = max(1, path.places_at_once // PANEL)
    waiting = np.column_stack([np.arange(path.m), np.zeros(path.m), np.ones(path.m), path.F_start, path.F_end])
    while len(waiting):
        waiting, stretches = waiting[:-at_once], waiting[-at_once:]
        examples, (low, high, F_low, F_high) = stretches[:, 0].astype(int), stretches[:, 1:].T
        inside = low[:, None] + (high - low)[:, None] * places
        _, dX = path.at(np.repeat(examples, PANEL), inside.ravel())
        mean = np.tensordot(dX.reshape(len(stretches), PANEL, path.n_in), shares, axes=(1, 0))
        integral = mean * (high - low)[:, None] * path.way[examples]
        residual = np.abs(integral.sum(axis=1) - (F_high - F_low))
        is_open = (residual > allowed[examples] / (2 * panels[examples])) & (panels[examples] < MOST_PANELS)
        np.add.at(nodes, examples, PANEL)
        np.add.at(panels, examples[is_open], 1)
        np.add.at(total, examples[~is_open], integral[~is_open])
        waiting = np.vstack([waiting, *_halves(path, stretches[is_open])])
    return total, nodes


def _halves(path: Path, stretches: Array) -> tuple[Array, Array]:
    """Both halves of each stretch: example, places of both ends, and F there."""
    examples, low, high, F_low, F_high = stretches.T
    middle = (low + high) / 2
    F_middle, _ = path.at(examples.astype(int), middle)
    first = np.column_stack([examples, low, middle, F_low, F_middle])
    return first, np.column_stack([examples, middle, high, F_middle, F_high])


def _rule(rule: str, nodes: int) -> tuple[Array, Array]:
    """Places between 0 and 1, and the share of each, which sum to 1."""
    if rule == "midpoint":
        return (np.arange(nodes) + 0.5) / nodes, np.full(nodes, 1 / nodes)
    places, shares = np.polynomial.legendre.leggauss(nodes)
    return (places + 1) / 2, shares / 2
