"""Rescue: what becomes of runs whose worker is gone."""

import logging
import signal

from service.store import runs, workers
from service.store.database import Database
from service.store.runs import Claim

log = logging.getLogger(__name__)

TRY_AGAIN = 75
"""The exit code of a worker process that could not reach the database: no fault of its run."""


def requeue_orphans(database: Database, server_id: str) -> None:
    """At a server's start, put back what its earlier workers held: the folder's lock says that they are gone."""
    with database.write() as session:
        earlier = workers.of_server(session, server_id)
        for orphan in runs.held_by(session, earlier):
            reason = {"code": "server_restarted", "detail": "its server was started again"}
            status = runs.give_back(session, orphan.run_id, orphan.attempt, event="rescued", reason=reason)
            log.info("run %s was left by an earlier server: %s", orphan.run_id, status)
        for worker_id in earlier:
            workers.forget(session, worker_id)


def settle(database: Database, claim: Claim, exit_code: int) -> None:
    """After a worker process ended: nothing if it left its run in order, else put the run back or end it."""
    with database.write() as session:
        if exit_code == TRY_AGAIN:
            reason = {"code": "database_unavailable", "detail": "its worker could not reach the database"}
            status = runs.give_back(session, claim.run_id, claim.attempt, event="requeued", reason=reason)
        else:
            status = runs.note_death(session, claim.run_id, claim.attempt, how=describe(exit_code))
    if status is not None:
        log.warning("run %s: its worker process %s: %s", claim.run_id, describe(exit_code), status)


def describe(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"
