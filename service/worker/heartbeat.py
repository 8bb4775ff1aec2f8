"""The heartbeat of one attempt: a thread that renews the lease, tells the progress and brings back wishes."""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from service.store import runs
from service.store.database import Database

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0


class Heartbeat:
    """Beats until it is stopped. `is_lost`, `cancel` and `pause` are read by the training between two batches."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        attempt: int,
        *,
        lease_seconds: float,
        position: Callable[[], tuple[int, int]],
    ) -> None:
        self.database, self.run_id, self.attempt = database, run_id, attempt
        self.lease_seconds, self.position = lease_seconds, position
        self.cancel = self.pause = False
        self._fenced = False
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait a little for a beat under way; one that comes later is fenced off."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    @property
    def is_lost(self) -> bool:
        """Whether the run is another's, or may soon be: for two thirds of the lease no beat has come back."""
        return self._fenced or time.monotonic() - self._last > self.lease_seconds * 2 / 3

    @property
    def wants_attention(self) -> bool:
        """Whether the training should stop and look."""
        return self.is_lost or self.cancel or self.pause

    def forget_wishes(self) -> None:
        """Until the next beat: what was wished was found to be taken back."""
        self.cancel = self.pause = False

    def _beat_on(self) -> None:
        while not self._stopped.wait(min(0.5, self.lease_seconds / 10)) and not self.is_lost:
            self._beat()

    def _beat(self) -> None:
        epoch, step = self.position()
        begun = time.monotonic()
        try:
            with self.database.write() as session:
                wishes = runs.beat(
                    session, self.run_id, self.attempt, lease_seconds=self.lease_seconds, epoch=epoch, step=step
                )
        except SQLAlchemyError as error:
            log.warning("run %s: no heartbeat for %.1f s: %s", self.run_id, time.monotonic() - self._last, error)
            return
        if wishes is None:
            self._fenced = True
        else:
            self._last = begun
            self.cancel, self.pause = wishes.cancel, wishes.pause
