"""Tensors in an answer: reduced for whoever looks at them, or as they are in files that other programs read."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from engine.checkpoints import export
from engine.data.writers import arrow_stream
from engine.inspection import REDUCTIONS
from engine.inspection.reductions import Reduced, sliced
from engine.parameters import Array
from service.errors import Fault, Parameter, TooLarge, Unprocessable
from service.settings import Limits

ELSEWHERE = (
    "ask for less, for reduce stats, norm, hist, topk or slice, or accept application/x-npz, "
    "application/vnd.safetensors or application/vnd.apache.arrow.stream"
)


@dataclass(frozen=True)
class TensorAnswer:
    """Tensors, and all that is said beside them."""

    about: dict[str, Any]
    arrays: dict[str, Array]
    reduction: Mapping[str, Any] | None
    """Its `type` and options; None is stats, or in files the tensors as they are."""
    reduction_place: str | Parameter = "/reduce"
    names_place: str | Parameter = "/quantities"
    """Where a request says how they are reduced, and which they are."""

    def reduced(self) -> dict[str, Reduced]:
        """Each tensor's reduction, by name."""
        options = dict(self.reduction or {"type": "stats"})
        reduce = REDUCTIONS[options.pop("type")]
        return {name: reduce(array, **options) for name, array in self.arrays.items()}

    def whole(self, media_type: str) -> dict[str, Array]:
        """The tensors, or the same slice of each. Unprocessable for another reduction."""
        options = dict(self.reduction or {"type": "full"})
        kind = options.pop("type")
        if kind not in ("full", "slice"):
            detail = f"{media_type} holds tensors as they are; expected full, slice or nothing, got {kind}"
            fault = Fault(self.reduction_place, "invalid", detail, ("full", "slice"))
            raise Unprocessable(f"reduce: {detail}.", errors=[fault])
        return {name: sliced(array, **options) for name, array in self.arrays.items()}


def write(answer: TensorAnswer, form: str, limits: Limits) -> bytes:
    """The answer in one of the forms. TooLarge for one that holds more than it may."""
    media_type, writer = FORMATS[form]
    return writer(answer, media_type, limits)


def is_whole(reduction: Mapping[str, Any] | None, form: str) -> bool:
    """Whether an answer in this form holds every element."""
    return reduction["type"] == "full" if reduction else form not in ("json", "arrow")


def check_size(count: int, itemsize: int, form: str, limits: Limits) -> None:
    """TooLarge for an answer of so many elements, before they are computed."""
    if form == "json":
        check_numbers(count, limits)
    else:
        check_bytes(count * itemsize, limits)


def check_numbers(count: int, limits: Limits) -> None:
    """TooLarge for a JSON answer of more numbers than it may hold."""
    if count > limits.inspect_numbers:
        detail = f"The answer would hold {count} numbers in JSON, at most {limits.inspect_numbers} are allowed"
        raise TooLarge(f"{detail}; {ELSEWHERE}.", limit="inspect_numbers", maximum=limits.inspect_numbers)


def check_bytes(count: int, limits: Limits) -> None:
    """TooLarge for a file of more bytes than it may have."""
    if count > limits.inspect_answer_bytes:
        detail = f"The answer would hold {count} bytes, at most {limits.inspect_answer_bytes} are allowed"
        raise TooLarge(f"{detail}; ask for less.", limit="inspect_answer_bytes", maximum=limits.inspect_answer_bytes)


def _bytes(arrays: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in arrays.values())


def _as_json(answer: TensorAnswer, media_type: str, limits: Limits) -> bytes:
    tensors = answer.reduced()
    check_numbers(sum(map(_count, tensors.values())), limits)
    return orjson.dumps({**answer.about, "tensors": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)


def _count(tensor: Reduced) -> int:
    """How many numbers a reduction lists."""
    values = tensor.get("values")
    listed = values.size if isinstance(values, np.ndarray) else 0
    return listed + sum(len(tensor.get(name, ())) for name in ("edges", "counts", "top"))


def _as_arrow(answer: TensorAnswer, media_type: str, limits: Limits) -> bytes:
    """A row for each tensor, a column for each thing that is said of it; values lie flat, row by row."""
    tensors = answer.reduced()
    values = {name: _flat(tensor["values"]) for name, tensor in tensors.items() if "values" in tensor}
    check_bytes(_bytes(values), limits)
    names = dict.fromkeys(key for tensor in tensors.values() for key in tensor)
    columns = {name: [tensor.get(name) for tensor in tensors.values()] for name in names}
    if values:
        columns["values"] = [values.get(name) for name in tensors]
    return arrow_stream({"tensor": [*tensors], **columns}, answer.about)


def _flat(values: Any) -> Array:
    return np.atleast_1d(np.asarray(values, None if isinstance(values, np.ndarray) else np.float64)).ravel()


def _as_npy(answer: TensorAnswer, media_type: str, limits: Limits) -> bytes:
    arrays = answer.whole(media_type)
    if len(arrays) != 1:
        detail = f"{media_type} holds one tensor, and these are {len(arrays)}; ask for one, or accept application/x-npz"
        raise Unprocessable(f"{detail}.", errors=[Fault(answer.names_place, "not_one", detail, tuple(arrays)[:100])])
    check_bytes(_bytes(arrays), limits)
    [array] = arrays.values()
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _as_npz(answer: TensorAnswer, media_type: str, limits: Limits) -> bytes:
    arrays = answer.whole(media_type)
    check_bytes(_bytes(arrays), limits)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _as_safetensors(answer: TensorAnswer, media_type: str, limits: Limits) -> bytes:
    arrays = answer.whole(media_type)
    check_bytes(_bytes(arrays), limits)
    return export(arrays, answer.about)


FORMATS: dict[str, tuple[str, Callable[[TensorAnswer, str, Limits], bytes]]] = {
    "json": ("application/json", _as_json),
    "arrow": ("application/vnd.apache.arrow.stream", _as_arrow),
    "npy": ("application/x-npy", _as_npy),
    "npz": ("application/x-npz", _as_npz),
    "safetensors": ("application/vnd.safetensors", _as_safetensors),
}
"""Each form's media type, and what writes it."""

LONG = ("example_losses", "row_numbers", "names", "parameters", "boundaries", "tensors")
"""What is said of each row, parameter and boundary: too much for a header."""


def header(answer: TensorAnswer) -> str:
    """What is said beside the tensors, as JSON in ASCII, for a form that has no other place for it."""
    return json.dumps({name: value for name, value in answer.about.items() if name not in LONG})
