"""Predictions: the hot route, so it reads and writes raw JSON and stays on the event loop for small batches."""

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.dependencies import RunId
from service.domain import predictions
from service.errors import BadRequest
from service.problems import errors_of
from service.schemas.predictions import PredictionsBody, PredictRequest

router = APIRouter(prefix="/v1/runs/{run_id}/predict", tags=["predictions"])

SMALL_ROWS = 256
"""Larger batches are computed in a thread."""
DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}"),
            }
        },
    }
}


@router.post("", response_model=PredictionsBody, responses=errors_of(400, 404, 413, 422), openapi_extra=DOCUMENTED)
async def predict(run_id: RunId, request: Request) -> Response:
    """What the network says of each row: a label with probabilities, or a value in the target's own unit.

    Rows are objects by column name, in any order, or arrays in the order of the run's features. Any run with a
    checkpoint can be asked, also while it trains.
    """
    state = request.app.state
    try:
        content = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="not_json") from error
    question = predictions.question(content, state.settings.limits)
    if len(question.rows) <= SMALL_ROWS:
        return _answered(request, run_id, question)
    return await run_in_threadpool(_answered, request, run_id, question)


def _answered(request: Request, run_id: str, question: predictions.Question) -> Response:
    state = request.app.state
    moment = state.moments.at(state.database, run_id, question.at)
    content = orjson.dumps(predictions.answer(moment, question.rows), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json")
