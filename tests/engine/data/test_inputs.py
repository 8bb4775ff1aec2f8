"""Inputs with a shape: every feature keeps its place."""

import numpy as np
import pytest
from pydantic import ValidationError

from engine.data import Preprocessing, Table
from engine.errors import DataError, SpecError
from engine.network import Network
from engine.spec import RunSpec, resolve
from tests.engine.data.factories import spec, table

COUNT = 20


def pixels(**more: list[object]) -> Table:
    """Four pixels, the first always dark and the third blank, and what is seen on them."""
    columns: dict[str, list[object]] = {
        "p0": [7] * COUNT,
        "p1": list(range(COUNT)),
        "p2": [None] * COUNT,
        "p3": [None if i == 3 else i % 2 * 10.0 for i in range(COUNT)],
        "label": [("a", "b")[i % 2] for i in range(COUNT)],
    }
    return table(**{**columns, **more})


def fit(found: Table | None = None, *, features: tuple[str, ...] | None = None, **shape: object) -> Preprocessing:
    chosen = features or ("p0", "p1", "p2", "p3")
    network = {"layers": [], "input": {"shape": [2, 2, 1], **shape}}
    return Preprocessing.fit(found or pixels(p2=[0] * COUNT), spec("label", features=chosen, network=network))


def test_a_constant_keeps_its_place_as_zeros_and_is_said() -> None:
    found = fit()

    X = found.encode_features(pixels(p2=[0] * COUNT), dtype="float64")
    assert found.dropped == ()
    assert X.shape == (COUNT, 4)
    assert (X[:, [0, 2]] == 0).all()
    assert X[:, 1].std() > 0.5
    assert "p0: the same in every training row; kept as 0, since the input has a shape" in found.warnings


def test_a_constant_that_changes_after_training_stays_finite() -> None:
    X = fit().encode_rows([[9, 1, 0, 0]], dtype="float32").X

    assert X[0, 0] == 2


def test_features_lie_in_the_order_asked_for() -> None:
    forward, backward = fit(), fit(features=("p3", "p2", "p1", "p0"))

    found = pixels(p2=[0] * COUNT)
    np.testing.assert_array_equal(
        forward.encode_features(found, dtype="float64")[:, ::-1], backward.encode_features(found, dtype="float64")
    )


def test_without_scaling_numbers_stay_as_they_are_and_a_blank_is_one_of_them() -> None:
    found = fit(scaling="none")

    X = found.encode_rows([[7, 4, 0, None]], dtype="float64").X

    assert X[0, :3].tolist() == [7, 4, 0]
    assert X[0, 3] in (0, 10)


def test_what_was_fitted_comes_back_from_json() -> None:
    found = fit(scaling="none")

    assert Preprocessing.from_json(found.to_json()) == found


def test_text_has_no_place_in_a_shape() -> None:
    with pytest.raises(DataError, match=r"columns\.p1: expected numbers, which network\.input gives a shape, got text"):
        fit(pixels(p1=["x", "y"] * (COUNT // 2)))


@pytest.mark.parametrize("shape", [[2, 3, 1], [2], [2, 2, 2]])
def test_a_shape_holds_exactly_the_features(shape: list[int]) -> None:
    asked = spec("label", features=("p0", "p1", "p3"), network={"layers": [], "input": {"shape": shape}})
    found = Preprocessing.fit(pixels(), asked)
    resolved = resolve(asked, found.facts, features=found.feature_names, has_validation=True)

    with pytest.raises(SpecError, match=r"network\.input\.shape: expected a shape that holds the 3 numbers of a row"):
        Network.of(resolved, n_in=found.n_in)


def test_a_resolved_spec_keeps_the_input_and_sent_again_is_the_same() -> None:
    asked = spec(
        "label",
        network={
            "input": {"shape": [2, 2, 1], "scaling": "none"},
            "layers": [{"type": "conv2d", "filters": 2, "kernel_size": [2, 1], "activation": "relu"}, "flatten"],
        },
    )
    facts = fit().facts

    once = resolve(asked, facts, features=("p0",), has_validation=True)
    again = resolve(RunSpec.model_validate(once.model_dump(mode="json")), facts, features=("p0",), has_validation=True)

    assert once == again
    assert once.network.input == asked.network.input
    assert once.network.layers[0].init.type == "he_normal"  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [[], [0], [2, -1], [1, 1, 1, 1, 4], [2.5], "4"])
def test_a_shape_that_can_not_be_right_is_refused(shape: object) -> None:
    with pytest.raises(ValidationError):
        spec("label", network={"layers": [], "input": {"shape": shape}})


def test_all_places_lie_in_one_range_where_that_is_asked_for() -> None:
    dark = pixels(p2=[0] * COUNT, p3=[i % 2 * 10.0 for i in range(COUNT)])
    found = fit(dark, scaling="range")

    rows = found.split(dark).train
    own = np.stack([dark.numbers(name, rows) for name in found.feature_names], axis=1)
    X = found.encode_features(dark, rows, dtype="float64")

    np.testing.assert_allclose(X, (own - own.min()) / (own.max() - own.min()), rtol=1e-12)
    assert (X.min(), X.max()) == (0, 1)
    assert len({(feature.mean, feature.scale) for feature in found.features}) == 1
