"""What a user writes to describe a training: the network, how to train it, how to split the rows.

Every class refuses unknown fields. `resolve` fills in each default that depends on the task, so that a resolved
spec says everything and, sent again, describes the same training.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.errors import SpecError

Task = Literal["auto", "classification", "regression"]
Dtype = Literal["float32", "float64"]
InitializerName = Literal[
    "auto",
    "zeros",
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
]
LossName = Literal["half_squared_error", "binary_cross_entropy", "cross_entropy"]
Monitor = Literal[
    "validation.loss",
    "validation.accuracy",
    "validation.mae",
    "validation.r2",
    "train.loss",
    "train.accuracy",
    "train.mae",
    "train.r2",
]

MAXIMUM_UNITS = 65_536
MAXIMUM_LAYERS = 256


class Spec(BaseModel):
    """A part of a spec: immutable, finite numbers only, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# Activations -------------------------------------------------------------------------------------------------------


class IdentitySpec(Spec):
    type: Literal["identity"] = "identity"


class ReluSpec(Spec):
    type: Literal["relu"] = "relu"


class LeakyReluSpec(Spec):
    type: Literal["leaky_relu"] = "leaky_relu"
    slope: float = Field(0.01, ge=0, lt=1, description="The derivative where Z ≤ 0.")


class SigmoidSpec(Spec):
    type: Literal["sigmoid"] = "sigmoid"


class TanhSpec(Spec):
    type: Literal["tanh"] = "tanh"


class SoftmaxSpec(Spec):
    type: Literal["softmax"] = "softmax"


def _named(value: Any) -> Any:
    """Let a bare name stand for the object with that type: "relu" for {"type": "relu"}."""
    return {"type": value} if isinstance(value, str) else value


ActivationSpec = Annotated[
    IdentitySpec | ReluSpec | LeakyReluSpec | SigmoidSpec | TanhSpec | SoftmaxSpec,
    Field(discriminator="type"),
    BeforeValidator(_named, json_schema_input_type=str | dict[str, Any]),
]


# Layers ------------------------------------------------------------------------------------------------------------


class DenseSpec(Spec):
    """Z = X·W + b, then the activation."""

    type: Literal["dense"] = "dense"
    units: int = Field(ge=1, le=MAXIMUM_UNITS, strict=True, description="How many neurons the layer has.")
    activation: ActivationSpec = IdentitySpec()
    init: InitializerName = Field("auto", description="How W starts; `auto` is He for ReLUs and Glorot for the rest.")


class DropoutSpec(Spec):
    """While training, each input is zeroed with probability `rate` and the others are divided by 1 − rate."""

    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1)


class ActivationLayerSpec(Spec):
    """An activation as a layer of its own."""

    type: Literal["activation"] = "activation"
    activation: ActivationSpec


LayerSpec = Annotated[DenseSpec | DropoutSpec | ActivationLayerSpec, Field(discriminator="type")]


class OutputSpec(Spec):
    """The head: the dense layer whose units the target decides. `init` as in a dense layer."""

    activation: ActivationSpec
    units: int | None = Field(None, ge=1, strict=True, description="Decided by the target; given, it must agree.")
    init: InitializerName = "auto"


def _head(value: Any) -> Any:
    """Let a bare activation name stand for the whole head."""
    return {"activation": value} if isinstance(value, str) and value != "auto" else value


class NetworkSpec(Spec):
    """The hidden layers in order, and the head. No hidden layer at all is logistic or linear regression."""

    layers: tuple[LayerSpec, ...] = Field(max_length=MAXIMUM_LAYERS)
    output: Annotated[
        Literal["auto"] | OutputSpec, BeforeValidator(_head, json_schema_input_type=str | dict[str, Any])
    ] = "auto"


# Training ----------------------------------------------------------------------------------------------------------


