"""Inspections: which network, which batch, what to look at; the engine does the looking."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np

from engine.data import Preprocessing, Table
from engine.errors import DataError, OutOfTime, SpecError
from engine.inspection import (
    QUANTITIES,
    Check,
    Options,
    Orientation,
    check,
    check_orientation,
    inspect,
    is_catalogued,
    quantity_names,
    shape_of,
    targets_of,
)
from engine.layers import LayerSpec
from engine.losses import LossSpec
from engine.network import Network, input_shape
from engine.parameters import Array, Shape
from engine.spec import InputSpec, TrainingSpec
from engine.training import batch_rows, epoch_order
from service.domain import datasets, tensors
from service.domain.checkpoints import Moment
from service.domain.inputs import check_inputs
from service.domain.tensors import TensorAnswer
from service.errors import Fault, TooLarge, Unprocessable
from service.settings import Limits

Answer = dict[str, Any]

STATELESS_UNITS = "the loss and the gradients are in the units of X and Y as sent"
NATS = "the loss is in nats"
OWN_UNITS = "the loss and the gradients are in units of the target as it stands in the dataset"
STANDARDISED = "the loss and the gradients are in units of the standardised target"
BY_LOGARITHM = "the loss and the gradients are in units of the standardised sign(y)·log(1 + |y|) of the target"


@dataclass(frozen=True)
class Subject:
    """A network with values, a batch for it, and what is to be said about them."""

    network: Network
    parameters: Array
    X: Array
    Y: Array
    units: str
    about: Answer = field(default_factory=dict)
    """`run`, `checkpoint`, `epoch`, `row_numbers`."""
    warnings: tuple[str, ...] = ()
    weights: Array | None = None
    """(m,): how much each row counts; None where all count alike."""
    options: Options = field(default_factory=Options)
    """What some quantities want to know."""


def dtype_of(quantities: Sequence[str], asked: str | None) -> str | None:
    """What a run is inspected in: as asked, else float64 for the catalogue's quantities; None is its own."""
    is_exact = any(is_catalogued(quantity, QUANTITIES) for quantity in quantities)
    return asked or ("float64" if is_exact else None)


def look(subject: Subject, questions: Mapping[str, Any], limits: Limits, *, form: str = "json") -> TensorAnswer:
    """Inspect a subject, for an answer in a form. `questions`: quantities, convention, orientation, reduce, head."""
    network, m, quantities = subject.network, len(subject.X), questions["quantities"]
    check_size(subject, limits, quantities)
    names = quantity_names(network, quantities, QUANTITIES)
    if tensors.is_whole(questions["reduce"], form):
        count = sum(prod(shape_of(network, name, m)) for name in names)
        tensors.check_size(count, subject.parameters.itemsize, form, limits)
    until = time.monotonic() + limits.inspect_seconds
    try:
        found = inspect(
            network,
            subject.parameters,
            subject.X,
            subject.Y,
            quantities=quantities,
            weights=subject.weights,
            convention=questions["convention"],
            orientation=questions["orientation"],
            head=questions["head"],
            options=subject.options,
            deadline=lambda: time.monotonic() > until,
        )
    except OutOfTime as error:
        detail = f"It took longer than {limits.inspect_seconds} seconds: {error}."
        raise TooLarge(detail, limit="inspect_seconds", maximum=limits.inspect_seconds) from error
    about = {
        "loss": _finite(found.loss),
        "example_losses": [_finite(loss) for loss in found.example_losses.tolist()],
        "convention": questions["convention"],
        "orientation": questions["orientation"],
        "dtype": subject.parameters.dtype.name,
        "head": found.head,
        "units": subject.units,
        **subject.about,
        "warnings": list(subject.warnings),
    }
    return TensorAnswer(about, found.tensors, questions["reduce"])


