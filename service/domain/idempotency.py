"""Idempotency: a request with a key is answered once, and the same answer is given again."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.errors import Fault, Parameter, Unprocessable
from service.store import idempotency as store


@dataclass(frozen=True)
class Answer:
    """What was answered, to be given again."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def replay(session: Session, key: str, route: str, body_sha256: str) -> Answer | None:
    """The answer once given under the key, or None. Unprocessable if it was given to another body."""
    known = store.find(session, key, route)
    if known is None:
        return None
    if known.body_sha256 != body_sha256:
        detail = "this key was used with another body; choose a new one"
        fault = Fault(Parameter("header", "Idempotency-Key"), "idempotency_key_reused", detail)
        raise Unprocessable(f"Idempotency-Key: {detail}.", code="idempotency_key_reused", errors=[fault])
    headers = {**known.headers, "Idempotency-Replayed": "true"}
    return Answer(known.status, headers, known.body)


def record(session: Session, key: str, route: str, body_sha256: str, answer: Answer) -> None:
    """Keep an answer, in the transaction that made it true."""
    store.record(
        session,
        key,
        route,
        body_sha256=body_sha256,
        status=answer.status,
        headers=dict(answer.headers),
        body=answer.body,
    )