class SgdSpec(Spec):
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if asked for."""

    type: Literal["sgd"] = "sgd"
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to look ahead with, got momentum 0")
        return self


class AdamSpec(Spec):
    """Adam: steps scaled by running estimates of the gradient's first and second moment."""

    type: Literal["adam"] = "adam"
    learning_rate: float = Field(0.001, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)


OptimizerSpec = Annotated[
    SgdSpec | AdamSpec,
    Field(discriminator="type"),
    BeforeValidator(_named, json_schema_input_type=str | dict[str, Any]),
]


class EarlyStoppingSpec(Spec):
    """Stop when the monitored number has not improved for `patience` epochs. The best parameters are kept anyway."""

    monitor: Monitor | Literal["auto"] = Field("auto", description="`auto`: validation.loss, or train.loss without it.")
    patience: int = Field(30, ge=1, strict=True, description="Epochs without improvement before training ends.")
    min_delta: float = Field(0.0, ge=0, description="What counts as improvement.")


class CheckpointsSpec(Spec):
    """Which epochs' checkpoints to keep beside best, last and the one before."""

    every: int | None = Field(None, ge=1, strict=True, description="Also keep the checkpoint of every n-th epoch.")
    keep: int = Field(20, ge=1, le=1000, strict=True, description="At most so many of those, the newest.")


class TrainingSpec(Spec):
    """How the network is trained."""

    loss: LossName | Literal["auto"] = "auto"
    epochs: int = Field(200, ge=1, le=1_000_000, strict=True)
    batch_size: int = Field(32, ge=1, strict=True)
    optimizer: OptimizerSpec = AdamSpec()
    l2: float = Field(0.001, ge=0, description="λ of the penalty ½λ‖W‖² on every weight matrix (never on b).")
    early_stopping: EarlyStoppingSpec | None = EarlyStoppingSpec()
    checkpoints: CheckpointsSpec = CheckpointsSpec()
    dtype: Dtype = "float32"
    shards: int = Field(1, ge=1, le=64, strict=True, description="A batch's gradient is summed over so many parts.")


class SplitSpec(Spec):
    """Which share of the rows validates and which tests; the rest trains."""

    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)
    stratify: bool = Field(True, description="Keep the classes' shares in every part (classification only).")

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation + test: expected less than 1, so that rows are left to train on")
        return self


def _listed(value: Any) -> Any:
    """Let one target column stand for a list of one."""
    return [value] if isinstance(value, str) else value


ColumnName = Annotated[str, Field(min_length=1, max_length=500)]
DEFAULT_HIDDEN = (DenseSpec(units=64, activation=ReluSpec()), DenseSpec(units=32, activation=ReluSpec()))


class RunSpec(Spec):
    """One training of one network on one dataset with one seed; only `target` is required."""

    target: Annotated[
        tuple[ColumnName, ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=1000),
    ]
    features: tuple[ColumnName, ...] | None = Field(None, description="The columns to learn from; all others if null.")
    task: Task = "auto"
    split: SplitSpec = SplitSpec()
    network: NetworkSpec = NetworkSpec(layers=DEFAULT_HIDDEN)
    training: TrainingSpec = TrainingSpec()
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


