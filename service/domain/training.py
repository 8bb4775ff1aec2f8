"""From a run's spec and a dataset's table to a training: the same steps when it is checked, accepted and trained."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.data import Preprocessing, Split, Table, matrix, open_table, suspicions
from engine.data.noise import MOST_ROWS, unexplained
from engine.defaults import with_defaults
from engine.errors import EngineError
from engine.layers import item_count
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.spec import RunSpec, resolve
from engine.training import TrainingData, check_updates, steps_per_epoch
from service.domain.inputs import check_inputs
from service.errors import Fault, TooLarge, Unavailable, Unprocessable
from service.processes import Lost, NotStarted, apart
from service.settings import Limits

FLOPS_PER_SECOND = 2e10
"""A cautious rate of matrix products on one core; only the estimate of a run's time rests on it."""
SECONDS_PER_STEP = 4e-5
PROCESS_BYTES = 25_000_000
ROW_BYTES, OUTPUT_BYTES = 40, 16
"""Beside its encoding, and for each output, what a row takes: its number, its place in an epoch, how it is judged."""
ROWS_HERE = 1_000_000
"""Up to so many rows a table is looked at in the process that was asked."""
CHECKED_ROWS = 4096
"""Of an input that not every number is right for, so many are looked at together."""
HEADER_BYTES = 64 * 1024
"""Of a checkpoint: its shapes and counters take less, whatever the network."""

Subject = TypeVar("Subject")
Found = TypeVar("Found")


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
    train_rows: Array
    """Which rows of the dataset those to train on are."""
    X_test: Array
    Y_test: Array
    weights_test: Array | None


@dataclass(frozen=True)
class Fitted:
    """What the rows of a table say of a run."""

    resolved: RunSpec
    preprocessing: Preprocessing
    rows: dict[str, int]
    """Of each part."""


def plan(spec: RunSpec, path: Path, limits: Limits) -> Plan:
    """Fit, resolve and estimate, for the table in this file.

    Raises SpecError, DataError, Unprocessable or TooLarge for what can't be trained, Unavailable where no process could
    be started to look at a large table.
    """
    check_sizes(spec, limits)
    fitted = _of_table(_fit, spec, path, limits=limits)
    network = Network.of(fitted.resolved, n_in=fitted.preprocessing.n_in)
    return plan_of(fitted.resolved, fitted.preprocessing, network, fitted.rows, limits)


def part_sizes(preprocessing: Preprocessing, path: Path, limits: Limits) -> dict[str, int]:
    """How many rows of the table in this file each part has. Raises TooLarge and Unavailable as `plan` does."""
    return _of_table(_split_sizes, preprocessing, path, limits=limits)


def _of_table(work: Callable[[Subject, Path], Found], subject: Subject, path: Path, *, limits: Limits) -> Found:
    """What `work` finds in a table, for which a large one is looked at in a process of its own: that takes memory."""
    if open_table(path).row_count <= ROWS_HERE:
        return work(subject, path)
    bound = {"memory_bytes": limits.ingest_memory_bytes, "seconds": limits.ingest_seconds}
    try:
        found: Found = apart(work, subject, path, **bound, expected=EngineError)
    except (NotStarted, Lost) as error:
        raise Unavailable("The process that looks at large tables is gone; try again.") from error
    except (MemoryError, TimeoutError) as error:
        name = "ingest_memory_bytes" if isinstance(error, MemoryError) else "ingest_seconds"
        maximum = getattr(limits, name)
        unit = "bytes of memory" if isinstance(error, MemoryError) else "seconds"
        raise TooLarge(
            f"Looking at the table takes more than {maximum} {unit}.", limit=name, maximum=maximum
        ) from error
    return found


def _split_sizes(preprocessing: Preprocessing, path: Path) -> dict[str, int]:
    return _sizes(preprocessing.split(open_table(path)))


