import numpy as np
import pytest

from engine.errors import SpecError
from engine.layers import ActivationLayerSpec, DropoutSpec
from engine.losses import CrossEntropySpec
from engine.network import EVALUATION_ROWS, Network
from engine.spec import RunSpec, TargetFacts, resolve
from engine.workspace import Workspace
from tests.engine.factories import dense, network, rows, targets


def test_parameters_are_numbered_in_order_with_w_beside_b() -> None:
    net = network(dense(5), DropoutSpec(rate=0.5), dense(3, "softmax"))

    assert net.shapes == {"W.1": (4, 5), "b.1": (5,), "W.2": (5, 3), "b.2": (3,)}
    assert net.parameter_count == 4 * 5 + 5 + 5 * 3 + 3


def test_every_boundary_has_its_name() -> None:
    relu = ActivationLayerSpec(activation="relu")  # type: ignore[arg-type]
    net = network(DropoutSpec(rate=0.5), dense(5, "identity"), relu, dense(3, "softmax"))

    assert net.boundary_names == ("A.0", "layers.0.y", "Z.1", "A.1", "layers.2.y", "Z.2", "A.2")


def test_views_write_through_to_the_flat_vector() -> None:
    net = network()
    flat = net.initial_parameters(seed=1, dtype="float32")

    net.views(flat)["b.2"][...] = 7

    assert flat[-3:].tolist() == [7, 7, 7]


def test_named_parameters_become_the_flat_vector_they_came_from() -> None:
    net = network()
    flat = net.initial_parameters(seed=1, dtype="float64")
    named = {name: view.tolist() for name, view in net.views(flat).items()}

    np.testing.assert_array_equal(net.flatten(named, dtype="float64"), flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W.9": [1.0]}, r"parameters\.W\.9: there is no such parameter"),
        ({"b.1": None}, r"parameters: expected W\.1, b\.1, W\.2, b\.2, but b\.1 is missing"),
        ({"b.1": [1.0, 2.0]}, r"parameters\.b\.1: expected shape \[5\], got \[2\]"),
        ({"b.1": ["x"] * 5}, r"parameters\.b\.1: expected numbers of shape \[5\]"),
        ({"W.1": [[1.0], [1.0, 2.0]]}, r"parameters\.W\.1: expected numbers of shape \[4, 5\]"),
    ],
)
def test_wrong_parameters_are_named(change: dict[str, object], message: str) -> None:
    net = network()
    named: dict[str, object] = dict(net.views(net.initial_parameters(seed=1, dtype="float64")))
    named = {name: value for name, value in (named | change).items() if value is not None}

    with pytest.raises(SpecError, match=message):
        net.flatten(named, dtype="float64")


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(SpecError, match=r"network\.layers: expected at least one layer"):
        Network.build([], input_shape=(4,), loss=CrossEntropySpec())


def test_prediction_leaves_dropout_out() -> None:
    with_dropout = network(dense(5), DropoutSpec(rate=0.9), dense(3, "softmax"))
    without = network(dense(5), dense(3, "softmax"))
    parameters = without.initial_parameters(seed=1, dtype="float64")

    np.testing.assert_array_equal(with_dropout.predict(parameters, rows(8)), without.predict(parameters, rows(8)))


@pytest.mark.parametrize("m", [0, 1, EVALUATION_ROWS, EVALUATION_ROWS + 3])
def test_any_number_of_rows_is_predicted_in_order(m: int) -> None:
    net = network()
    parameters, X = net.initial_parameters(seed=1, dtype="float64"), rows(m)

    A = net.predict(parameters, X)

    assert A.shape == (m, 3)
    for row in {0, m - 1} & set(range(m)):
        np.testing.assert_allclose(A[row], net.predict(parameters, X[row : row + 1])[0], rtol=1e-13)


def test_the_mean_loss_does_not_depend_on_how_rows_are_cut() -> None:
    net = network()
    parameters, m = net.initial_parameters(seed=1, dtype="float64"), 2 * EVALUATION_ROWS + 100
    X, Y = rows(m), targets("cross_entropy", m, 3)

    found = net.evaluate(parameters, X, Y)

    expected = -np.log((found.A * Y).sum(axis=1)).mean()
    assert found.loss == pytest.approx(expected, rel=1e-12)


def test_a_resolved_run_spec_builds_hidden_layers_and_the_head() -> None:
    spec = resolve(RunSpec(target="y"), TargetFacts("multiclass", 3), features=("a", "b"), has_validation=True)

    net = Network.of(spec, n_in=2)

    assert net.shapes["W.1"] == (2, 128)
    assert net.shapes["W.2"] == (128, 3)
    assert net.has_canonical_head


def test_a_shared_workspace_holds_fewer_arrays_than_an_unshared_one() -> None:
    net = network(dense(5, "relu"), dense(5, "sigmoid"), dense(3, "softmax"))
    parameters = net.initial_parameters(seed=1, dtype="float64")

    counts = [
        len({id(array) for array in workspace.outputs + workspace.derivatives})
        for workspace in (Workspace(net, parameters, rows=4, shared=shared) for shared in (True, False))
    ]

    assert counts[0] < counts[1] == 14


def test_dropout_masks_follow_from_the_step_alone() -> None:
    net = network(DropoutSpec(rate=0.5), dense(3, "softmax"), n_in=200)
    workspace = Workspace(net, net.initial_parameters(seed=1, dtype="float32"), rows=10, training=True)
    batch = workspace.cut(10)
    batch.X[...] = 1
    masks = []
    for step in (1, 2, 1):
        workspace.at(seed=9, epoch=0, step=step)
        batch.forward()
        masks.append(batch.slots[0].y.copy())

    assert np.array_equal(masks[0], masks[2])
    assert not np.array_equal(masks[0], masks[1])
    assert set(np.unique(masks[0])) == {0.0, 2.0}
    assert masks[0].mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("shared", [True, False])
def test_dropouts_gradient_is_that_of_the_net_with_its_mask(activation: str, shared: bool) -> None:
    net = network(dense(6, activation), DropoutSpec(rate=0.5), dense(3, "softmax"))
    parameters = net.initial_parameters(seed=1, dtype="float64")
    workspace = Workspace(net, parameters, rows=8, shared=shared, training=True)
    workspace.at(seed=1, epoch=2, step=3)
    batch = workspace.cut(8)
    batch.X[...], batch.Y[...] = rows(8), targets("cross_entropy", 8, 3)

    def loss() -> float:
        batch.forward()
        return float(batch.example_losses().sum())

    loss()
    batch.backward()
    for place in range(0, parameters.size, 5):
        keep, values = parameters[place], []
        for nudge in (1e-6, -1e-6):
            parameters[place] = keep + nudge
            values.append(loss())
        parameters[place] = keep
        assert workspace.gradient[place] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)
