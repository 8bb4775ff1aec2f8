"""Units: how the numbers a network learns lie to the targets' own."""

from dataclasses import dataclass

import numpy as np

from engine.parameters import Array


def signed_log(values: Array) -> Array:
    """sign(v)·log(1 + |v|), which is defined for every number and about v itself near 0."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def signed_exp(values: Array) -> Array:
    """What `signed_log` was taken of; infinite where it is too large."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sign(values) * np.expm1(np.abs(values)))


@dataclass(frozen=True)
class Units:
    """Of each output (n_out,): its target is scale·Y + mean, or the `signed_exp` of that."""

    scale: Array
    mean: Array
    is_log: Array

    def own(self, values: Array) -> Array:
        """Outputs (m, n_out) as the targets' own numbers, in float64."""
        found = values.astype(np.float64) * self.scale + self.mean
        return np.where(self.is_log, signed_exp(found), found) if self.is_log.any() else found

    def comparable(self, values: Array) -> Array:
        """Numbers whose differences are `step` each of the own unit: outputs as they are, but those of a logarithm."""
        return np.where(self.is_log, self.own(values), values) if self.is_log.any() else values

    @property
    def step(self) -> Array:
        """(n_out,): what a difference of 1 between comparable numbers is in the own unit."""
        return np.where(self.is_log, 1.0, self.scale)

    def of(self, place: int) -> "Units":
        """Those of one output."""
        column = slice(place, place + 1)
        return Units(self.scale[column], self.mean[column], self.is_log[column])
