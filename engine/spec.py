"""What a user writes to describe a training: the network, how to train it, how to split the rows.

Every class refuses unknown fields. `resolve` fills in each default that depends on the task, so that a resolved
spec says everything and, sent again, describes the same training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from engine.base_rate import LINKS
from engine.clipping import ClipSpec
from engine.encodings import PreprocessingSpec
from engine.errors import SpecError
from engine.initializers import InitializerSpec, resolve_init
from engine.layers import ACTIVATIONS, DenseSpec, DropoutSpec, LayerSpec, item_count
from engine.layers.activations import AnyActivationSpec, IdentitySpec, ReluSpec, SigmoidSpec, SoftmaxSpec
from engine.losses import (
    LOSSES,
    AnyLossSpec,
    BinaryCrossEntropySpec,
    CrossEntropySpec,
    HalfSquaredErrorSpec,
    Loss,
)
from engine.metrics import METRICS
from engine.optimizers import AdamSpec, OptimizerSpec
from engine.options import AutoSpec, Choice, Spec
from engine.schedules import AnyScheduleSpec, ConstantSpec

Task = Literal["auto", "classification", "regression"]
Dtype = Literal["float32", "float64"]
Monitor = Literal[
    "validation.loss",
    "validation.accuracy",
    "validation.balanced_accuracy",
    "validation.f1",
    "validation.mae",
    "validation.rmse",
    "validation.r2",
    "train.objective",
    "train.loss",
    "train.accuracy",
    "train.mae",
    "train.rmse",
    "train.r2",
]

MAXIMUM_LAYERS = 256


# The network -------------------------------------------------------------------------------------------------------


class OutputSpec(Spec):
    """The head: the dense layer whose units the target decides. `init` as in a dense layer."""

    activation: AnyActivationSpec = Field(AutoSpec(), description="`auto` is what suits the target.")
    units: int | None = Field(None, ge=1, strict=True, description="Decided by the target; given, it must agree.")
    init: InitializerSpec = AutoSpec()
    bias_init: Literal["zeros", "base_rate"] = Field(
        "zeros", description="How b starts; `base_rate`: where the outputs are the mean of the training rows' targets."
    )


def _head(value: Any) -> Any:
    """Let a bare activation name stand for the whole head."""
    return {"activation": value} if isinstance(value, str) and value != "auto" else value


def within_limit(layers: Sequence[LayerSpec]) -> Sequence[LayerSpec]:
    """The layers, if those inside others included they are not too many; ValueError else."""
    if item_count(layers) > MAXIMUM_LAYERS:
        raise ValueError(f"expected at most {MAXIMUM_LAYERS} layers, those inside others included")
    return layers


class InputSpec(Spec):
    """The features as the tensor that the first layer sees: numbers all, in order, the last axis running fastest."""

    shape: tuple[Annotated[int, Field(ge=1, le=1_000_000, strict=True)], ...] = Field(
        min_length=1,
        max_length=4,
        description="Of one row, channels last: [height, width, channels] or [time, channels].",
    )
    scaling: Literal["standard", "range", "none"] = Field(
        "standard",
        description="standard: each feature gets mean 0 and standard deviation 1; range: all together lie from 0 to 1 "
        "over the training rows, as suits pixels; none: they stay as they are, as ids must.",
    )


class NetworkSpec(Spec):
    """The hidden layers in order, and the head. No hidden layer at all is logistic or linear regression."""

    input: InputSpec | None = Field(None, description="Null: one vector of the encoded features.")
    layers: Annotated[tuple[LayerSpec, ...], AfterValidator(within_limit)] = Field(max_length=MAXIMUM_LAYERS)
    output: Annotated[
        Literal["auto"] | OutputSpec, BeforeValidator(_head, json_schema_input_type=str | dict[str, Any])
    ] = "auto"


# Training ----------------------------------------------------------------------------------------------------------


class EarlyStoppingSpec(Spec):
    """Stop when the monitored number has not improved for `patience` epochs. The best parameters are kept anyway."""

    monitor: Monitor | Literal["auto"] = Field(
        "auto", description="`auto`: validation.loss, else train.objective, with the penalty."
    )
    patience: int = Field(30, ge=1, strict=True, description="Epochs without improvement before training ends.")
    min_delta: float = Field(0.0, ge=0, description="What counts as improvement.")
    target: float | None = Field(None, description="Also stop once the monitored number is this good.")


class CheckpointsSpec(Spec):
    """Which epochs' checkpoints to keep beside best, last and the one before."""

    every: int | None = Field(None, ge=1, strict=True, description="Also keep the checkpoint of every n-th epoch.")
    keep: int = Field(20, ge=1, le=1000, strict=True, description="At most so many of those, the newest.")


