import pytest
from pydantic import ValidationError

from engine.errors import SpecError
from engine.spec import RunSpec, TargetFacts, resolve

BINARY, THREE = TargetFacts("binary", 1), TargetFacts("multiclass", 3)
NUMBER, LABELS = TargetFacts("regression", 1), TargetFacts("multilabel", 2)


def resolved(facts: TargetFacts, *, has_validation: bool = True, **fields: object) -> RunSpec:
    spec = RunSpec.model_validate({"target": "y", **fields})
    return resolve(spec, facts, features=("a",), has_validation=has_validation)


@pytest.mark.parametrize(
    ("facts", "activation", "units", "loss"),
    [
        (NUMBER, "identity", 1, "half_squared_error"),
        (BINARY, "sigmoid", 1, "binary_cross_entropy"),
        (THREE, "softmax", 3, "cross_entropy"),
        (LABELS, "sigmoid", 2, "binary_cross_entropy"),
    ],
)
def test_the_head_and_the_loss_follow_the_target(facts: TargetFacts, activation: str, units: int, loss: str) -> None:
    spec = resolved(facts)

    assert spec.network.output.activation.type == activation  # type: ignore[union-attr]
    assert spec.network.output.units == units  # type: ignore[union-attr]
    assert spec.training.loss.type == loss
    assert spec.task == facts.task


def test_a_resolved_spec_sent_again_is_the_same_spec() -> None:
    once = resolved(THREE)

    again = resolve(RunSpec.model_validate(once.model_dump(mode="json")), THREE, features=("a",), has_validation=True)

    assert again == once


def test_nothing_is_left_open_in_a_resolved_spec() -> None:
    """Columns' encodings are decided one by one, and are in the run's preprocessing."""
    assert '"auto"' not in resolved(BINARY).model_dump_json(exclude={"preprocessing"})


def test_two_classes_may_ask_for_a_softmax() -> None:
    spec = resolved(BINARY, network={"layers": [], "output": "softmax"})

    assert spec.network.output.units == 2  # type: ignore[union-attr]
    assert spec.training.loss.type == "cross_entropy"


@pytest.mark.parametrize(
    ("facts", "fields", "message"),
    [
        (NUMBER, {"network": {"layers": [], "output": "softmax"}}, "network.output: softmax on one unit is always 1"),
        (THREE, {"network": {"layers": [], "output": "sigmoid"}}, "network.output: expected softmax"),
        (
            BINARY,
            {"network": {"layers": [], "output": {"activation": "sigmoid", "units": 4}}},
            "network.output.units: expected 1",
        ),
        (
            THREE,
            {"training": {"loss": "binary_cross_entropy"}},
            "training.loss: binary_cross_entropy does not learn what the target holds, classes \\(multiclass\\)",
        ),
        (
            NUMBER,
            {"training": {"loss": "cross_entropy"}},
            "training.loss: cross_entropy does not learn what the target holds, numbers",
        ),
        (
            THREE,
            {"training": {"early_stopping": {"monitor": "validation.mae"}}},
            "monitor: mae is not a metric of classification",
        ),
        (
            NUMBER,
            {"training": {"early_stopping": {"monitor": "validation.f1"}}},
            "monitor: f1 is not a metric of regression",
        ),
    ],
)
def test_what_can_never_work_is_refused_with_advice(
    facts: TargetFacts, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=message.replace(".", r"\.")):
        resolved(facts, **fields)


def test_monitoring_validation_needs_validation_rows() -> None:
    with pytest.raises(SpecError, match="needs validation rows"):
        resolved(THREE, has_validation=False, training={"early_stopping": {"monitor": "validation.loss"}})


@pytest.mark.parametrize(("monitor", "instead"), [("validation.accuracy", "accuracy"), ("validation.f1", "loss")])
def test_what_takes_the_place_of_a_monitor_without_rows_can_be_monitored(monitor: str, instead: str) -> None:
    with pytest.raises(SpecError, match=rf"use train\.{instead} or another split"):
        resolved(THREE, has_validation=False, training={"early_stopping": {"monitor": monitor}})


def test_monitors_of_the_task_are_listed() -> None:
    with pytest.raises(SpecError) as caught:
        resolved(THREE, training={"early_stopping": {"monitor": "validation.r2"}})

    names = ("loss", "accuracy", "balanced_accuracy", "f1")
    assert list(caught.value.allowed) == [f"validation.{name}" for name in names]


def test_without_validation_rows_the_objective_is_monitored() -> None:
    assert resolved(THREE, has_validation=False).training.early_stopping.monitor == "train.objective"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "fields",
    [
        {"tarjet": "y"},
        {"training": {"epochs": 0}},
        {"training": {"epochs": 1.5}},
        {"training": {"optimizer": {"type": "adam", "learning_rate": float("nan")}}},
        {"training": {"optimizer": {"type": "sgd", "nesterov": True}}},
        {"network": {"layers": [{"type": "dense", "units": 0}]}},
        {"network": {"layers": [{"type": "conv9d"}]}},
        {"split": {"validation": 0.5, "test": 0.5}},
        {"seed": -1},
    ],
)
def test_a_field_that_can_not_be_right_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunSpec.model_validate({"target": "y", **fields})


def test_bare_names_stand_for_activations_and_optimizers() -> None:
    spec = RunSpec.model_validate(
        {
            "target": "y",
            "network": {"layers": [{"type": "dense", "units": 3, "activation": "leaky_relu"}]},
            "training": {"optimizer": "sgd"},
        }
    )

    assert spec.network.layers[0].activation.slope == 0.01  # type: ignore[union-attr]
    assert spec.training.optimizer.type == "sgd"


@pytest.mark.parametrize(
    ("training", "l2"),
    [
        ({}, 0.001),
        ({"optimizer": "adamw"}, 0),
        ({"optimizer": {"type": "adamw", "weight_decay": 0}}, 0.001),
        ({"optimizer": {"type": "lion", "weight_decay": 0.1}}, 0),
        ({"optimizer": "adamw", "l2": 0.01}, 0.01),
    ],
)
def test_weights_that_decay_on_their_own_have_no_penalty_unless_asked(training: dict[str, object], l2: float) -> None:
    assert resolved(THREE, training=training).training.l2 == l2
