"""What the engine raises.

EngineError
├── SpecError          a network or training spec that can never work; names the place in the spec
├── DataError          a table, column, row or target that can't be used; names the place in the data
├── CheckpointError    bytes that are not a whole, unaltered checkpoint, or one of another network
├── OutOfTime          what was asked for took longer than it was given
└── Diverged           training left the finite numbers; names epoch, step and layer
"""

from collections.abc import Sequence
from functools import partial


class EngineError(Exception):
    """Base of all the engine raises."""


class SpecError(EngineError):
    """A spec that can never work. `place` is a path such as `network.layers[2].units`."""

    def __init__(self, place: str, message: str, *, code: str = "invalid_spec", allowed: Sequence[str] = ()) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message
        self.code = code
        self.allowed = tuple(allowed)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        """Keep every part on the way out of another process."""
        return partial(SpecError, code=self.code, allowed=self.allowed), (self.place, self.message)


class DataError(EngineError):
    """Data that can't be used; `problems` lists all found.

    `place` is a path such as `columns.age` or `rows[3].age`, rows counted from 0, or `file` for the whole of it.
    """

    def __init__(
        self, place: str, message: str, *, code: str = "invalid_data", problems: Sequence["DataError"] = ()
    ) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message
        self.code = code
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        """Keep every part on the way out of another process."""
        return partial(DataError, code=self.code, problems=self.problems), (self.place, self.message)


class CheckpointError(EngineError):
    """Bytes that are not a whole, unaltered checkpoint, or that belong to another network."""


class OutOfTime(EngineError):  # noqa: N818 - an outcome of a limit, not a fault
    """What was asked for took longer than it was given."""


class Diverged(EngineError):  # noqa: N818 - an outcome of training, not a fault of the caller
    """Training left the numbers one can learn from."""

    def __init__(self, *, epoch: int, step: int, layer: str, found: str) -> None:
        super().__init__(f"training diverged in epoch {epoch}, step {step}, layer {layer}: {found}")
        self.epoch = epoch
        self.step = step
        self.layer = layer
        self.found = found

    def __reduce__(self) -> tuple[object, tuple[()]]:
        """Keep every part on the way out of another process."""
        return partial(Diverged, epoch=self.epoch, step=self.step, layer=self.layer, found=self.found), ()


MAXIMUM_PROBLEMS = 100
"""Listed of one request."""


def raise_all(problems: Sequence[DataError]) -> None:
    """Raise one DataError that says the first problem and lists them all, one a place; nothing if there are none."""
    if problems:
        first = problems[0]
        found: dict[str, DataError] = {}
        for problem in problems:
            found.setdefault(problem.place, problem)
        raise DataError(first.place, first.message, code=first.code, problems=list(found.values())[:MAXIMUM_PROBLEMS])
