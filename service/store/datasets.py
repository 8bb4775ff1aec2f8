"""Datasets in the database. Their typed columns are files, which the domain looks after."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store.pages import Page, page
from service.store.tables import DatasetRow, RunRow


def add(session: Session, row: DatasetRow) -> None:
    """Add a dataset. A twin of the same content is an IntegrityError at once."""
    session.add(row)
    session.flush()


def get(session: Session, dataset_id: str) -> DatasetRow | None:
    """The dataset of this id."""
    return session.get(DatasetRow, dataset_id)


def find_by_content(session: Session, sha256: str, schema_sha256: str) -> DatasetRow | None:
    """The dataset made of the same bytes with the same schema."""
    return session.scalar(
        select(DatasetRow).where(DatasetRow.sha256 == sha256, DatasetRow.schema_sha256 == schema_sha256)
    )


def newest(session: Session, *, limit: int, cursor: str | None) -> Page[DatasetRow]:
    """Datasets, newest first."""
    return page(
        session,
        select(DatasetRow),
        keys=(DatasetRow.created_at, DatasetRow.id),
        descending=True,
        limit=limit,
        cursor=cursor,
    )


def runs_of(session: Session, dataset_id: str) -> Sequence[RunRow]:
    """Every run that uses the dataset, newest first."""
    return session.scalars(
        select(RunRow).where(RunRow.dataset_id == dataset_id).order_by(RunRow.created_at.desc())
    ).all()


def names_of(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """The names of some datasets."""
    query = select(DatasetRow.id, DatasetRow.name).where(DatasetRow.id.in_(ids))
    return {row[0]: row[1] for row in session.execute(query)}


def run_count(session: Session, dataset_id: str) -> int:
    """How many runs use the dataset."""
    return session.scalar(select(func.count()).where(RunRow.dataset_id == dataset_id)) or 0


def newest_runs(session: Session, dataset_id: str, *, limit: int) -> Sequence[RunRow]:
    """The newest runs that use the dataset."""
    query = select(RunRow).where(RunRow.dataset_id == dataset_id)
    return session.scalars(query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit)).all()


def delete(session: Session, row: DatasetRow) -> None:
    """Delete a dataset that no run uses."""
    session.delete(row)
    session.flush()


def ids(session: Session) -> set[str]:
    """Every dataset's id."""
    return set(session.scalars(select(DatasetRow.id)))
