"""Measures: one number of an observed step, by the words a user has for it.

`loss`, `learning_rate`, `gradient_norm`; `dW.1.norm`, a statistic of a tensor; `A.1[:,7].zero_share`, of a part of it;
`W.2[0,3]`, an element; `update_ratio.W.1`, ‖update‖/‖W‖. `dW.*.norm` is that of every layer's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Any

import numpy as np

from engine.errors import SpecError
from engine.inspection.observation import ObservedStep
from engine.parameters import Array

SCALARS = ("loss", "learning_rate", "gradient_norm")
STATISTICS: dict[str, Callable[[Array], Any]] = {
    "norm": np.linalg.norm,
    "largest": lambda flat: np.abs(flat).max(initial=0),
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "sum": np.sum,
    "mean_size": lambda flat: np.abs(flat).mean(),
    "zero_share": lambda flat: (flat == 0).mean(),
    "positive_share": lambda flat: (flat > 0).mean(),
    "non_finite": lambda flat: (~np.isfinite(flat)).sum(),
}
"""Of the elements of a tensor, or of a part of it, as one flat array of float64."""
_PARTS = re.compile(r"(?P<name>[A-Za-z_][\w.]{0,59}?)(?:\[(?P<index>[-\d:,\s]{1,80})\])?(?:\.(?P<statistic>[a-z_]+))?")
_PART = re.compile(r"(?P<first>-?\d{1,9})?(?P<colon>:(?P<last>-?\d{1,9})?)?")
RATIO = "update_ratio."
EXAMPLES = "loss, dW.1.norm, A.1[:,7].zero_share, W.2[0,3] or update_ratio.W.1"

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Measure:
    """A number that every step has."""

    text: str
    """As the user wrote it."""
    name: str
    """A scalar's, or the tensor's."""
    index: Index = ()
    statistic: str | None = None

    @classmethod
    def parse(cls, text: str, place: str = "quantity") -> "Measure":
        """The measure these words name. Raises SpecError at the place for words that name none."""
        if text in SCALARS or text.startswith(RATIO):
            return cls(text, text)
        match = _PARTS.fullmatch(text)
        if match is None or match["statistic"] not in (None, *STATISTICS):
            raise SpecError(
                place,
                f"expected a number of a step, such as {EXAMPLES}, with a statistic of {', '.join(STATISTICS)}; "
                f"got {text[:80]!r}",
                code="unknown_quantity",
                allowed=(*SCALARS, *STATISTICS),
            )
        return cls(text, match["name"], _index(match["index"] or "", place), match["statistic"])

    @classmethod
    def expand(cls, text: str, step: ObservedStep, place: str = "quantity") -> "list[Measure]":
        """As `parse`, with a star in a tensor's name for all that it fits in this step: dW.*.norm."""
        if "*" not in text:
            return [cls.parse(text, place)]
        pattern, _, statistic = text.rpartition(".")
        is_ratio, names = text.startswith(RATIO), tuple(step.tensors)
        if is_ratio:
            names = tuple(f"{RATIO}{name.removeprefix('update.')}" for name in names if name.startswith("update."))
        found = [
            cls.parse(name if is_ratio else f"{name}.{statistic}", place)
            for name in names
            if fnmatchcase(name, text if is_ratio else pattern)
        ]
        if not found:
            names = (*SCALARS, *step.tensors)
            raise SpecError(place, f"{text[:80]!r} fits no tensor of a step", code="unknown_quantity", allowed=names)
        return found

    def of(self, step: ObservedStep) -> float:
        """Its value in a step. Raises SpecError where the step has no such tensor, or more than one such number."""
        if self.name in SCALARS:
            return float(getattr(step, self.name))
        if self.name.startswith(RATIO):
            name = self.name.removeprefix(RATIO)
            size, change = (np.linalg.norm(self._tensor(step, each)) for each in (name, f"update.{name}"))
            return float(change / size) if size else inf
        found = self._part(self._tensor(step, self.name))
        with np.errstate(all="ignore"):
            return float(found) if self.statistic is None else float(STATISTICS[self.statistic](found.reshape(-1)))

    def _tensor(self, step: ObservedStep, name: str) -> Array:
        if name not in step.tensors:
            raise SpecError(
                self.text,
                f"there is no {name!r} in a step of this run",
                code="unknown_quantity",
                allowed=(*SCALARS, *step.tensors),
            )
        return step.tensors[name].astype(np.float64)

    def _part(self, array: Array) -> Array:
        try:
            found: Array = np.asarray(array[self.index])
        except IndexError as error:
            raise SpecError(self.text, f"expected an index into {self.name} of shape {list(array.shape)}") from error
        if self.statistic is None and found.size != 1:
            raise SpecError(
                self.text,
                f"expected one number, but these are {found.size}; add a statistic, such as {self.text[:40]}.norm",
                code="not_one_number",
                allowed=tuple(STATISTICS),
            )
        return found if self.statistic else found.reshape(())


def _index(text: str, place: str) -> Index:
    found: list[int | slice] = []
    for part in text.split(",") if text else []:
        match = _PART.fullmatch(part.strip())
        if match is None or not part.strip():
            raise SpecError(place, f"expected an index such as [0,3] or [:,7], got [{text}]")
        first, last = (None if match[each] is None else int(match[each]) for each in ("first", "last"))
        if match["colon"]:
            found.append(slice(first, last))
        elif first is not None:
            found.append(first)
    return tuple(found)
