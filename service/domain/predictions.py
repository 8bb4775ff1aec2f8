"""Predictions: the hot path. A checkpoint never changes, so its network is loaded once and kept while there is room."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from engine.network import Evaluator
from engine.parameters import Array
from service.domain import checkpoints, runs
from service.domain.checkpoints import Moment
from service.domain.inputs import check_inputs
from service.errors import Fault, TooLarge, Unprocessable, pointer
from service.settings import Limits
from service.store.database import Database

KEPT_BYTES = 256 * 1024 * 1024
FEW_ROWS = 64
"""Up to so many rows are predicted in arrays that are kept for the next request."""
FIELDS = ("rows", "checkpoint", "at")


class Predictor:
    """A network at a moment, ready to predict."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self._few = Evaluator(moment.network, moment.parameters, rows=FEW_ROWS)
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """About what it takes of memory."""
        parameters = self.moment.parameters
        return parameters.nbytes + FEW_ROWS * sum(self.moment.network.widths) * parameters.itemsize

    def predict(self, X: Array) -> Array:
        """A[L] (m, n_out) of the rows X (m, n_in)."""
        if len(X) > min(FEW_ROWS, self.moment.network.evaluation_rows):
            return self.moment.network.predict(self.moment.parameters, X)
        with self._lock:
            return self._few.predict(X)


class Predictors:
    """The most recently used networks, up to a number of bytes."""

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self.room = room
        self._kept: OrderedDict[str, Predictor] = OrderedDict()
        self._lock = Lock()

    def at(self, database: Database, run_id: str, at: str) -> Predictor:
        """A run's network at a moment. Asks the database each time which checkpoint that is: workers store new ones."""
        with database.read() as session:
            checkpoint_id = checkpoints.id_of(session, run_id, at)
            with self._lock:
                kept = self._kept.get(checkpoint_id)
                if kept is not None:
                    self._kept.move_to_end(checkpoint_id)
                    return kept
            moment = checkpoints.moment(session, runs.row_of(session, run_id), f"checkpoint:{checkpoint_id}")
        predictor = Predictor(moment)
        with self._lock:
            self._kept[checkpoint_id] = predictor
            while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > self.room:
                self._kept.popitem(last=False)
        return predictor


@dataclass(frozen=True)
class Question:
    """Rows to predict at a moment of a run."""

    rows: list[Any]
    at: str


def question(content: Any, limits: Limits) -> Question:
    """The request's body, checked by hand: a schema would cost more than the prediction."""
    if not isinstance(content, dict):
        raise Unprocessable(
            "The body: expected an object with rows.", errors=[Fault("", "wrong_type", 'expected {"rows": [...]}')]
        )
    faults = [
        Fault(pointer([name[:100]]), "extra_forbidden", "there is no such field", FIELDS)
        for name in content
        if name not in FIELDS
    ]
    rows: Any = content.get("rows")
    if not isinstance(rows, list) or not rows:
        faults.append(Fault("/rows", "wrong_type", "expected a list with at least one row"))
    moments = [content[name] for name in ("checkpoint", "at") if content.get(name) is not None]
    if any(not isinstance(moment, str) for moment in moments) or len(set(map(str, moments))) > 1:
        faults.append(Fault("/checkpoint", "wrong_type", "expected one text such as best, last or epoch:3"))
    if faults:
        raise Unprocessable(f"{faults[0].place}: {faults[0].detail}.", errors=faults)
    if len(rows) > limits.predict_rows:
        raise TooLarge(
            f"{len(rows)} rows are more than the {limits.predict_rows} that one request may predict.",
            limit="predict_rows",
            maximum=limits.predict_rows,
        )
    return Question(rows, moments[0] if moments else "best")


def answer(predictor: Predictor, rows: list[Any]) -> dict[str, Any]:
    """Predictions for the rows, in words. Raises DataError for rows that do not fit."""
    moment = predictor.moment
    encoded = moment.preprocessing.encode_rows(rows, dtype=moment.parameters.dtype)
    check_inputs(moment.network, moment.preprocessing, encoded.X)
    A = predictor.predict(encoded.X)
    return {
        "predictions": moment.preprocessing.decode(A, scores=moment.network.loss.scores),
        "checkpoint": moment.checkpoint_id,
        "warnings": list(encoded.warnings),
    }