def nudge(subject: Subject, questions: Mapping[str, Any], limits: Limits) -> Answer:
    """Check a subject's gradients. `questions`: targets, samples, seed, method, convention, orientation."""
    check_size(subject, limits, workspaces=3)  # a pass, and forward passes at real and at complex points
    targets = targets_of(
        subject.network,
        len(subject.X),
        questions["targets"],
        samples=questions["samples"],
        orientation=questions["orientation"],
        method=questions["method"],
    )
    count = sum(target.count for target in targets)
    if count > limits.check_nudges:
        raise TooLarge(
            f"{count} numbers to nudge are more than the {limits.check_nudges} allowed; name fewer or sample fewer.",
            limit="check_nudges",
            maximum=limits.check_nudges,
        )
    until = time.monotonic() + limits.check_seconds
    found = check(
        subject.network,
        subject.parameters,
        subject.X,
        subject.Y,
        targets=questions["targets"],
        samples=questions["samples"],
        seed=questions["seed"],
        method=questions["method"],
        weights=subject.weights,
        convention=questions["convention"],
        orientation=questions["orientation"],
        deadline=lambda: time.monotonic() > until,
    )
    return {
        "loss": _finite(found.loss),
        "convention": questions["convention"],
        "orientation": questions["orientation"],
        "dtype": "float64",
        "units": subject.units,
        **subject.about,
        "warnings": [*subject.warnings, *_check_warnings(found, limits)],
        "verdicts": found.verdicts,
        "worst_relative_error": found.worst_relative_error,
        "backpropagation_seconds": found.backpropagation_seconds,
        "nudging_seconds": found.nudging_seconds,
        "forward_passes": found.forward_passes,
        "is_complete": found.is_complete,
        "nudges": [
            {
                "address": each.address,
                "method": each.method,
                "analytic": _finite(each.analytic),
                "numeric": _finite(each.numeric),
                "error_bar": _finite(each.error_bar),
                "relative_error": _finite(each.relative_error),
                "digits": each.digits,
                "verdict": each.verdict,
                "flipped": list(each.flipped),
            }
            for each in found.nudges
        ],
    }


def _check_warnings(found: Check, limits: Limits) -> list[str]:
    if found.is_complete:
        return []
    return [f"stopped after {limits.check_seconds} seconds with {len(found.nudges)} numbers nudged"]


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def check_size(subject: Subject, limits: Limits, quantities: Sequence[str] = (), *, workspaces: int = 1) -> None:
    """TooLarge for more rows, or more numbers at work, than an inspection may have."""
    m = len(subject.X)
    _check_rows(m, limits)
    network = subject.network
    needed = m * (2 * sum(network.widths) + network.scratch_width)
    needed = workspaces * (needed + network.fixed_scratch_size + 3 * network.parameter_count)
    if "alpha" in quantities:
        needed *= 2  # a pass of its own
    if {"gram", "cosine"} & set(quantities):
        needed += 3 * m * m
    _check_limit("inspect_workspace_numbers", limits.inspect_workspace_numbers, needed, "numbers at work")


def rows_within(network: Network, limits: Limits, most: int) -> int:
    """How many rows may be looked at at once, at least one."""
    fixed = network.fixed_scratch_size + 3 * network.parameter_count
    room = (limits.inspect_workspace_numbers - fixed) // (2 * sum(network.widths) + network.scratch_width)
    return max(1, min(most, limits.inspect_rows, room))


def _check_rows(count: int, limits: Limits) -> None:
    """Before rows are encoded, which may take long."""
    _check_limit("inspect_rows", limits.inspect_rows, count, "rows")


def _check_limit(name: str, limit: int, got: int, what: str) -> None:
    if got > limit:
        raise TooLarge(f"Expected at most {limit} {what}, got {got}.", limit=name, maximum=limit)


# Stateless ---------------------------------------------------------------------------------------------------------


def stateless(
    layers: Sequence[LayerSpec],
    shape: InputSpec | None,
    loss: LossSpec,
    parameters: Mapping[str, Any],
    X: Any,
    Y: Any,
    *,
    weights: Sequence[float] | None,
    orientation: Orientation,
    limits: Limits,
    options: Mapping[str, Any] | None = None,
) -> Subject:
    """The subject a request holds whole. With columns, examples are columns and W is (n_out, n_in).

    Where the input has a shape, X holds rows, or is nested to that shape. `options`: learning_rate, l1, l2, and `after`
    as `parameters`.
    """
    transpose = orientation == "columns"
    if shape is not None and isinstance(X[0], list) and X[0] and isinstance(X[0][0], list):
        X = _flat(X, shape.shape)
    X, Y = _matrix("X", X, transpose), _matrix("Y", Y, transpose)
    network = Network.build(layers, input_shape=input_shape(shape, X.shape[1]), loss=loss)
    check_orientation(network, orientation)
    if network.parameter_count > limits.parameters:
        raise TooLarge(
            f"The network has {network.parameter_count} parameters, at most {limits.parameters} are allowed.",
            limit="parameters",
            maximum=limits.parameters,
        )
    if Y.shape != (len(X), network.n_out):
        expected = (len(X), network.n_out)[:: -1 if transpose else 1]
        found = Y.shape[:: -1 if transpose else 1]
        raise DataError("Y", f"expected shape {list(expected)}, got {list(found)}", code="wrong_shape")
    flat = _flattened(network, parameters, transpose)
    asked = dict(options or {})
    wanted = Options(
        **{
            **asked,
            "after": _after(network, asked.get("after"), transpose),
            "vector": _vector_of(asked.get("vector"), orientation),
        }
    )
    return Subject(network, flat, X, Y, STATELESS_UNITS, weights=_vector(weights), options=wanted)


