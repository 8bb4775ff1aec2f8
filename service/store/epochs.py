"""The reports of a run's epochs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.store.tables import EpochRow


def record(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store reports (`run_id, epoch, values, parameters_digest`); an epoch trained again replaces its report."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    statement = (postgresql_insert if dialect == "postgresql" else sqlite_insert)(EpochRow)
    replaced = {name: statement.excluded[name] for name in ("values", "parameters_digest")}
    complete = statement.on_conflict_do_update(index_elements=["run_id", "epoch"], set_=replaced)
    session.connection().execute(complete, list(rows))  # without the ORM, which would double the cost


def all_of(session: Session, run_id: str) -> list[tuple[int, dict[str, Any]]]:
    """Every epoch and its values, in order."""
    query = select(EpochRow.epoch, EpochRow.values).where(EpochRow.run_id == run_id).order_by(EpochRow.epoch)
    return [(epoch, values) for epoch, values in session.execute(query)]


def digests(session: Session, run_id: str) -> dict[int, str]:
    """The parameters' digest at each epoch's end."""
    query = select(EpochRow.epoch, EpochRow.parameters_digest).where(EpochRow.run_id == run_id)
    return {row[0]: row[1] for row in session.execute(query)}


def get(session: Session, run_id: str, epoch: int) -> EpochRow | None:
    """One epoch's report."""
    return session.get(EpochRow, (run_id, epoch))


def newest(session: Session, run_id: str, count: int) -> Sequence[EpochRow]:
    """The newest reports."""
    query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.epoch.desc()).limit(count)
    return session.scalars(query).all()


def first_from(session: Session, run_id: str, epoch: int) -> EpochRow | None:
    """The first report of an epoch or a later one."""
    query = select(EpochRow).where(EpochRow.run_id == run_id, EpochRow.epoch >= epoch)
    return session.scalar(query.order_by(EpochRow.epoch).limit(1))


def last(session: Session, run_id: str) -> int:
    """The newest epoch reported, 0 if none."""
    return session.scalar(select(func.max(EpochRow.epoch)).where(EpochRow.run_id == run_id)) or 0


def copy(session: Session, source: str, target: str, *, up_to: int) -> None:
    """Give a run the reports of another up to an epoch."""
    columns = (EpochRow.epoch, EpochRow.values, EpochRow.parameters_digest)
    query = select(*columns).where(EpochRow.run_id == source, EpochRow.epoch <= up_to)
    rows = [
        {"run_id": target, "epoch": epoch, "values": values, "parameters_digest": digest}
        for epoch, values, digest in session.execute(query)
    ]
    if rows:
        session.execute(insert(EpochRow), rows)
