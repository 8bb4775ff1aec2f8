"""The heartbeat of one attempt: a thread that renews the lease, tells the progress and brings back wishes."""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from service.store import runs
from service.store.database import Database

log = logging.getLogger(__name__)


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
        self.is_lost = self.cancel = self.pause = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for a beat under way."""
        self._stopped.set()
        self._thread.join()

    @property
    def wants_attention(self) -> bool:
        """Whether the training should stop and look."""
        return self.is_lost or self.cancel or self.pause

    def _beat_on(self) -> None:
        while not self._stopped.wait(min(0.5, self.lease_seconds / 10)) and not self.is_lost:
            self._beat()

    def _beat(self) -> None:
        epoch, step = self.position()
        try:
            with self.database.write() as session:
                wishes = runs.beat(
                    session, self.run_id, self.attempt, lease_seconds=self.lease_seconds, epoch=epoch, step=step
                )
        except SQLAlchemyError as error:
            silent = time.monotonic() - self._last
            log.warning("run %s: no heartbeat for %.1f s: %s", self.run_id, silent, error)
            self.is_lost = silent > self.lease_seconds * 2 / 3
            return
        self._last = time.monotonic()
        if wishes is None:
            self.is_lost = True
        else:
            self.cancel, self.pause = wishes.cancel, wishes.pause
