import threading
from typing import Any

import pytest

from service.store import events, runs, workers
from service.store.database import Database
from service.store.tables import RunRow
from tests.store import factories

LEASE = 30.0


def claimed(database: Database, *, lease_seconds: float = LEASE, worker: str = "w1") -> runs.Claim:
    """A run that a worker holds."""
    with database.write() as session:
        factories.worker(session, worker)
        factories.run(session)
    with database.write() as session:
        claim = runs.claim(session, worker, lease_seconds=lease_seconds)
    assert claim is not None
    return claim


def row_of(database: Database, run_id: str) -> RunRow:
    with database.read() as session:
        row = runs.get(session, run_id)
        assert row is not None
        session.expunge(row)
        return row


def kinds(database: Database, run_id: str) -> list[str]:
    with database.read() as session:
        return [event.kind for event in events.after(session, run_id, 0, limit=100)]


def test_a_claim_takes_the_oldest_of_the_highest_priority(database: Database) -> None:
    with database.write() as session:
        factories.worker(session)
        ids = [factories.run(session, priority=priority).id for priority in (0, 1, 1)]

    taken = []
    for _ in range(4):
        with database.write() as session:
            claim = runs.claim(session, "w1", lease_seconds=LEASE)
        taken.append(claim.run_id if claim else None)

    assert taken == [ids[1], ids[2], ids[0], None]


def test_no_run_is_claimed_twice_by_many_at_once(database: Database) -> None:
    with database.write() as session:
        factories.worker(session)
        for _ in range(30):
            factories.run(session)
    taken: list[runs.Claim] = []

    def claim_all() -> None:
        while True:
            with database.write() as session:
                claim = runs.claim(session, "w1", lease_seconds=LEASE)
            if claim is None:
                return
            taken.append(claim)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len({claim.run_id for claim in taken}) == 30


def test_a_lease_that_ran_out_is_claimed_by_the_next(database: Database) -> None:
    first = claimed(database, lease_seconds=-1)

    with database.write() as session:
        factories.worker(session, "w2")
        second = runs.claim(session, "w2", lease_seconds=LEASE)

    assert second == runs.Claim(first.run_id, first.attempt + 1)
    assert kinds(database, first.run_id) == ["claimed", "rescued", "claimed"]


def test_a_stale_attempt_is_fenced_off_from_every_write(database: Database) -> None:
    stale = claimed(database, lease_seconds=-1)
    with database.write() as session:
        factories.worker(session, "w2")
        runs.claim(session, "w2", lease_seconds=LEASE)

    with database.write() as session:
        where = (session, stale.run_id, stale.attempt)
        assert runs.beat(*where, lease_seconds=LEASE, epoch=9, step=9) is None
        assert not runs.fenced(*where, epoch=9)
        assert not runs.holds(*where)
        assert not runs.end(*where, "succeeded", {})
        assert runs.give_back(*where, event="requeued", reason={}) is None
        assert runs.note_death(*where, how="died") is None

    row = row_of(database, stale.run_id)
    assert (row.status, row.epoch, row.attempt, row.deaths) == ("running", 0, 2, 0)


@pytest.mark.parametrize(("wish", "status"), [("cancel_requested_at", "cancelled"), ("pause_requested_at", "paused")])
def test_a_lost_run_that_someone_wanted_to_stop_is_not_claimed(database: Database, wish: str, status: str) -> None:
    lost = claimed(database, lease_seconds=-1)
    with database.write() as session:
        assert runs.wish(session, lost.run_id, wish)

    with database.write() as session:
        assert runs.claim(session, "w1", lease_seconds=LEASE) is None

    row = row_of(database, lost.run_id)
    assert row.status == status
    with database.read() as session:
        (*_, last) = events.after(session, lost.run_id, 0, limit=100)
    assert (last.kind, last.data) == (status, row.reason)


def test_a_wish_that_was_taken_back_stops_nothing(database: Database) -> None:
    claim = claimed(database)
    with database.write() as session:
        runs.wish(session, claim.run_id, "pause_requested_at")
        runs.fenced(session, claim.run_id, claim.attempt, pause_requested_at=None)

    with database.write() as session:
        assert runs.end_as_asked(session, claim.run_id, claim.attempt) is None

    assert row_of(database, claim.run_id).status == "running"


