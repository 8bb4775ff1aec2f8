"""The trail: digests of the parameters while a run trains, as many as three thousandths of its time pay for.

A run computed again that meets one of them has taken every step before it as the run did.
"""

from hashlib import sha256
from time import perf_counter

from engine.training import TrainingState
from service.store.digests import DIGEST_BYTES, Noted

SHARE = 0.003
"""Of a run's time."""
APART_SECONDS = 0.05
"""More often they would only fill the database."""


class Trail:
    """The digests noted since they were last stored."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.noted: list[Noted] = []
        self._next = 0.0

    def pass_by(self, state: TrainingState) -> None:
        """Called between steps: note the parameters, if the time has come."""
        begun = perf_counter()
        if begun >= self._next:
            self.note(state)
            now = perf_counter()
            self._next = now + max(APART_SECONDS, (now - begun) / SHARE)

    def note(self, state: TrainingState) -> None:
        """Note the parameters as they are."""
        moment = state.epoch * self.steps_per_epoch + state.step
        if self.noted and self.noted[-1][0] >= moment:
            return
        self.noted.append((moment, sha256(state.parameters.data).digest()[:DIGEST_BYTES]))
