"""Digests of a run's parameters between its epochs' ends: a moment and the first bytes of a SHA-256, side by side."""

import struct
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.store.tables import StepDigestsRow

DIGEST_BYTES = 16
_RECORD = struct.Struct(f"<q{DIGEST_BYTES}s")

Noted = tuple[int, bytes]
"""How many steps were done, and the digest then."""


def record(session: Session, run_id: str, noted: Sequence[Noted]) -> None:
    """Store digests, in the order of their moments; what was stored of the same stretch gives way."""
    if not noted:
        return
    forget_behind(session, run_id, noted[0][0] - 1)
    content = b"".join(_RECORD.pack(moment, digest) for moment, digest in noted)
    session.add(StepDigestsRow(run_id=run_id, last_moment=noted[-1][0], content=content))
    session.flush()


def forget_behind(session: Session, run_id: str, moment: int) -> None:
    """Delete the stretches that reach behind a moment, from which the run goes on."""
    behind = (StepDigestsRow.run_id == run_id, StepDigestsRow.last_moment > moment)
    session.execute(delete(StepDigestsRow).where(*behind).execution_options(synchronize_session=False))


def first_from(session: Session, run_id: str, moment: int) -> Noted | None:
    """The first digest at a moment or behind it."""
    at_or_behind = (StepDigestsRow.run_id == run_id, StepDigestsRow.last_moment >= moment)
    query = select(StepDigestsRow.content).where(*at_or_behind).order_by(StepDigestsRow.last_moment).limit(1)
    content = session.scalar(query)
    noted = [] if content is None else _RECORD.iter_unpack(content)
    return next(((int(at), bytes(digest)) for at, digest in noted if at >= moment), None)
