"""What a loss decides beside itself: the head, how targets are scaled, what outputs mean in words."""

from typing import Any

import numpy as np
import pytest

from engine.data import Preprocessing, Table
from engine.errors import DataError, SpecError
from engine.metrics import Judged, Truth, measure
from engine.spec import RunSpec, TargetFacts, resolve
from tests.engine.data.factories import spec, table

FACTS = {
    "regression": TargetFacts("regression", 1),
    "binary": TargetFacts("binary", 1),
    "multiclass": TargetFacts("multiclass", 3),
    "multilabel": TargetFacts("multilabel", 2),
}
HEADS = [
    ("squared_error", "regression", "identity", 1),
    ("squared_error", "binary", "sigmoid", 1),
    ("huber", "regression", "identity", 1),
    ("quantile", "regression", "identity", 1),
    ("poisson", "regression", "exponential", 1),
    ("gamma", "regression", "exponential", 1),
    ("cross_entropy", "binary", "softmax", 2),
    ("kullback_leibler", "multiclass", "softmax", 3),
    ("binary_focal", "binary", "sigmoid", 1),
    ("binary_focal", "multilabel", "sigmoid", 2),
    ("focal", "multiclass", "softmax", 3),
    ("focal", "binary", "softmax", 2),
    ("hinge", "binary", "identity", 1),
    ("hinge", "multilabel", "identity", 2),
    ("squared_hinge", "multiclass", "identity", 3),
]


def resolved(kind: str, loss: Any, output: Any = "auto") -> RunSpec:
    found = spec("y", network={"layers": [], "output": output}, training={"loss": loss})
    return resolve(found, FACTS[kind], features=("x",), has_validation=True)


@pytest.mark.parametrize(("loss", "kind", "activation", "units"), HEADS)
def test_the_head_follows_the_loss(loss: str, kind: str, activation: str, units: int) -> None:
    found = resolved(kind, loss)

    assert found.network.output.activation.type == activation  # type: ignore[union-attr]
    assert found.network.output.units == units  # type: ignore[union-attr]
    assert found.training.loss.type == loss
    again = RunSpec.model_validate(found.model_dump(mode="json"))
    assert resolve(again, FACTS[kind], features=("x",), has_validation=True) == found


