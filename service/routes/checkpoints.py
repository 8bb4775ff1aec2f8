"""The stored moments of a run, and its weights at each."""

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from service.dependencies import CheckpointId, Cursor, Limit, ReadSession, RunId
from service.domain import checkpoints, runs
from service.domain.checkpoints import FORMATS, Moment
from service.negotiation import accepted
from service.problems import errors_of
from service.schemas.base import PageBody
from service.schemas.checkpoints import CheckpointBody, WeightsBody
from service.store import checkpoints as store

router = APIRouter(prefix="/v1/runs/{run_id}/checkpoints", tags=["runs"])

MEDIA_TYPES = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "application/x-npz": "npz",
    "application/vnd.safetensors": "safetensors",
    "application/x-safetensors": "safetensors",
    "application/octet-stream": "safetensors",
}
"""What a client may accept, and which format it gets."""

BINARY = {"schema": {"type": "string", "format": "binary"}}
WEIGHTS = {
    200: {"content": {media_type: BINARY for media_type, _ in FORMATS.values()}},
    **errors_of(404, 406, 422),
}


@router.get("", responses=errors_of(400, 404, 422))
def list_checkpoints(
    run_id: RunId, session: ReadSession, limit: Limit = 50, cursor: Cursor = None
) -> PageBody[CheckpointBody]:
    """Every stored moment, the furthest in training first."""
    runs.row_of(session, run_id)
    page = store.listed(session, run_id, limit=limit, cursor=cursor)
    return PageBody(items=[CheckpointBody.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{checkpoint_id}/weights", response_model=WeightsBody, responses=WEIGHTS)
def get_weights(
    run_id: RunId,
    checkpoint_id: CheckpointId,
    session: ReadSession,
    format: Annotated[Literal["json", "npz", "safetensors"] | None, Query(description="Instead of Accept.")] = None,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """W and b of every layer at a checkpoint, or at `best`, `last` or `epoch:3`, as JSON, npz or safetensors."""
    form = format or accepted(accept, MEDIA_TYPES)
    at = checkpoint_id if checkpoint_id in ("best", "last") or ":" in checkpoint_id else f"checkpoint:{checkpoint_id}"
    moment = checkpoints.moment(session, runs.row_of(session, run_id), at)
    if form == "json":
        return Response(_as_json(moment), media_type="application/json")
    media_type, write = FORMATS[form]
    name = f"{run_id}-{moment.checkpoint_id}.{form}"
    return Response(write(moment), 200, {"Content-Disposition": f'attachment; filename="{name}"'}, media_type)


def _as_json(moment: Moment) -> bytes:
    views = moment.network.views(moment.parameters)
    return orjson.dumps(
        {
            "run": moment.run_id,
            "checkpoint": moment.checkpoint_id,
            "epoch": moment.epoch,
            "step": moment.step,
            "dtype": moment.parameters.dtype.name,
            "parameters": {name: {"shape": view.shape, "values": view} for name, view in views.items()},
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
