"""The supervisor: claims runs, starts a fresh process for each attempt, and looks after what becomes of them."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from sqlalchemy.exc import SQLAlchemyError

from service import folder
from service.folder import FolderUnusable
from service.ids import new_id
from service.processes import UNKNOWN_EXIT, context, start
from service.settings import Settings
from service.store import runs, workers
from service.store.database import Database
from service.store.runs import Claim
from service.worker.process import work
from service.worker.rescue import settle

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
"""After the database could not be used."""
SEEN_SECONDS = 2.0


@dataclass
class Child:
    """A worker process and the run it holds. It ends when the other end of its lifeline is closed."""

    claim: Claim
    process: BaseProcess
    lifeline: Connection

    @property
    def is_over(self) -> bool:
        """Whether the process has ended. Where its exit is unknown, the other end of the lifeline tells."""
        code = self.process.exitcode
        return code is not None and (code != UNKNOWN_EXIT or bool(wait([self.lifeline], timeout=0)))

    def signal(self, number: int) -> None:
        """Send a signal, if there is still someone to get it."""
        if self.process.pid is not None and not self.is_over:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Supervisor:
    """Keeps up to `slots` worker processes at work until it is told to stop."""

    def __init__(self, settings: Settings, database: Database, *, slots: int, server_id: str | None) -> None:
        self.settings, self.database, self.slots = settings, database, slots
        self.server_id = server_id
        self.worker_id = new_id("worker")
        self.children: list[Child] = []
        self._stopping = threading.Event()
        self._killing = threading.Event()
        self._next_seen = 0.0

    def run(self) -> None:
        """Claim and look after children until `stop`; then let them store their work, or kill those that do not."""
        try:
            while not self._stopping.is_set() and not self._tried(self._register):
                self._stopping.wait(RETRY_SECONDS)
            pause = POLL_SECONDS
            while not self._stopping.wait(pause):
                pause = POLL_SECONDS if self._tried(self._turn) else RETRY_SECONDS
        finally:
            self._stopping.set()
            self._wind_down()

    def stop(self) -> None:
        """Claim nothing more, and ask every child to store its work."""
        self._stopping.set()

    def kill(self) -> None:
        """End every child now."""
        self._stopping.set()
        self._killing.set()

    def _register(self) -> None:
        with self.database.write() as session:
            workers.register(
                session,
                worker_id=self.worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                server_id=self.server_id,
            )

    def _turn(self) -> None:
        self._reap()
        if time.monotonic() >= self._next_seen:
            with self.database.write() as session:
                workers.seen(session, self.worker_id)
            self._next_seen = time.monotonic() + SEEN_SECONDS
        while len(self.children) < self.slots and not self._stopping.is_set():
            if not self._claim_one():
                return

    def _claim_one(self) -> bool:
        with self.database.read() as session:
            if not runs.has_claimable(session):
                return False
        folder.id_of(self.settings.data)  # where it can't be reached no run should find its dataset missing
        with self.database.write() as session:
            claim = runs.claim(session, self.worker_id, lease_seconds=self.settings.lease_seconds)
        if claim is None:
            return False
        with self.database.read() as session:
            run = runs.get(session, claim.run_id)
        try:
            self._start(claim, memory_bytes=run.memory_bytes if run is not None else 0)
        except (OSError, EOFError):  # the process that starts others is gone; the next start brings it back
            self._give_back(claim, "no process could be started for it")
            raise
        return True

    def _start(self, claim: Claim, *, memory_bytes: int) -> None:
        started = context()
        receiver, lifeline = started.Pipe(duplex=False)
        process = started.Process(
            target=work,
            args=(self.settings, claim.run_id, claim.attempt, memory_bytes, receiver),
            name=f"worker of {claim.run_id}",
        )
        try:
            start(process)
        except BaseException:
            lifeline.close()  # in case that it did start
            raise
        finally:
            receiver.close()
        log.info("run %s: attempt %d in process %s", claim.run_id, claim.attempt, process.pid)
        self.children.append(Child(claim, process, lifeline))

    def _reap(self) -> None:
        """Settle the runs of children that ended."""
        for child in [child for child in self.children if child.is_over]:
            settle(self.database, child.claim, child.process.exitcode or 0)
            self._forget(child)

    def _forget(self, child: Child) -> None:
        child.lifeline.close()
        child.process.join()
        child.process.close()
        self.children.remove(child)

    def _wind_down(self) -> None:
        deadline = time.monotonic() + self.settings.shutdown_seconds
        for child in self.children:
            child.signal(signal.SIGTERM)
        while not self._are_over() and time.monotonic() < deadline and not self._killing.is_set():
            time.sleep(0.02)
        for child in self.children:
            child.signal(signal.SIGKILL)
        while not self._are_over():
            time.sleep(0.02)
        for child in list(self.children):
            self._tried(partial(self._give_back, child.claim, "its worker ended before it had stored its last steps"))
            self._forget(child)
        self._tried(self._unregister)

    def _are_over(self) -> bool:
        return all(child.is_over for child in self.children)

    def _give_back(self, claim: Claim, detail: str) -> None:
        """Put a run back that its child did not: no fault of the run, so no death is counted."""
        reason = {"code": "worker_stopped", "detail": detail}
        with self.database.write() as session:
            runs.give_back(session, claim.run_id, claim.attempt, event="requeued", reason=reason)

    def _unregister(self) -> None:
        with self.database.write() as session:
            workers.forget(session, self.worker_id)

    def _tried(self, action: Callable[[], None]) -> bool:
        """Do something with the outside; where that is locked or away, say so and go on."""
        try:
            action()
        except (SQLAlchemyError, FolderUnusable, OSError, EOFError) as error:
            log.warning("trying again after %s: %s", type(error).__name__, getattr(error, "orig", error))
            return False
        return True
