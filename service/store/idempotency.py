"""Answers once given to requests with an Idempotency-Key."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from service.store.tables import IdempotencyRow

KEEP = timedelta(days=7)


def find(session: Session, key: str, route: str) -> IdempotencyRow | None:
    """What is known of the key."""
    return session.get(IdempotencyRow, (key, route))


def record(
    session: Session, key: str, route: str, *, body_sha256: str, status: int, headers: dict[str, Any], body: bytes
) -> None:
    """Keep an answer with the transaction that made it true, and drop old ones."""
    now = datetime.now(UTC)
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now - KEEP))
    session.add(
        IdempotencyRow(
            key=key, route=route, body_sha256=body_sha256, status=status, headers=headers, body=body, created_at=now
        )
    )
    session.flush()
