"""Evidence: a step as a file of arrays that a script of NumPy alone recomputes, so that anyone can hold us to them."""

import io
import json
import zipfile
from importlib.resources import files

import numpy as np

from engine.errors import SpecError
from engine.inspection.names import derivative_of, kind_of
from engine.inspection.observation import ObservedStep
from engine.layers import Activation, Layer
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.spec import RunSpec

SCRIPT = "verify_step.py"
TRAINING = ("optimizer", "l1", "l2", "max_norm", "clip", "frozen", "learning_rate_factors")
"""What the script wants to know of it."""
READ_ME = """A step of a training, and a script that recomputes it.

    python verify_step.py step.npz

It needs NumPy alone. step.npz holds the batch X (as A.0) and Y, the parameters, every Z and A, the derivatives of the
batch's mean loss by each of them, the gradient as the optimizer was given it, its memory, the update, and what came
after. manifest.json says which run and step it is, and how the arrays belong together.
"""


def check_evidence(network: Network, spec: RunSpec) -> None:
    """Raise SpecError for a layer or an option that the script does not recompute."""
    for layer in network.layers:
        is_known = isinstance(layer, (Dense, Activation, Dropout)) and len(layer.input_shape) == 1
        if not is_known:
            raise SpecError(
                f"network.layers[{layer.path}]",
                f"evidence is known for dense layers, activations and dropout on vectors, not for {kind_of(layer)}",
                code="unknown_for_layer",
            )
    training = spec.training
    if OPTIMIZERS[training.optimizer.type].full_batch:
        raise SpecError(
            "training.optimizer", f"evidence is known for updates of one batch, not for {training.optimizer.type}"
        )
    if training.accumulate > 1:
        raise SpecError("training.accumulate", "evidence is known for updates of one batch, not of several")


def evidence(
    step: ObservedStep,
    network: Network,
    spec: RunSpec,
    *,
    updates: int,
    weights: Array | None,
    about: dict[str, object],
) -> bytes:
    """A zip of step.npz, manifest.json, the script, and a README.

    `updates` were made when the step was done, and `weights` (m,) are those of its rows; `about` adds to the manifest.
    Raises SpecError as `check_evidence` does.
    """
    check_evidence(network, spec)
    manifest = {**(about or {}), **_manifest(step, network, spec, updates)}
    arrays = dict(step.tensors)
    arrays["loss"] = np.asarray(step.loss)
    arrays["weights"] = np.ones(len(step.rows)) if weights is None else weights
    arrays["manifest"] = np.array(json.dumps(manifest))
    packed, whole = io.BytesIO(), io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("step.npz", packed.getvalue())
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        archive.writestr(SCRIPT, files("engine.inspection").joinpath(SCRIPT).read_text(encoding="utf-8"))
        archive.writestr("README.txt", READ_ME)
    return whole.getvalue()


def _manifest(step: ObservedStep, network: Network, spec: RunSpec, updates: int) -> dict[str, object]:
    training = spec.training.model_dump(mode="json")
    names = network.boundary_names
    first = next(iter(network.shapes))
    moments = [name for name in step.tensors if name.startswith("opt.") and name.endswith(f".{first}")]
    return {
        "step": step.number,
        "epoch": step.epoch,
        "m": len(step.rows),
        "dtype": spec.training.dtype,
        "learning_rate": step.learning_rate,
        "updates": updates,
        "is_update": step.is_update,
        "digest_before": step.digest_before,
        "digest_after": step.digest_after,
        "loss": training["loss"],
        "training": {name: training[name] for name in TRAINING},
        "parameters": list(network.shapes),
        "memory": [name.removeprefix("opt.").removesuffix(f".{first}") for name in moments],
        "has_shortcut": network.has_canonical_head,
        "checks_dA": not network.has_canonical_head,
        "layers": [
            {
                "kind": kind_of(layer),
                "input": names[place],
                "output": names[place + 1],
                "d_input": derivative_of(names[place]),
                "d_output": derivative_of(names[place + 1]),
                "options": _options(layer),
                "parameters": {letter: f"{letter}.{network.numbers[place]}" for letter in layer.parameters()},
            }
            for place, layer in enumerate(network.layers)
        ],
    }


def _options(layer: Layer) -> dict[str, object]:
    """What the layer's kind can be told, as it was."""
    found = {name: getattr(layer, name) for name in layer.spec.model_fields if name != "type" and hasattr(layer, name)}
    return {name: value for name, value in found.items() if isinstance(value, (float, str, bool))}
