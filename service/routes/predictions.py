"""Predictions: the hot route, so it reads and writes raw JSON, in threads of its own.

Which checkpoint is the best is the database's to say each time, and a read there can take its time. So one thread does
all of a request, and writers who wait in other routes' threads are not in its way.
"""

import orjson
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.datastructures import State
from starlette.responses import Response

from service.dependencies import RunId
from service.domain import predictions
from service.errors import BadRequest
from service.problems import errors_of
from service.schemas.predictions import PredictionsBody, PredictRequest

router = APIRouter(prefix="/v1/runs/{run_id}/predict", tags=["predictions"])

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
    body, state = await request.body(), request.app.state
    content = await run_sync(_answer, body, run_id, state, limiter=state.prediction_threads)
    return Response(content, media_type="application/json")


def _answer(body: bytes, run_id: str, state: State) -> bytes:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="not_json") from error
    question = predictions.question(content, state.settings.limits)
    predictor = state.predictors.at(state.database, run_id, question.at)
    return orjson.dumps(predictions.answer(predictor, question.rows), option=orjson.OPT_SERIALIZE_NUMPY)