@pytest.mark.parametrize(
    ("kind", "loss", "output", "message"),
    [
        (
            "regression",
            "poisson",
            "identity",
            "training.loss: .* got poisson, which goes with exponential",
        ),
        ("binary", "hinge", "sigmoid", "network.output: expected identity, whose outputs are the classes' scores"),
        ("multiclass", "hinge", "softmax", "network.output: expected identity, whose outputs are the classes' scores"),
        ("multiclass", "binary_focal", "auto", "training.loss: binary_focal does not learn .* use cross_entropy"),
        ("regression", "hinge", "auto", "training.loss: hinge does not learn .* use half_squared_error"),
        ("binary", "huber", "auto", "training.loss: huber does not learn .* use binary_cross_entropy"),
        ("multilabel", "focal", "auto", "training.loss: focal does not learn .* use binary_cross_entropy"),
        (
            "binary",
            "auto",
            "identity",
            "network.output: expected sigmoid or softmax, whose outputs are",
        ),
    ],
)
def test_a_loss_and_a_head_that_do_not_go_together_are_refused(kind: str, loss: str, output: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolved(kind, loss, output)


# Targets -----------------------------------------------------------------------------------------------------------

COUNTS = [i % 5 for i in range(100)]


def counted(counts: list[int] | list[float] = COUNTS) -> Table:
    return table(x=list(range(100)), n=counts)


def fit(loss: str, found: Table, **more: Any) -> Preprocessing:
    return Preprocessing.fit(found, spec("n", training={"loss": loss}, **more))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_targets_of_counts_and_sizes_keep_their_unit(loss: str) -> None:
    found = counted([count + 0.5 for count in COUNTS])

    fitted = fit(loss, found)

    Y = fitted.encode_targets(found, dtype="float64")
    assert Y[:, 0].tolist() == [count + 0.5 for count in COUNTS]
    assert fitted.units is not None
    assert (fitted.units.scale.tolist(), fitted.units.mean.tolist()) == ([1.0], [0.0])
    assert fitted.decode(np.array([[2.5]])) == [{"value": 2.5}]


def test_the_logarithm_is_for_losses_that_have_no_unit_of_their_own() -> None:
    found = counted([count + 0.5 for count in COUNTS])

    with pytest.raises(SpecError, match=r"preprocessing\.targets\.transform: expected none under poisson"):
        fit("poisson", found, preprocessing={"targets": {"transform": "log1p"}})


@pytest.mark.parametrize("loss", ["auto", "huber", "quantile", "log_cosh", "absolute_error", "squared_error"])
def test_other_targets_are_standardised(loss: str) -> None:
    fitted = fit(loss, counted(), task="regression")

    Y = fitted.encode_targets(counted(), fitted.split(counted()).train, dtype="float64")

    assert Y.mean() == pytest.approx(0, abs=1e-12)
    assert Y.std() == pytest.approx(1)


@pytest.mark.parametrize(("loss", "kind"), [("poisson", "regression"), ("huber", "regression"), ("auto", "multiclass")])
def test_a_loss_of_numbers_alone_makes_few_integers_numbers(loss: str, kind: str) -> None:
    assert fit(loss, counted()).facts.kind == kind


@pytest.mark.parametrize(
    ("loss", "wrong", "message"),
    [
        ("poisson", -1.0, "target: n under poisson: expected a number from 0 on, got -1"),
        ("gamma", 0.0, "target: n under gamma: expected a number above 0, got 0"),
    ],
)
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_target_the_loss_is_not_defined_for_is_refused_in_any_part(
    loss: str, wrong: float, message: str, part: str
) -> None:
    numbers = [count + 0.5 for count in COUNTS]
    split = fit(loss, counted(numbers)).split(counted(numbers))
    numbers[split.part(part)[0]] = wrong

    with pytest.raises(DataError, match=message):
        fit(loss, counted(numbers))


def test_blank_targets_are_left_out_under_poisson_too() -> None:
    numbers = [None if i == 3 else count for i, count in enumerate(COUNTS)]

    fitted = fit("poisson", table(x=list(range(100)), n=numbers))

    assert "n: blank in 1 rows, which are left out" in fitted.warnings


# Outputs in words --------------------------------------------------------------------------------------------------


def labelled(**columns: Any) -> Preprocessing:
    found = table(x=list(range(60)), **columns)
    return Preprocessing.fit(found, spec(list(columns), training={"loss": "hinge"}))


def test_the_sign_of_a_score_decides_between_two_classes() -> None:
    found = labelled(y=["no", "yes"] * 30).decode(np.array([[-0.25], [3.0], [0.0]]), scores=True)

    assert found[0] == {"label": "no", "probabilities": None, "scores": {"no": 0.25, "yes": -0.25}}
    assert found[1]["label"] == "yes"
    assert found[2]["label"] == "no"


def test_the_largest_score_decides_between_several_classes() -> None:
    (found,) = labelled(y=["a", "b", "c"] * 20).decode(np.array([[-3.0, -1.0, -2.0]]), scores=True)

    assert found == {"label": "b", "probabilities": None, "scores": {"a": -3.0, "b": -1.0, "c": -2.0}}


def test_several_labels_have_scores_of_their_own() -> None:
    (found,) = labelled(y=["no", "yes"] * 30, z=["a", "a", "b"] * 20).decode(np.array([[-1.0, 2.0]]), scores=True)

    assert [found["targets"][name]["label"] for name in ("y", "z")] == ["no", "b"]


def test_accuracy_goes_by_the_sign_of_scores_as_the_labels_do() -> None:
    A, Y = np.array([[0.25], [-0.25], [0.75], [0.0]]), np.array([[1.0], [0.0], [1.0], [0.0]])

    assert measure(Judged(A, Truth(Y, "binary"), scores=True))["accuracy"] == 1.0
    assert measure(Judged(A, Truth(Y, "binary")))["accuracy"] == 0.75
    preprocessing = labelled(y=["no", "yes"] * 30)
    labels = [each["label"] for each in preprocessing.decode(A, scores=True)]
    assert labels == ["yes", "no", "yes", "no"]