def test_a_cancel_that_came_after_a_pause_is_what_counts(database: Database) -> None:
    claim = claimed(database)
    with database.write() as session:
        runs.wish(session, claim.run_id, "pause_requested_at")
        runs.wish(session, claim.run_id, "cancel_requested_at")

    with database.write() as session:
        assert runs.end_as_asked(session, claim.run_id, claim.attempt) == "cancelled"

    assert kinds(database, claim.run_id)[-1] == "cancelled"


def test_a_heartbeat_brings_wishes_back(database: Database) -> None:
    claim = claimed(database)
    beat: dict[str, Any] = {"lease_seconds": LEASE, "epoch": 3, "step": 2}

    with database.write() as session:
        assert runs.beat(session, claim.run_id, claim.attempt, **beat) == runs.Wishes(cancel=False, pause=False)
        runs.wish(session, claim.run_id, "pause_requested_at")
        assert runs.beat(session, claim.run_id, claim.attempt, **beat) == runs.Wishes(cancel=False, pause=True)

    row = row_of(database, claim.run_id)
    assert (row.epoch, row.step) == (3, 2)


def test_the_fifth_death_without_a_checkpoint_ends_a_run(database: Database) -> None:
    claim = claimed(database)
    outcomes = []
    for _ in range(5):
        with database.write() as session:
            outcomes.append(runs.note_death(session, claim.run_id, claim.attempt, how="was ended by SIGSEGV"))
        with database.write() as session:
            claim = runs.claim(session, "w1", lease_seconds=LEASE) or claim

    row = row_of(database, claim.run_id)
    assert outcomes == ["queued"] * 4 + ["failed"]
    assert row.reason is not None
    assert row.reason["code"] == "worker_lost"
    assert "SIGSEGV" in row.reason["detail"]


def test_a_checkpoint_forgets_earlier_deaths(database: Database) -> None:
    claim = claimed(database)
    for _ in range(8):
        with database.write() as session:
            assert runs.note_death(session, claim.run_id, claim.attempt, how="died") == "queued"
        with database.write() as session:
            found = runs.claim(session, "w1", lease_seconds=LEASE)
            assert found is not None
            claim = found
            runs.fenced(session, claim.run_id, claim.attempt, deaths=0)


def test_given_back_a_run_goes_where_its_user_wanted_it(database: Database) -> None:
    claim = claimed(database)
    with database.write() as session:
        runs.wish(session, claim.run_id, "cancel_requested_at")

    with database.write() as session:
        status = runs.give_back(session, claim.run_id, claim.attempt, event="requeued", reason={})

    row = row_of(database, claim.run_id)
    assert status == row.status == "cancelled"
    assert row.finished_at is not None


def test_a_status_moves_only_from_where_it_was_thought_to_be(database: Database) -> None:
    with database.write() as session:
        run = factories.run(session)

    with database.write() as session:
        assert not runs.move(session, run.id, "paused", "queued")
        assert runs.move(session, run.id, ("queued", "paused"), "cancelled")
        assert not runs.move(session, run.id, ("queued", "paused"), "cancelled")


def test_events_are_numbered_without_gaps_by_many_at_once(database: Database) -> None:
    with database.write() as session:
        run_id = factories.run(session).id

    def log() -> None:
        for _ in range(20):
            with database.write() as session:
                events.append_all(session, run_id, [("warning", {}), ("epoch", {"epoch": 1})])

    threads = [threading.Thread(target=log) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.read() as session:
        found = events.after(session, run_id, 0, limit=1000)
        assert [event.sequence for event in found] == list(range(1, 121))


def test_a_worker_that_ended_leaves_its_finished_runs_alone(database: Database) -> None:
    claim = claimed(database)
    with database.write() as session:
        runs.end(session, claim.run_id, claim.attempt, "succeeded", {"code": "completed"})

    with database.write() as session:
        workers.forget(session, "w1")

    assert row_of(database, claim.run_id).status == "succeeded"


def test_pages_hold_while_rows_come_and_go(database: Database) -> None:
    with database.write() as session:
        ids = [factories.run(session).id for _ in range(4)]
    with database.read() as session:
        first = runs.listed(session, limit=2, cursor=None)
    with database.write() as session:
        factories.run(session)
        runs.move(session, ids[2], "queued", "cancelled")
        runs.delete_finished(session, ids[2])

    with database.read() as session:
        second = runs.listed(session, limit=9, cursor=first.next_cursor)

    assert [row.id for row in first.items] == [ids[3], ids[2]]
    assert [row.id for row in second.items] == [ids[1], ids[0]]
