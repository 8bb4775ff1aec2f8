"""From a run's spec and a dataset's table to a training: the same steps when it is checked, accepted and trained."""

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from engine.data import Preprocessing, Split, Table
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec, resolve
from engine.training import TrainingData, stretches
from service.errors import Fault, TooLarge, Unprocessable
from service.settings import Limits

FLOPS_PER_SECOND = 2e10
"""A cautious rate of matrix products on one core; only the estimate of a run's time rests on it."""
SECONDS_PER_STEP = 4e-5
PROCESS_BYTES = 25_000_000


@dataclass(frozen=True)
class Plan:
    """What a run will be."""

    resolved: RunSpec
    preprocessing: Preprocessing
    network: Network
    rows: dict[str, int]
    """Of each part."""
    steps_per_epoch: int
    memory_bytes: int
    estimated_seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """A run's encoded rows."""

    training: TrainingData
    X_test: Array
    Y_test: Array


def plan(spec: RunSpec, table: Table, limits: Limits) -> Plan:
    """Fit, resolve and estimate. Raises SpecError, DataError, Unprocessable or TooLarge for what can't be trained."""
    _check_sizes(spec, limits)
    preprocessing = Preprocessing.fit(table, spec)
    split = preprocessing.split(table)
    resolved = resolve(
        spec,
        preprocessing.facts,
        features=_features(spec, preprocessing),
        has_validation=len(split.validation) > 0,
    )
    network = Network.of(resolved, n_in=preprocessing.n_in)
    return plan_of(resolved, preprocessing, network, split, limits)


def plan_of(resolved: RunSpec, preprocessing: Preprocessing, network: Network, split: Split, limits: Limits) -> Plan:
    """The plan of a resolved spec. Raises TooLarge where it would take more than the limits allow."""
    stretches(network, resolved.training)  # refuses the number of a layer that is not there
    rows = {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
    batch = min(resolved.training.batch_size, rows["train"])
    steps = ceil(rows["train"] / batch)
    memory = _memory_bytes(resolved, network, rows, batch)
    for name, limit, needed, unit in (
        ("parameters", limits.parameters, network.parameter_count, "parameters"),
        ("run_memory_bytes", limits.run_memory_bytes, memory, "bytes of memory"),
    ):
        if needed > limit:
            raise TooLarge(
                f"the run would need {needed} {unit}; at most {limit} are allowed", limit=name, maximum=limit
            )
    return Plan(
        resolved=resolved,
        preprocessing=preprocessing,
        network=network,
        rows=rows,
        steps_per_epoch=steps,
        memory_bytes=memory,
        estimated_seconds=_seconds(resolved, network, rows, steps),
        warnings=preprocessing.warnings,
    )


def parts(resolved: RunSpec, preprocessing: Preprocessing, network: Network, table: Table) -> Parts:
    """The rows of a run as its network sees them."""
    split, dtype = preprocessing.split(table), resolved.training.dtype

    def encode(numbers: Array) -> tuple[Array, Array]:
        return (
            preprocessing.encode_features(table, numbers, dtype=dtype),
            preprocessing.encode_targets(table, numbers, dtype=dtype, n_out=network.n_out),
        )

    X, Y = encode(split.train)
    X_validation, Y_validation = encode(split.validation) if len(split.validation) else (None, None)
    scale = preprocessing.target_scale if preprocessing.facts.task == "regression" else np.ones(1)
    training = TrainingData(X, Y, X_validation, Y_validation, preprocessing.facts.task, scale)
    return Parts(training, *encode(split.test))


def _features(spec: RunSpec, preprocessing: Preprocessing) -> tuple[str, ...]:
    """Every column that was looked at, the dropped ones too, so that the resolved spec fits the same again."""
    if spec.features is not None:
        return spec.features
    return (*preprocessing.feature_names, *preprocessing.dropped)


def _check_sizes(spec: RunSpec, limits: Limits) -> None:
    faults = [
        Fault(pointer, "limit", f"expected at most {limit}, got {got}")
        for pointer, limit, got in (
            ("/network/layers", limits.layers, len(spec.network.layers)),
            ("/training/epochs", limits.epochs, spec.training.epochs),
        )
        if got > limit
    ]
    if faults:
        raise Unprocessable("The run is larger than the limits allow; see /v1/limits.", code="limit", errors=faults)


def _memory_bytes(resolved: RunSpec, network: Network, rows: dict[str, int], batch: int) -> int:
    """Seven vectors of parameters, the encoded rows twice, every boundary of a batch in both directions, a process."""
    size = np.dtype(resolved.training.dtype).itemsize
    encoded = sum(rows.values()) * (network.n_in + network.n_out) * size
    boundaries = batch * sum(network.widths) * size
    return 7 * network.parameter_count * size + 2 * encoded + 4 * boundaries + PROCESS_BYTES


def _seconds(resolved: RunSpec, network: Network, rows: dict[str, int], steps: int) -> float:
    """All epochs: six floating-point operations a weight and row to train, two to evaluate, and a little per step."""
    weights = sum(prod(shape) for shape in network.shapes.values() if len(shape) > 1)
    evaluated = rows["train"] + rows["validation"]
    operations = weights * (6 * rows["train"] + 2 * evaluated)
    return resolved.training.epochs * (operations / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP)
