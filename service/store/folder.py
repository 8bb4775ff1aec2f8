"""The data folder that the database belongs to."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.tables import FolderRow


def get(session: Session) -> str | None:
    """The folder's id; None for a database that belongs to none yet."""
    return session.scalar(select(FolderRow.id))


def put(session: Session, folder_id: str) -> None:
    """Let the database belong to this folder and no other."""
    session.execute(delete(FolderRow))
    session.add(FolderRow(id=folder_id))
    session.flush()