def _fit(spec: RunSpec, path: Path) -> Fitted:
    table = open_table(path)
    preprocessing = Preprocessing.fit(table, spec)
    split = preprocessing.split(table)
    preprocessing.check(table, split, dtype=spec.training.dtype)
    preprocessing = replace(preprocessing, warnings=(*preprocessing.warnings, *suspicions(table, split, preprocessing)))
    resolved = resolve(
        _decided(spec, preprocessing, table, split),
        preprocessing.facts,
        features=_features(spec, preprocessing),
        has_validation=len(split.validation) > 0,
    )
    network = Network.of(resolved, n_in=preprocessing.n_in)
    if network.layers[0].is_choosy:
        _check_all(network, preprocessing, table, split, dtype=resolved.training.dtype)
    return Fitted(resolved, preprocessing, _sizes(split))


def _decided(spec: RunSpec, preprocessing: Preprocessing, table: Table, split: Split) -> RunSpec:
    """The spec with what it leaves open decided by the rows that train."""
    some = split.train[:: ceil(len(split.train) / MOST_ROWS)]
    X = preprocessing.encode_features(table, some, dtype="float64")
    noise = unexplained(X, preprocessing.encode_targets(table, some, dtype="float64"))
    split_as_made = spec.model_copy(update={"split": preprocessing.split_spec})
    decided = with_defaults(split_as_made, rows=len(split.train), task=preprocessing.facts.task, unexplained=noise)
    embedding = preprocessing.encoder.embedding(spec.preprocessing.embedding_dim)
    layers = decided.network.layers
    if embedding is None or (layers and layers[0].type == embedding.type):
        return decided
    network = decided.network.model_copy(update={"layers": (embedding, *layers)})
    return decided.model_copy(update={"network": network})


def plan_of(
    resolved: RunSpec, preprocessing: Preprocessing, network: Network, rows: dict[str, int], limits: Limits
) -> Plan:
    """The plan of a resolved spec. Raises TooLarge where it would take more than the limits allow."""
    check_updates(network, resolved.training)
    batch = min(resolved.training.batch_size, rows["train"])
    steps = steps_per_epoch(resolved.training, rows["train"])
    encoded = _encoded_bytes(resolved, network, rows)
    is_on_disk = encoded > limits.encoded_bytes_in_memory
    memory = _memory_bytes(resolved, network, rows, batch, is_on_disk=is_on_disk)
    for name, limit, needed, unit in (
        ("parameters", limits.parameters, network.parameter_count, "parameters"),
        ("run_memory_bytes", limits.run_memory_bytes, memory, "bytes of memory"),
        ("checkpoint_bytes", limits.checkpoint_bytes, _checkpoint_bytes(resolved, network), "bytes in a checkpoint"),
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
        warnings=(*preprocessing.warnings, *([_on_disk(encoded)] if is_on_disk else [])),
    )


def _on_disk(encoded: int) -> str:
    return f"rows: encoded they take {encoded} bytes, so they are read from a file on the disk while the run trains"


def parts(
    resolved: RunSpec,
    preprocessing: Preprocessing,
    network: Network,
    table: Table,
    *,
    bytes_in_memory: int,
    folder: Path,
) -> Parts:
    """The rows of a run as its network sees them.

    They are in memory if they take no more of it than this, else in files in the folder: the bits are the same. Raises
    OSError where the disk has no room for these.
    """
    split, dtype = preprocessing.split(table), resolved.training.dtype
    is_on_disk = _encoded_bytes(resolved, network, _sizes(split)) > bytes_in_memory
    make = partial(matrix, dtype=dtype, folder=folder if is_on_disk else None)

    def encode(numbers: Array) -> tuple[Array, Array]:
        return (
            make(partial(preprocessing.encode_features, table, dtype=dtype), numbers, network.n_in),
            make(
                partial(preprocessing.encode_targets, table, dtype=dtype, n_out=network.n_out), numbers, network.n_out
            ),
        )

    X, Y = encode(split.train)
    X_validation, Y_validation = encode(split.validation) if len(split.validation) else (None, None)
    facts = preprocessing.facts
    training = TrainingData(
        X,
        Y,
        X_validation,
        Y_validation,
        facts.kind,
        preprocessing.units,
        preprocessing.weights(table, split.train),
        preprocessing.weights(table, split.validation) if X_validation is not None else None,
    )
    return Parts(training, split.train, *encode(split.test), preprocessing.weights(table, split.test))