def _flattened(network: Network, parameters: Mapping[str, Any], transpose: bool) -> Array:
    if transpose:
        parameters = {name: _turned(values) for name, values in parameters.items()}
    return network.flatten(parameters, dtype="float64")


def _after(network: Network, parameters: Mapping[str, Any] | None, transpose: bool) -> Array | None:
    """The parameters after a step, wrong ones named as the option they are."""
    if parameters is None:
        return None
    try:
        return _flattened(network, parameters, transpose)
    except SpecError as error:
        raise SpecError("options.after", f"{error.place}: {error.message}", allowed=error.allowed) from error


def _vector_of(named: Mapping[str, Any] | None, orientation: Orientation) -> Mapping[str, Any] | None:
    """What is to be multiplied with, its matrices in rows."""
    if named is None or orientation == "rows":
        return named
    return {name: _turned(values) for name, values in named.items()}


def _flat(X: Any, shape: Shape) -> Array:
    """The rows of an X that is nested to the input's shape."""
    try:
        array = np.array(X, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("X", f"expected rows of shape {list(shape)}, all numbers", code="wrong_shape") from error
    if array.shape[1:] != shape:
        raise DataError("X", f"expected rows of shape {list(shape)}, got {list(array.shape[1:])}", code="wrong_shape")
    return array.reshape(len(array), -1)


def _matrix(name: str, values: Any, transpose: bool) -> Array:
    try:
        matrix = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(name, "expected rows of numbers, all of one length", code="wrong_shape") from error
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(name, f"expected a matrix with at least one number, got shape {list(matrix.shape)}")
    if not np.isfinite(matrix).all():
        raise DataError(name, "expected finite numbers", code="wrong_type")
    return matrix.T if transpose else matrix


def _vector(weights: Sequence[float] | None) -> Array | None:
    return None if weights is None else np.array(weights, np.float64)


def _turned(values: Any) -> Any:
    """A matrix as its transpose; what is no matrix is left for the check of shapes."""
    try:
        return np.array(values, np.float64).T
    except (TypeError, ValueError, OverflowError):
        return values


# Under a run -------------------------------------------------------------------------------------------------------


def of_run(
    moment: Moment,
    data: Path,
    dataset_id: str,
    batch: Mapping[str, Any],
    *,
    dtype: str | None,
    limits: Limits,
    after: Moment | None = None,
) -> Subject:
    """A run's network at a moment with one of: `rows` sent, `dataset_rows` named, the batch of a `step`.

    Rows of another dataset are encoded as those sent are. `after` is the moment after a step, for what compares two.
    """
    given = [name for name in ("rows", "dataset_rows", "step") if batch.get(name) is not None]
    if len(given) != 1:
        raise Unprocessable(
            "A batch: expected one of rows, dataset_rows or step.",
            errors=[Fault("", "one_batch", f"expected exactly one, got {', '.join(given) or 'none'}", BATCHES)],
        )
    parameters = moment.parameters.astype(dtype or moment.parameters.dtype)
    preprocessing, network = moment.preprocessing, moment.network
    weights = _vector(batch.get("weights"))
    about: Answer = {
        "run": moment.run_id,
        "checkpoint": moment.checkpoint_id or None,
        "epoch": moment.epoch,
        "step": moment.step,
        "replay": moment.replay,
    }
    units = units_of(network, preprocessing)
    options = _options_of_run(moment, batch, after)
    warnings = _noise_warnings(moment.spec.training, batch.get("quantities", ()))
    elsewhere = (batch.get("dataset_rows") or {}).get("dataset")
    if elsewhere not in (None, dataset_id):
        other = datasets.table_of(data, elsewhere)
        about["row_numbers"] = _numbers_elsewhere(other, batch["dataset_rows"], limits)
        batch = {**batch, "rows": other.rows(about["row_numbers"])}
    if batch.get("rows") is not None:
        _check_rows(len(batch["rows"]), limits)
        encoded = preprocessing.encode_rows(
            batch["rows"], dtype=parameters.dtype, with_targets=True, n_out=network.n_out
        )
        if encoded.Y is None:
            raise RuntimeError("expected targets")
        check_inputs(network, preprocessing, encoded.X)
        warnings = (*encoded.warnings, *warnings)
        return Subject(network, parameters, encoded.X, encoded.Y, units, about, warnings, weights, options)
    table = datasets.table_of(data, dataset_id)
    numbers = _row_numbers(moment, table, batch)
    _check_rows(len(numbers), limits)
    X = preprocessing.encode_features(table, numbers, dtype=parameters.dtype)
    Y = preprocessing.encode_targets(table, numbers, dtype=parameters.dtype, n_out=network.n_out)
    if batch.get("step"):
        warnings = (*_step_warnings(network), *warnings)
    about["row_numbers"] = numbers.tolist()
    return Subject(network, parameters, X, Y, units, about, warnings, weights, options)


def _options_of_run(moment: Moment, batch: Mapping[str, Any], after: Moment | None) -> Options:
    """What was asked with, and the run's own penalties."""
    training, asked = moment.spec.training, batch.get("options", {})
    own = {
        "after": None if after is None else after.parameters,
        "l1": training.l1,
        "l2": training.l2,
        "vector": _vector_of(asked.get("vector"), batch.get("orientation", "rows")),
    }
    return Options(**{**asked, **own})


def _noise_warnings(training: TrainingSpec, quantities: Sequence[str]) -> tuple[str, ...]:
    """What is not what its derivation takes for granted."""
    asked = [name for name in ("cabs", "stopping_evidence") if name in quantities]
    optimizer = training.optimizer
    if not asked or (optimizer.type == "sgd" and getattr(optimizer, "momentum", 0) == 0):
        return ()
    kind = "sgd with momentum" if optimizer.type == "sgd" else optimizer.type
    return (f"{' and '.join(asked)} hold for sgd without momentum, and this run learns by {kind}",)


def units_of(network: Network, preprocessing: Preprocessing) -> str:
    """What a run's losses and gradients are measured in."""
    if preprocessing.facts.task != "regression":
        return NATS
    if not network.loss.standardises:
        return OWN_UNITS
    return BY_LOGARITHM if preprocessing.targets[0].transform == "log1p" else STANDARDISED


BATCHES = ("rows", "dataset_rows", "step")


def _step_warnings(network: Network) -> tuple[str, ...]:
    """What is not here as it was in a step of the training."""
    warnings = []
    if network.is_random:
        warnings.append("dropout and noise are off here, though they were on in that step")
    if network.layout.size > network.parameter_count:
        warnings.append("batch_norm uses its running statistics here, though that step used the batch's own")
    return tuple(warnings)


def _row_numbers(moment: Moment, table: Table, batch: Mapping[str, Any]) -> Array:
    split = moment.preprocessing.split(table)
    if batch.get("step") is not None:
        return _rows_of_step(moment, split.train, batch["step"])
    named = batch["dataset_rows"]
    if (named["part"] is None) == (named["numbers"] is None):
        raise Unprocessable(
            "dataset_rows: expected either part or numbers.",
            errors=[Fault("/dataset_rows", "one_of", "expected exactly one of them", ("part", "numbers"))],
        )
    if named["part"] is not None:
        rows = split.part(named["part"])[: named["limit"]]
        if not len(rows):
            raise Unprocessable(f"dataset_rows.part: this run has no {named['part']} rows.", code="empty_part")
        return rows
    usable = np.concatenate([split.train, split.validation, split.test])
    numbers = np.array(named["numbers"], np.int64)
    missing = np.flatnonzero(~np.isin(numbers, usable))
    if missing.size:
        place = int(missing[0])
        detail = f"expected a row with a target, numbered from 0 to {table.row_count - 1}, got {numbers[place]}"
        raise Unprocessable(detail + ".", errors=[Fault(f"/dataset_rows/numbers/{place}", "no_such_row", detail)])
    return numbers


def _numbers_elsewhere(table: Table, named: Mapping[str, Any], limits: Limits) -> list[int]:
    """Those of rows of a dataset that the run has not split."""
    if named["part"] is not None:
        detail = "expected none with another dataset, which this run has not split"
        raise Unprocessable(f"dataset_rows.part: {detail}.", errors=[Fault("/dataset_rows/part", "not_split", detail)])
    numbers = list(range(min(named["limit"], table.row_count))) if named["numbers"] is None else named["numbers"]
    _check_rows(len(numbers), limits)
    for place, number in enumerate(numbers):
        if number >= table.row_count:
            detail = f"expected a row numbered from 0 to {table.row_count - 1}, got {number}"
            raise Unprocessable(f"{detail}.", errors=[Fault(f"/dataset_rows/numbers/{place}", "no_such_row", detail)])
    return numbers


def _rows_of_step(moment: Moment, train: Array, step: Mapping[str, int]) -> Array:
    training = moment.spec.training
    order = epoch_order(len(train), seed=moment.spec.seed, epoch=step["epoch"] - 1)
    rows = batch_rows(order, step=step["step"] - 1, batch_size=min(training.batch_size, len(train)))
    if not len(rows) or step["epoch"] > training.epochs:
        steps = -(-len(train) // min(training.batch_size, len(train)))
        detail = f"expected an epoch from 1 to {training.epochs} and a step from 1 to {steps}"
        raise Unprocessable(f"step: {detail}.", errors=[Fault("/step", "no_such_step", detail)])
    return train[rows]
