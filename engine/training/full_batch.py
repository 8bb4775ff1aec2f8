"""The one step of an epoch whose optimizer looks at all rows together."""

from collections.abc import Callable
from math import inf, nan, sqrt

import numpy as np

from engine.errors import Diverged
from engine.parameters import Array, Layout
from engine.penalties import penalty, penalty_plan


class Objective:
    """What a full-batch optimizer minimizes: the mean loss of all training rows plus the penalty.

    What was found last is kept, so that a step may ask again where the one before ended.
    """

    def __init__(self, whole: Callable[[Array], float], parameters: Array, l2: float, layout: Layout) -> None:
        self.whole, self.parameters, self.l2, self.layout = whole, parameters, l2, layout
        self.gradient, self.place = np.zeros_like(parameters), np.full_like(parameters, nan)
        self.penalty = penalty_plan(0.0, l2, layout, parameters, self.gradient)
        self.loss = self.norm = self.value = nan
        """The loss and its gradient's norm without the penalty; the loss with it."""

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """The value and the gradient at θ; infinite where they are not finite, so that a search turns back."""
        try:
            self.measure(theta)
        except Diverged:
            return inf, self.gradient
        return self.value, self.gradient

    def measure(self, theta: Array) -> None:
        """Find everything at θ. Raises Diverged where it is not finite."""
        if np.array_equal(theta, self.place):
            return
        np.copyto(self.parameters, theta)
        self.place.fill(nan)
        self.loss = self.whole(self.gradient)
        self.norm = sqrt(float(self.gradient.dot(self.gradient)))
        for each in self.penalty:
            each()
        self.value = self.loss + penalty(0.0, self.l2, self.layout, self.parameters)
        np.copyto(self.place, theta)
