from itertools import pairwise

import pytest
from sqlalchemy import func, select, update

from service.store import checkpoints, epochs, runs
from service.store.database import Database
from service.store.tables import CheckpointBytesRow, EpochRow
from tests.store import factories


def test_bytes_come_back_as_they_were(database: Database) -> None:
    content = bytes(range(256)) * 1000
    with database.write() as session:
        row = factories.checkpoint(session, factories.run(session).id, 1, content)

    with database.read() as session:
        assert checkpoints.content(session, row) == content


def test_one_turned_bit_is_noticed(database: Database) -> None:
    with database.write() as session:
        row = factories.checkpoint(session, factories.run(session).id, 1, b"bytes")
        session.execute(update(CheckpointBytesRow).values(content=b"bytfs"))

    with database.read() as session, pytest.raises(checkpoints.DamagedCheckpoint, match="expected 5 bytes with SHA"):
        checkpoints.content(session, row)


def test_a_run_has_one_best_checkpoint(database: Database) -> None:
    with database.write() as session:
        run_id = factories.run(session).id
        for epoch in (1, 2, 3):
            factories.checkpoint(session, run_id, epoch, is_best=epoch < 3)

    with database.read() as session:
        found = [(row.epoch, row.is_best) for row in checkpoints.of_run(session, run_id)]

    assert found == [(3, False), (2, True), (1, False)]


@pytest.mark.parametrize(
    ("keep", "room", "kept"),
    [(2, 10**9, [10, 9, 8, 6, 3]), (99, 10**9, [10, 9, 8, 6, 4, 3, 2]), (99, 25, [10, 9, 8, 6, 3])],
)
def test_pruning_keeps_best_last_the_one_before_and_periodic_ones_that_fit(
    database: Database, keep: int, room: int, kept: list[int]
) -> None:
    with database.write() as session:
        run_id = factories.run(session).id
        for epoch in range(1, 11):
            factories.checkpoint(session, run_id, epoch, is_periodic=epoch % 2 == 0, is_best=epoch == 3)
        checkpoints.prune(
            session, run_id, keep_periodic=keep, maximum_bytes=room, waypoint_bytes=room, steps_per_epoch=10
        )
        found = [row.epoch for row in checkpoints.of_run(session, run_id)]
        stored = session.scalar(select(func.count()).select_from(CheckpointBytesRow))

    assert found == kept
    assert stored == len(kept)


@pytest.mark.parametrize(
    ("room", "kept"), [(10**9, list(range(1, 101))), (400, [1, 3, 5, 7, 9]), (0, [1])], ids=["all", "some", "least"]
)
def test_waypoints_that_do_not_fit_are_thinned_to_lie_evenly_apart(
    database: Database, room: int, kept: list[int]
) -> None:
    with database.write() as session:
        run_id = factories.run(session).id
        for epoch in range(1, 101):
            factories.checkpoint(session, run_id, epoch, is_waypoint=True)
        checkpoints.prune(
            session, run_id, keep_periodic=0, maximum_bytes=10**9, waypoint_bytes=room, steps_per_epoch=10
        )
        found = sorted(row.epoch for row in checkpoints.of_run(session, run_id))

    assert found[: len(kept)] == kept
    assert found[-2:] == [99, 100], "the last and the one before stay"
    gaps = {b - a for a, b in pairwise(found[:-2])}
    assert len(gaps) <= 2


def test_an_epoch_trained_again_replaces_its_report(database: Database) -> None:
    with database.write() as session:
        run_id = factories.run(session).id
        for value in (1.0, 2.0):
            rows = [{"run_id": run_id, "epoch": 1, "values": {"train.loss": value}, "parameters_digest": "d"}]
            epochs.record(session, rows)

    with database.read() as session:
        assert [values for _, values in epochs.all_of(session, run_id)] == [{"train.loss": 2.0}]


def test_a_deleted_run_takes_all_its_rows_with_it(database: Database) -> None:
    with database.write() as session:
        run_id = factories.run(session, status="succeeded", tags=("a",)).id
        factories.checkpoint(session, run_id, 1)
        epochs.record(session, [{"run_id": run_id, "epoch": 1, "values": {}, "parameters_digest": "d"}])

    with database.write() as session:
        assert runs.delete_finished(session, run_id)

    with database.read() as session:
        for row in (CheckpointBytesRow, EpochRow):
            assert session.scalar(select(func.count()).select_from(row)) == 0