def _check_all(
    network: Network, preprocessing: Preprocessing, table: Table, split: Split, *, dtype: npt.DTypeLike
) -> None:
    """Refuse rows of any part that the first layer is not defined for, some at a time."""
    rows = np.sort(np.concatenate([split.train, split.validation, split.test]))
    for start in range(0, len(rows), CHECKED_ROWS):
        some = rows[start : start + CHECKED_ROWS]
        check_inputs(network, preprocessing, preprocessing.encode_features(table, some, dtype=dtype), some)


def _features(spec: RunSpec, preprocessing: Preprocessing) -> tuple[str, ...]:
    """Every column that was looked at, the dropped ones too, so that the resolved spec fits the same again."""
    if spec.features is not None:
        return spec.features
    return (*preprocessing.feature_names, *preprocessing.dropped)


def check_sizes(spec: RunSpec, limits: Limits) -> None:
    """Unprocessable for more layers or epochs than allowed: what is known before the data is looked at."""
    faults = [
        Fault(pointer, "limit", f"expected at most {limit}, got {got}")
        for pointer, limit, got in (
            ("/network/layers", limits.layers, item_count(spec.network.layers)),
            ("/training/epochs", limits.epochs, spec.training.epochs),
        )
        if got > limit
    ]
    if faults:
        raise Unprocessable("The run is larger than the limits allow; see /v1/limits.", code="limit", errors=faults)


def _sizes(split: Split) -> dict[str, int]:
    return {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}


def _encoded_bytes(resolved: RunSpec, network: Network, rows: dict[str, int]) -> int:
    """Of inputs and targets of all parts."""
    return sum(rows.values()) * (network.n_in + network.n_out) * np.dtype(resolved.training.dtype).itemsize


def _memory_bytes(resolved: RunSpec, network: Network, rows: dict[str, int], batch: int, *, is_on_disk: bool) -> int:
    """A process, five vectors of parameters and the moments, the rows, and what passes the network.

    The rows are the encoded ones, unless these are on the disk, and what is kept of each besides. What passes is
    every boundary of a batch in both directions and again for the batches gathered with it, every boundary of
    the rows evaluated at once, and the scratch of both.
    """
    vectors = 5 + _moments(resolved)
    size = np.dtype(resolved.training.dtype).itemsize
    of_rows = sum(rows.values()) * (ROW_BYTES + OUTPUT_BYTES * network.n_out)
    if not is_on_disk:
        of_rows += _encoded_bytes(resolved, network, rows)
    width, scratch = sum(network.widths), network.scratch_width
    trained = batch * (4 * width + scratch)
    evaluated = min(network.evaluation_rows, max(rows.values())) * (width + scratch)
    fixed = (resolved.training.shards + 1) * network.fixed_scratch_size
    passing = trained + evaluated + fixed
    return size * (vectors * network.parameter_count + passing) + of_rows + PROCESS_BYTES


def _moments(resolved: RunSpec) -> int:
    """How many vectors of parameters the optimizer keeps beside them."""
    optimizer = OPTIMIZERS[resolved.training.optimizer.type](resolved.training.optimizer)
    return sum(moment.size for moment in optimizer.start(np.zeros(1)).values())


def _checkpoint_bytes(resolved: RunSpec, network: Network) -> int:
    """At most: the parameters, their average, the best ones, waiting gradients, the moments, and a header."""
    training = resolved.training
    vectors = 2 + (training.average is not None) + (training.accumulate > 1) + _moments(resolved)
    return vectors * network.parameter_count * np.dtype(resolved.training.dtype).itemsize + HEADER_BYTES


def _seconds(resolved: RunSpec, network: Network, rows: dict[str, int], steps: int) -> float:
    """All epochs: six floating-point operations a weight and row to train, two to evaluate, and a little per step."""
    evaluated = rows["train"] + rows["validation"]
    operations = network.products * (6 * rows["train"] + 2 * evaluated)
    return resolved.training.epochs * (operations / FLOPS_PER_SECOND + steps * SECONDS_PER_STEP)
