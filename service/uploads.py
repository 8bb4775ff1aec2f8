"""Uploads: bodies that are files, streamed to the disk block by block, and what the documentation says of them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from engine.data import ANY, READERS
from service.forms import MEDIA_TYPE as FORM
from service.forms import FileForm

BLOCK_BYTES = 1024 * 1024
BINARY = {"schema": {"type": "string", "format": "binary"}}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "text/csv": {"schema": {"type": "string"}, "example": "x,y\n1,a\n2,b\n3,a\n"},
    "text/tab-separated-values": {"schema": {"type": "string"}, "example": "x\ty\n1\ta\n2\tb\n3\ta\n"},
    "application/json": {
        "schema": {"type": "object"},
        "example": {"columns": {"x": [1, 2, 3], "y": ["a", "b", "a"]}},
    },
    "application/x-ndjson": {"schema": {"type": "string"}, "example": '{"x": 1, "y": "a"}\n{"x": 2, "y": "b"}\n'},
    "application/jsonl": {"schema": {"type": "string"}, "example": '{"x": 1, "y": "a"}\n{"x": 2, "y": "b"}\n'},
}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
        "additionalProperties": False,
    }
}
FILES = {**{media_type: _EXAMPLES.get(media_type, BINARY) for media_type in (*READERS, ANY)}, FORM: _FORM}
"""A body that is a file, by media type, for a route's documentation."""


async def receive(request: Request, source: Path, form: FileForm | None) -> tuple[str, int]:
    """Write the body, or the file in its form, to a new file; gives its SHA-256 and size."""
    file = await run_in_threadpool(source.open, "xb")
    digest, size, block = sha256(), 0, bytearray()
    try:
        async for chunk in request.stream():
            block += form.feed(chunk) if form else chunk
            if len(block) >= BLOCK_BYTES or not chunk:  # an empty one is the last
                content = bytes(block)
                await run_in_threadpool(file.write, content)
                digest.update(content)
                size += len(content)
                block.clear()
    finally:
        await run_in_threadpool(file.close)
    if form:
        form.finish()
    return digest.hexdigest(), size
