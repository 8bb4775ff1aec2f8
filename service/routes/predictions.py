"""Predictions. A plain question in JSON is the hot route: it reads and writes raw JSON, in threads of its own.

Which checkpoint is the best is the database's to say each time, and a read there can take its time. So one thread does
all of a request, and writers who wait in other routes' threads are not in its way.

All else comes as files do, and is answered in stretches while it is read.
"""

import json
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Query, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, State
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from engine.data import Options
from service.dependencies import MediaType, RowOptions, RunId, SettingsDep
from service.domain import predictions
from service.domain.answers import FORMATS
from service.domain.datasets import UPLOADS, remove_upload
from service.domain.predictions import Outputs, Predictor
from service.errors import BadRequest, Fault, Parameter, Unprocessable
from service.forms import MEDIA_TYPE as FORM
from service.forms import FileForm
from service.ids import new_id
from service.negotiation import accepted
from service.problems import errors_of
from service.schemas.base import NO_NUL
from service.schemas.predictions import PredictionsBody, PredictRequest
from service.uploads import BINARY, FILES, receive

router = APIRouter(prefix="/v1/runs/{run_id}/predict", tags=["predictions"])

JSON = "application/json"
MEDIA_TYPES = {
    JSON: "json",
    "application/*": "json",
    "*/*": "json",
    "text/csv": "csv",
    "text/*": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/x-npy": "npy",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
"""What a client may accept, and which format it gets."""
HEADER_BYTES = 4000
"""Of the warnings in a header."""

QUESTION = {"schema": PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")}
DOCUMENTED = {"requestBody": {"required": True, "content": {**FILES, JSON: QUESTION}}}
HEADERS = {
    "Chainrule-Checkpoint": "The checkpoint that predicted, where the body has no place for it.",
    "Chainrule-Warnings": "What is to be said of the rows, where the body has no place for it: a JSON list.",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {media_type: BINARY for media_type, _ in FORMATS.values() if media_type != JSON},
        "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()},
    },
    **errors_of(400, 404, 406, 413, 415, 422, 507),
}


class _PlainQuestion(APIRoute):
    """Matches what is asked in JSON, and to be answered in JSON, with nothing said in the address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.NONE, {}) if match is Match.FULL and not _is_plain(scope) else (match, child_scope)


def _is_plain(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == JSON
    first = headers.get("accept", "*/*").partition(",")[0].strip()
    return is_json and not scope["query_string"] and first in (JSON, "*/*")


async def predict_plainly(run_id: RunId, request: Request) -> Response:
    """The hot route."""
    body, state = await request.body(), request.app.state
    content = await run_sync(_answer, body, run_id, state, limiter=state.prediction_threads)
    return Response(content, media_type=JSON)


router.add_api_route(
    "", predict_plainly, methods=["POST"], include_in_schema=False, route_class_override=_PlainQuestion
)


@router.post("", response_model=PredictionsBody, responses=ANSWERS, openapi_extra=DOCUMENTED)
async def predict(
    run_id: RunId,
    request: Request,
    media_type: MediaType,
    options: RowOptions,
    settings: SettingsDep,
    checkpoint: Annotated[
        str | None,
        Query(max_length=100, pattern=NO_NUL, description="best (default), last, epoch:3, checkpoint:ckpt_…"),
    ] = None,
    at: Annotated[
        str | None, Query(max_length=100, pattern=NO_NUL, description="Another word for `checkpoint`.")
    ] = None,
    format: Annotated[
        Literal["json", "csv", "arrow", "npy", "ndjson"] | None, Query(description="Instead of Accept.")
    ] = None,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """What the network says of each row: a label with probabilities, or a value in the target's own unit.

    Rows come as JSON, objects by column name in any order or arrays in the order of the run's features, or as a file
    of any format that datasets take. Any run with a checkpoint can be asked, also while it trains.
    """
    form, moment = format or accepted(accept, MEDIA_TYPES), _moment(checkpoint, at)
    state, scratch = request.app.state, settings.data / UPLOADS
    if media_type == JSON:
        body = await request.body()
        outputs = await run_sync(_outputs, body, run_id, state, moment, options, limiter=state.prediction_threads)
        return await _streamed(outputs, form, scratch, None, state)
    predictor = await run_sync(
        state.predictors.at, state.database, run_id, moment or "best", limiter=state.prediction_threads
    )
    source = scratch / new_id("upload")
    try:
        kind = await _received(request, media_type, source)
    except BaseException:
        remove_upload(source)
        raise
    outputs = predictions.outputs_of_file(predictor.moment, source, kind, options=options, limits=settings.limits)
    return await _streamed(outputs, form, scratch, source, state)


def _answer(body: bytes, run_id: str, state: State) -> bytes:
    question = predictions.question(_parsed(body), state.settings.limits)
    predictor = state.predictors.at(state.database, run_id, question.at)
    return orjson.dumps(predictions.answer(predictor, question.rows), option=orjson.OPT_SERIALIZE_NUMPY)


def _outputs(body: bytes, run_id: str, state: State, at: str | None, options: Options) -> Outputs:
    if said := [name for name, value in vars(options).items() if value != getattr(Options(), name)]:
        detail = f"expected none for {JSON}, which is read in one way alone"
        raise Unprocessable(f"{said[0]}: {detail}.", errors=[Fault(Parameter("query", said[0]), "invalid", detail)])
    question = predictions.question(_parsed(body), state.settings.limits, at)
    predictor: Predictor = state.predictors.at(state.database, run_id, question.at)
    return predictions.outputs_of_rows(predictor, question.rows)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="not_json") from error


def _moment(checkpoint: str | None, at: str | None) -> str | None:
    if checkpoint is not None and at is not None and checkpoint != at:
        detail = "expected one of checkpoint and at, got two that differ"
        raise Unprocessable(f"{detail}.", errors=[Fault(Parameter("query", "at"), "invalid", detail)])
    return checkpoint or at


async def _received(request: Request, media_type: str, source: Path) -> str:
    """Stream the body to a file; gives the file's media type."""
    form = FileForm(request.headers["content-type"]) if media_type == FORM else None
    await receive(request, source, form)
    return form.media_type if form else media_type


# Answers in stretches ----------------------------------------------------------------------------------------------


async def _streamed(outputs: Outputs, form: str, scratch: Path, source: Path | None, state: State) -> Response:
    """The answer in a format, once its first bytes are there: what is wrong before them is a problem like any other."""
    media_type, write = FORMATS[form]
    answer = _Answer(write(outputs, scratch), source, state)
    await answer.begin()
    has_place = form == "json"
    about = {"Chainrule-Checkpoint": outputs.moment.checkpoint_id, "Chainrule-Warnings": _listed(outputs.warnings)}
    return _Streamed(answer, media_type, {} if has_place else about)


class _Answer:
    """The bytes of an answer, made in threads as they are sent."""

    def __init__(self, blocks: Generator[bytes], source: Path | None, state: State) -> None:
        self._blocks, self._source, self._turns = blocks, source, state.turns["stretch"]
        self._first = b""

    async def begin(self) -> None:
        """Make the first bytes. What can't be ends it."""
        try:
            self._first = await self._next() or b""
        except BaseException:
            self.close()
            raise

    async def rest(self) -> AsyncIterator[bytes]:
        """All bytes from the first on. An error breaks the answer off, so that it does not look like a whole one."""
        yield self._first
        while (block := await self._next()) is not None:
            yield block

    def close(self) -> None:
        """Remove what was received and made."""
        self._blocks.close()
        if self._source is not None:
            remove_upload(self._source)

    async def _next(self) -> bytes | None:
        return await run_sync(next, self._blocks, None, limiter=self._turns)


class _Streamed(StreamingResponse):
    """An answer that is sent in stretches, and cleaned up however that ends."""

    def __init__(self, answer: _Answer, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(answer.rest(), media_type=media_type, headers=headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()


def _listed(warnings: tuple[str, ...]) -> str:
    """Warnings as a JSON list in ASCII that fits into a header; the last item counts those that do not."""
    kept = list(warnings)
    while len(found := json.dumps(kept + _more(len(warnings) - len(kept)))) > HEADER_BYTES:
        kept.pop()
    return found


def _more(count: int) -> list[str]:
    return [f"and {count} more"] if count else []