class AverageSpec(Spec):
    """Serve an exponential moving average of the weights instead of the last ones (Polyak & Juditsky 1992)."""

    decay: float = Field(0.999, gt=0, lt=1, description="How much of it stays at each update.")


def _decays(optimizer: Choice | None) -> bool:
    """Whether it makes weights smaller on its own, so that a penalty would do it twice."""
    return getattr(optimizer, "weight_decay", 0.0) > 0


LayerNumber = Annotated[int, Field(ge=1, le=MAXIMUM_LAYERS, description="Layers that learn are counted from 1.")]


class TrainingSpec(Spec):
    """How the network is trained."""

    loss: AnyLossSpec = AutoSpec()
    epochs: int = Field(200, ge=1, le=1_000_000, strict=True)
    batch_size: int = Field(32, ge=1, strict=True)
    optimizer: OptimizerSpec = AdamSpec()
    schedule: AnyScheduleSpec = ConstantSpec()
    l1: float = Field(0.0, ge=0, description="λ of the penalty λΣ|W| on every weight matrix (never on b).")
    l2: float = Field(
        default_factory=lambda before: 0.0 if _decays(before.get("optimizer")) else 0.001,
        ge=0,
        description="λ of the penalty ½λ‖W‖² on every weight matrix (never on b); "
        "0.001 unless given, or 0 with an optimizer that has a weight_decay.",
    )
    max_norm: float | None = Field(None, gt=0, description="The largest norm of the weights into one unit.")
    clip: ClipSpec | None = Field(None, description="How a gradient that is too large is made smaller.")
    average: AverageSpec | None = Field(None, description="Serve a moving average of the weights.")
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="By class, how much its rows count; `balanced`: all classes alike. 1 unless given."
    )
    accumulate: int = Field(1, ge=1, le=10_000, strict=True, description="Batches whose gradients make one update.")
    frozen: tuple[LayerNumber, ...] = Field((), max_length=MAXIMUM_LAYERS, description="Layers that are not updated.")
    learning_rate_factors: dict[LayerNumber, Annotated[float, Field(gt=0)]] = Field(
        {}, max_length=MAXIMUM_LAYERS, description="By layer, what its learning rate is multiplied with."
    )
    time_budget_seconds: float | None = Field(None, gt=0, description="End after the epoch in which it is spent.")
    early_stopping: EarlyStoppingSpec | None = EarlyStoppingSpec()
    checkpoints: CheckpointsSpec = CheckpointsSpec()
    dtype: Dtype = "float32"
    shards: int = Field(1, ge=1, le=64, strict=True, description="A batch's gradient is summed over so many parts.")
    threads: int | None = Field(
        None, ge=1, le=64, strict=True, description="Of the BLAS; `null`: as many as the worker's. In the fingerprint."
    )


ColumnName = Annotated[str, Field(min_length=1, max_length=500)]


RowNumber = Annotated[int, Field(ge=0, le=2**53, strict=True)]


