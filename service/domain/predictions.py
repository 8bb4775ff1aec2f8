"""Predictions: the hot path. A checkpoint never changes, so its network is loaded once and kept while there is room."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from engine.data import Notices, Options, Stretch, stretches_of
from engine.errors import DataError
from engine.network import Evaluator
from engine.parameters import Array
from service.domain import checkpoints, runs
from service.domain.checkpoints import Moment
from service.domain.ingestion import bounds_of, file_problem
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


def question(content: Any, limits: Limits, at: str | None = None) -> Question:
    """The request's body, checked by hand: a schema would cost more than the prediction. `at` stands in its address."""
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
    moments += [] if at is None else [at]
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
    A, warnings = _outputs(moment, predictor.predict, Stretch(rows), Notices())
    return {
        "predictions": moment.preprocessing.decode(A, scores=moment.network.loss.scores),
        "checkpoint": moment.checkpoint_id,
        "warnings": list(warnings),
    }


def _outputs(
    moment: Moment, predict: Callable[[Array], Array], stretch: Stretch, notices: Notices
) -> tuple[Array, tuple[str, ...]]:
    """A[L] (m, n_out) of the rows of a stretch, and what should be said of them."""
    preprocessing, dtype = moment.preprocessing, moment.parameters.dtype
    if stretch.columns:
        encoded = preprocessing.encode_columns(stretch.columns, dtype=dtype, notices=notices)
    else:
        encoded = preprocessing.encode_rows(stretch.rows, dtype=dtype, notices=notices)
    check_inputs(moment.network, preprocessing, encoded.X)
    return predict(encoded.X), encoded.warnings


# Many rows ---------------------------------------------------------------------------------------------------------

STRETCH_ROWS = 4096
"""Rows of a file that are in memory at once, at most."""
LIMITS = {"decompressed_too_large": "decompressed_bytes", "json_too_large": "predict_bytes"}
"""The limit that an engine's error is about, by its code."""
_ROW = re.compile(r"rows\[(\d+)\]")


class Outputs:
    """A[L] (m, n_out) of rows, some at once, of one moment; `warnings` are of those that were given so far."""

    def __init__(self, moment: Moment, stretches: Callable[["Outputs"], Iterator[Array]]) -> None:
        self.moment = moment
        self.warnings: tuple[str, ...] = ()
        self._stretches = stretches

    def __iter__(self) -> Iterator[Array]:
        return self._stretches(self)


def outputs_of_rows(predictor: Predictor, rows: list[Any]) -> Outputs:
    """What a network says of rows that came in JSON."""

    def stretches(outputs: Outputs) -> Iterator[Array]:
        A, outputs.warnings = _outputs(outputs.moment, predictor.predict, Stretch(rows), Notices())
        yield A

    return Outputs(predictor.moment, stretches)


def outputs_of_file(moment: Moment, source: Path, media_type: str, *, options: Options, limits: Limits) -> Outputs:
    """What a network says of the rows of a file. Its stretches raise DataError, or a problem that names a limit."""
    features = {feature.name: feature.type for feature in moment.preprocessing.features}
    bounds = bounds_of(limits, json_bytes=limits.predict_bytes)
    # whole batches of the network, so that rows get the same bits as when they are all sent in JSON
    rows = STRETCH_ROWS - STRETCH_ROWS % moment.network.evaluation_rows
    of_file, notices = list[str](), Notices()

    def stretches(outputs: Outputs) -> Iterator[Array]:
        evaluator = Evaluator(moment.network, moment.parameters, rows=rows)
        found = stretches_of(source, media_type, features, rows=rows, options=options, bounds=bounds, warnings=of_file)
        try:
            for stretch in found:
                with _counted_from(notices.rows):
                    A, of_rows = _outputs(moment, evaluator.predict, stretch, notices)
                outputs.warnings = (*of_file, *of_rows)
                yield A
        except DataError as error:
            raise file_problem(error, limits, LIMITS) from error
        finally:
            found.close()
        if not notices.rows:
            raise DataError("file", "expected at least one row, got none", code="too_few_rows")

    return Outputs(moment, stretches)


@contextmanager
def _counted_from(first: int) -> Iterator[None]:
    """Let the rows that an error names be counted from the file's first, when those before number `first`."""
    try:
        yield
    except DataError as error:
        raise _later(error, first) from error


def _later(error: DataError, first: int) -> DataError:
    place = _ROW.sub(lambda match: f"rows[{first + int(match[1])}]", error.place, count=1)
    problems = [_later(each, first) for each in error.problems]
    return DataError(place, error.message, code=error.code, problems=problems)