_HEADS: dict[str, tuple[ActivationSpec, LossName]] = {
    "regression": (IdentitySpec(), "half_squared_error"),
    "binary": (SigmoidSpec(), "binary_cross_entropy"),
    "multilabel": (SigmoidSpec(), "binary_cross_entropy"),
    "multiclass": (SoftmaxSpec(), "cross_entropy"),
}
_LOSS_OF = {"sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}
_RELUS = ("relu", "leaky_relu")


def resolve(spec: RunSpec, facts: TargetFacts, *, features: tuple[str, ...], has_validation: bool) -> RunSpec:
    """Fill in every default that depends on the data.

    `features` are the columns learned from; `has_validation` tells whether the split leaves validation rows.
    Raises SpecError for a head or a monitor that can't work, with advice.
    """
    output, loss = _resolve_head(spec, facts)
    layers = tuple(_resolve_layer(layer) for layer in spec.network.layers)
    training = spec.training.model_copy(
        update={"loss": loss, "early_stopping": _resolve_stopping(spec.training, facts, has_validation)}
    )
    return spec.model_copy(
        update={
            "features": features,
            "task": facts.task,
            "network": NetworkSpec(layers=layers, output=output),
            "training": training,
        }
    )


def _resolve_layer(layer: LayerSpec) -> LayerSpec:
    if isinstance(layer, DenseSpec):
        return layer.model_copy(update={"init": resolve_init(layer.init, layer.activation.type)})
    return layer


def resolve_init(init: InitializerName, activation: str) -> InitializerName:
    """`auto` is He's normal before a ReLU (He et al. 2015) and Glorot's uniform elsewhere (Glorot & Bengio 2010)."""
    if init != "auto":
        return init
    return "he_normal" if activation in _RELUS else "glorot_uniform"


def _resolve_head(spec: RunSpec, facts: TargetFacts) -> tuple[OutputSpec, LossName]:
    default_activation, default_loss = _HEADS[facts.kind]
    asked = spec.network.output
    output = OutputSpec(activation=default_activation) if asked == "auto" else asked
    activation = output.activation.type
    units = 2 if facts.kind == "binary" and activation == "softmax" else facts.outputs
    _check_head(activation, output.units, units, facts)
    if spec.training.loss != "auto":
        loss = spec.training.loss
    elif facts.task == "classification":
        loss = _LOSS_OF[activation]  # type: ignore[assignment]
    else:
        loss = default_loss
    _check_loss(loss, activation, facts)
    return output.model_copy(update={"units": units, "init": resolve_init(output.init, activation)}), loss


def _check_head(activation: str, asked: int | None, units: int, facts: TargetFacts) -> None:
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
    fitting = {"binary": ("sigmoid", "softmax"), "multilabel": ("sigmoid",), "multiclass": ("softmax",)}[facts.kind]
    if activation not in fitting:
        raise SpecError(
            place,
            f"expected {' or '.join(fitting)}, whose outputs are the classes' probabilities, got {activation}",
            code="impossible_head",
            allowed=fitting,
        )


def _check_loss(loss: str, activation: str, facts: TargetFacts) -> None:
    place = "training.loss"
    if facts.task == "regression" and loss != "half_squared_error":
        raise SpecError(
            place,
            f"{loss} compares probabilities with classes, but the target holds numbers; use half_squared_error",
            code="impossible_loss",
            allowed=["half_squared_error"],
        )
    if facts.task == "classification" and loss not in (_LOSS_OF[activation], "half_squared_error"):
        raise SpecError(
            place,
            f"expected {_LOSS_OF[activation]} (or half_squared_error) behind {activation}, got {loss}",
            code="impossible_loss",
            allowed=[_LOSS_OF[activation], "half_squared_error"],
        )


def _resolve_stopping(training: TrainingSpec, facts: TargetFacts, has_validation: bool) -> EarlyStoppingSpec | None:
    stopping = training.early_stopping
    if stopping is None:
        return None
    if stopping.monitor == "auto":
        return stopping.model_copy(update={"monitor": "validation.loss" if has_validation else "train.loss"})
    part, metric = stopping.monitor.split(".")
    place = "training.early_stopping.monitor"
    if part == "validation" and not has_validation:
        raise SpecError(
            place,
            f"{stopping.monitor} needs validation rows, but the split leaves none; use train.{metric} or another split",
            code="impossible_monitor",
        )
    fitting = ("loss", "accuracy") if facts.task == "classification" else ("loss", "mae", "r2")
    if metric not in fitting:
        raise SpecError(
            place,
            f"{metric} is not a metric of {facts.task}",
            code="impossible_monitor",
            allowed=[f"{part}.{name}" for name in fitting],
        )
    return stopping
