"""Checkpoints: everything that continues a training bit for bit, as the bytes of a safetensors file.

The flat vectors are tensors; the counters and sums are JSON in the file's metadata, where floats keep every bit. The
loss history is not in it: whoever stores a checkpoint stores the epochs' reports with it.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from engine.errors import CheckpointError
from engine.network import Network
from engine.parameters import Array
from engine.schedules import Plateau
from engine.training import Best, TrainingState

FORMAT = "chainrule-checkpoint-1"
_COUNTERS = (
    "optimizer",
    "updates",
    "epoch",
    "step",
    "running_loss",
    "gradient_norm",
    "seconds",
    "spent_seconds",
    "first_loss",
    "stopping_value",
    "stale_epochs",
)


def dump(state: TrainingState, network: Network) -> bytes:
    """The state's bytes. Best parameters that are the current ones are kept once."""
    tensors = {"parameters": state.parameters}
    tensors |= {f"moments.{name}": moment for name, moment in state.moments.items()}
    for name, vector in (("average", state.average), ("accumulated", state.accumulated)):
        if vector is not None:
            tensors[name] = vector
    best, served = state.best, state.parameters if state.average is None else state.average
    if best is not None and not np.array_equal(best.parameters, served):
        tensors["best.parameters"] = best.parameters
    header = {
        "format": FORMAT,
        "shapes": _listed(network),
        "state": {name: getattr(state, name) for name in _COUNTERS},
        "plateau": vars(state.plateau),
        "best": None if best is None else {"epoch": best.epoch, "metric": best.metric, "value": best.value},
    }
    return bytes(save_tensors(tensors, {"chainrule": json.dumps(header)}))


def load(content: bytes, network: Network) -> TrainingState:
    """The state in a checkpoint's bytes. Raises CheckpointError for damaged bytes, or those of another network."""
    header, tensors = _open(content, network)
    parameters = tensors["parameters"]
    best, served = header["best"], tensors.get("average", parameters)
    return TrainingState(
        parameters=parameters,
        plateau=Plateau(**header["plateau"]),
        moments={name.removeprefix("moments."): t for name, t in tensors.items() if name.startswith("moments.")},
        best=best and Best(**best, parameters=tensors.get("best.parameters", served).copy()),
        average=tensors.get("average"),
        accumulated=tensors.get("accumulated"),
        **header["state"],
    )


def parameters_in(content: bytes, network: Network) -> Array:
    """The flat parameters a checkpoint serves, the average where there is one. Raises as `load` does."""
    tensors = _open(content, network)[1]
    return tensors.get("average", tensors["parameters"])


def export(named: Mapping[str, Array], about: Mapping[str, Any]) -> bytes:
    """Named arrays as a plain safetensors file that any other program reads; equal bytes for equal arrays."""
    tensors = {name: np.asarray(array, order="C") for name, array in named.items()}
    return bytes(save_tensors(tensors, {"chainrule": json.dumps(about)}))  # several keys would come in any order


def _open(content: bytes, network: Network) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        tensors = load_tensors(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["chainrule"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"expected a whole checkpoint in {len(content)} bytes, found damage: {error}") from error
    if header.get("format") != FORMAT:
        raise CheckpointError(f"expected a checkpoint of format {FORMAT}, got {header.get('format')}")
    if header["shapes"] != _listed(network):
        raise CheckpointError(f"expected a checkpoint of a network {_listed(network)}, got one of {header['shapes']}")
    return header, tensors


def _listed(network: Network) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in network.layout.shapes.items()}