class SplitSpec(Spec):
    """Which share of the rows validates and which tests; the rest trains. Rows are drawn at random, unless told how."""

    validation: float = Field(0.15, ge=0, lt=1, description="By default none of fewer than 3000 rows, else a tenth.")
    test: float = Field(0.15, ge=0, lt=1)
    stratify: bool = Field(True, description="Keep the classes' shares in every part (classification only).")
    group: ColumnName | None = Field(None, description="A column: rows that are equal in it stay in one part.")
    time: ColumnName | None = Field(None, description="A column: the latest rows test, those just before validate.")
    part: ColumnName | None = Field(None, description="A column that says train, validation or test of every row.")
    folds: int | None = Field(None, ge=2, le=1000, strict=True, description="Of as many equal parts one tests,")
    fold: int = Field(0, ge=0, strict=True, description="this one, counted from 0 (k-fold cross-validation).")
    without: tuple[RowNumber, ...] = Field(
        (), max_length=100_000, description="Rows of the dataset, by number, that are not to train on."
    )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.validation + (1 / self.folds if self.folds else self.test) >= 1:
            raise ValueError("validation + test: expected less than 1, so that rows are left to train on")
        named = [name for name in ("group", "time", "part") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"expected one way to split, got {' and '.join(named)}")
        if self.folds is not None and named in (["time"], ["part"]):
            raise ValueError(f"expected folds of rows or of groups, got {named[0]} beside them")
        if self.fold >= (self.folds or 1):
            raise ValueError(f"fold: expected one of {self.folds or 1} folds, counted from 0, got {self.fold}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that decide a row's part, from which nothing is learned unless they are asked for."""
        return tuple(name for name in (self.group, self.time, self.part) if name is not None)


def _listed(value: Any) -> Any:
    """Let one target column stand for a list of one."""
    return [value] if isinstance(value, str) else value


DEFAULT_HIDDEN = (DenseSpec(units=128, activation=ReluSpec()), DropoutSpec(rate=0.1))


class WarmStartSpec(Spec):
    """Another run whose parameters this one begins with, layer by layer, where name and shape are the same."""

    run: Annotated[str, Field(max_length=60, pattern=r"^\w+$", description="A run's id.")]
    at: Annotated[str, Field(max_length=80, description="best, last, epoch:3 or checkpoint:ckpt_…")] = "best"


class RunSpec(Spec):
    """One training of one network on one dataset with one seed; only `target` is required."""

    target: Annotated[
        tuple[ColumnName, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=1000),
    ]
    features: Annotated[tuple[ColumnName, ...], Field(min_length=1)] | None = Field(
        None, description="The columns to learn from; all others if null."
    )
    weight: ColumnName | None = Field(
        None, description="A column: a row of weight 2 counts as that row twice, in losses, gradients and metrics."
    )
    task: Task = "auto"
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    split: SplitSpec = SplitSpec()
    network: NetworkSpec = NetworkSpec(layers=DEFAULT_HIDDEN)
    training: TrainingSpec = TrainingSpec()
    warm_start: WarmStartSpec | None = Field(None, description="Begin with what another run has learned.")
    seed: int = Field(0, ge=0, lt=2**63, strict=True)


# Resolving ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TargetFacts:
    """What the target's columns decide: the task, and how many outputs stand for them.

    `kind` is `regression` (one output per column), `binary` (one column of two classes), `multiclass` (one column
    of more) or `multilabel` (several columns of two classes each).
    """

    kind: Literal["regression", "binary", "multiclass", "multilabel"]
    outputs: int

    @property
    def task(self) -> Literal["classification", "regression"]:
        return "regression" if self.kind == "regression" else "classification"


_HEADS: dict[str, tuple[Choice, Choice]] = {
    "regression": (IdentitySpec(), HalfSquaredErrorSpec()),
    "binary": (SigmoidSpec(), BinaryCrossEntropySpec()),
    "multilabel": (SigmoidSpec(), BinaryCrossEntropySpec()),
    "multiclass": (SoftmaxSpec(), CrossEntropySpec()),
}
"""The head and the loss of each kind of target, where nothing else is asked for."""
_PROBABILITIES: dict[str, tuple[str, ...]] = {
    "binary": ("sigmoid", "softmax"),
    "multilabel": ("sigmoid",),
    "multiclass": ("softmax",),
}
"""The heads whose outputs are the probabilities of the classes."""


def resolve(spec: RunSpec, facts: TargetFacts, *, features: tuple[str, ...], has_validation: bool) -> RunSpec:
    """Fill in every default that depends on the data.

    `features` are the columns learned from; `has_validation` tells whether the split leaves validation rows.
    Raises SpecError for a head or a monitor that can't work, with advice.
    """
    output, loss = _resolve_head(spec, facts)
    _check_bias(output, facts)
    layers = tuple(layer.resolved() for layer in spec.network.layers)
    training = spec.training.model_copy(
        update={"loss": loss, "early_stopping": _resolve_stopping(spec.training, facts, has_validation)}
    )
    return spec.model_copy(
        update={
            "features": features,
            "task": facts.task,
            "network": spec.network.model_copy(update={"layers": layers, "output": output}),
            "training": training,
        }
    )


def _resolve_init(init: Choice, activation: Choice) -> Choice:
    return resolve_init(init, ACTIVATIONS[activation.type].initializer)


def _resolve_head(spec: RunSpec, facts: TargetFacts) -> tuple[OutputSpec, Choice]:
    asked, kind = spec.network.output, LOSSES.get(spec.training.loss.type)
    if kind is not None:
        _check_learns(kind, facts)
    output = OutputSpec() if asked == "auto" else asked
    if isinstance(output.activation, AutoSpec):
        output = output.model_copy(update={"activation": _default_head(kind, facts)})
    activation = output.activation.type
    units = 2 if facts.kind == "binary" and activation == "softmax" else facts.outputs
    _check_head(activation, output.units, units, facts, kind)
    if kind is not None:
        loss: Choice = spec.training.loss
    elif facts.kind == "binary" and activation == "softmax":
        loss = CrossEntropySpec()
    else:
        loss = _HEADS[facts.kind][1]
    _check_suits(loss, activation, facts)
    return output.model_copy(update={"units": units, "init": _resolve_init(output.init, output.activation)}), loss


def _default_head(loss: type[Loss] | None, facts: TargetFacts) -> Choice:
    """The kind of target's own head; where the loss is not defined behind it, the one the loss is canonical with."""
    head = _HEADS[facts.kind][0]
    if loss is None or loss.suits(ACTIVATIONS[head.type]):
        return head
    return ACTIVATIONS[loss.canonical].spec(type=loss.canonical)


def _check_head(activation: str, asked: int | None, units: int, facts: TargetFacts, loss: type[Loss] | None) -> None:
    place = "network.output"
    if asked is not None and asked != units:
        raise SpecError(
            f"{place}.units",
            f"expected {units}, which the target decides, got {asked}; leave it out",
            code="wrong_head",
        )
    if facts.task == "regression":
        if activation == "softmax":
            detail = "softmax on one unit is always 1" if units == 1 else "softmax outputs always sum to 1"
            raise SpecError(
                place, f"{detail}, so it can't fit numbers; use identity", code="impossible_head", allowed=["identity"]
            )
        return
    fitting, what = _PROBABILITIES[facts.kind], "probabilities"
    if loss is not None and loss.scores:
        fitting, what = (loss.canonical,), "scores"
    if activation not in fitting:
        raise SpecError(
            place,
            f"expected {' or '.join(fitting)}, whose outputs are the classes' {what}, got {activation}",
            code="impossible_head",
            allowed=fitting,
        )


def _check_bias(output: OutputSpec, facts: TargetFacts) -> None:
    are_shares = facts.task == "classification"
    fitting = [name for name in LINKS if (ACTIVATIONS[name].range in ("probability", "shares")) == are_shares]
    if output.bias_init == "base_rate" and output.activation.type not in fitting:
        raise SpecError(
            "network.output.bias_init",
            f"expected zeros behind {output.activation.type}; in {facts.task} base_rate goes with {', '.join(fitting)}",
            code="impossible_head",
            allowed=["zeros"],
        )


def _check_learns(loss: type[Loss], facts: TargetFacts) -> None:
    if facts.kind not in loss.learns:
        what = "numbers" if facts.task == "regression" else f"classes ({facts.kind})"
        name = next(name for name, kind in LOSSES.items() if kind is loss)
        raise SpecError(
            "training.loss",
            f"{name} does not learn what the target holds, {what}; use {_HEADS[facts.kind][1].type}",
            code="impossible_loss",
            allowed=[name for name, kind in LOSSES.items() if facts.kind in kind.learns],
        )


def _check_suits(loss: Choice, activation: str, facts: TargetFacts) -> None:
    kind = LOSSES[loss.type]
    if not kind.suits(ACTIVATIONS[activation]):
        fitting = [
            name
            for name, other in LOSSES.items()
            if facts.kind in other.learns and other.suits(ACTIVATIONS[activation])
        ]
        raise SpecError(
            "training.loss",
            f"expected {' or '.join(fitting)} behind {activation}, got {loss.type}, which goes with {kind.canonical}",
            code="impossible_loss",
            allowed=fitting,
        )


def _resolve_stopping(training: TrainingSpec, facts: TargetFacts, has_validation: bool) -> EarlyStoppingSpec | None:
    stopping = training.early_stopping
    if stopping is None:
        return None
    if stopping.monitor == "auto":
        return stopping.model_copy(update={"monitor": "validation.loss" if has_validation else "train.objective"})
    part, metric = stopping.monitor.split(".")
    place = "training.early_stopping.monitor"
    if part == "validation" and not has_validation:
        raise SpecError(
            place,
            f"{stopping.monitor} needs validation rows, but the split leaves none; "
            f"use train.{metric if f'train.{metric}' in get_args(Monitor) else 'loss'} or another split",
            code="impossible_monitor",
        )
    fitting = ["loss", "objective", *(name for name, each in METRICS.items() if each.task == facts.task)]
    if metric not in fitting:
        raise SpecError(
            place,
            f"{metric} is not a metric of {facts.task}",
            code="impossible_monitor",
            allowed=[f"{part}.{name}" for name in fitting if f"{part}.{name}" in get_args(Monitor)],
        )
    return stopping
