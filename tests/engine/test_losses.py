import numpy as np
import pytest

from engine.errors import DataError
from engine.losses import LOSSES
from engine.plans import run
from engine.workspace import Workspace
from tests.engine.factories import dense, head_of, loss_of, network, rows, targets


def head_losses(loss: str, activation: str, Z: list[list[float]], Y: list[list[float]], dtype: str) -> np.ndarray:
    """The example losses of a head whose Z is given: one dense layer with W = I."""
    n = len(Z[0])
    net = network(dense(n, activation), n_in=n, loss=loss)
    parameters = net.flatten({"W.1": np.eye(n), "b.1": np.zeros(n)}, dtype=dtype)
    batch = Workspace(net, parameters, rows=len(Z), gradients=False).cut(len(Z))
    batch.X[...], batch.Y[...] = Z, Y
    with np.errstate(all="ignore"):
        batch.forward()
        return batch.example_losses().copy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_is_exact_far_from_zero(dtype: str) -> None:
    found = head_losses("binary_cross_entropy", "sigmoid", [[1000.0], [-1000.0], [1000.0]], [[0], [1], [1]], dtype)

    assert found.tolist() == [1000.0, 1000.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_is_exact_far_from_zero(dtype: str) -> None:
    Z, Y = [[1000.0, 0.0, -1000.0], [1000.0, 0.0, -1000.0]], [[0, 0, 1], [1, 0, 0]]

    assert head_losses("cross_entropy", "softmax", Z, Y, dtype).tolist() == [2000.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_confident_right_answer_keeps_its_tiny_loss(dtype: str) -> None:
    found = head_losses("binary_cross_entropy", "sigmoid", [[30.0]], [[1]], dtype)

    assert found[0] == pytest.approx(np.log1p(np.exp(-30.0)), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_out", [2, 5])
def test_both_ways_to_the_loss_agree(loss: str, n_out: int) -> None:
    net = network(dense(6), dense(n_out, head_of(loss)), loss=loss)
    batch = Workspace(net, net.initial_parameters(seed=1, dtype="float64"), rows=9, shared=False).cut(9)
    batch.X[...], batch.Y[...] = rows(9), targets(loss, 9, n_out)
    batch.forward()
    from_z = batch.example_losses().copy()

    run(net.loss.from_A(batch.head))

    np.testing.assert_allclose(batch.head.examples, from_z, rtol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_shortcut_and_the_general_path_give_the_same_gradient(loss: str) -> None:
    net = network(dense(6), dense(3, head_of(loss)), loss=loss)
    batch = Workspace(net, net.initial_parameters(seed=1, dtype="float64"), rows=9).cut(9)
    batch.X[...], batch.Y[...] = rows(9), targets(loss, 9, 3)
    batch.forward()

    batch.backward(shortcut=True)
    short = batch.workspace.gradient.copy()
    batch.backward(shortcut=False)

    np.testing.assert_allclose(batch.workspace.gradient, short, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "Y", "place"),
    [
        ("binary_cross_entropy", [[0.5, 1.0], [0.0, -0.1]], r"Y\[1\]\[1\]: expected a share from 0 to 1, got -0.1"),
        ("cross_entropy", [[1.0, 0.0], [0.5, 0.6]], r"Y\[1\]: expected shares .* sum of 1.1"),
        ("cross_entropy", [[np.nan, 0.0]], r"Y\[0\]\[0\]"),
    ],
)
def test_targets_a_loss_is_not_defined_for_are_named(loss: str, Y: list[list[float]], place: str) -> None:
    with pytest.raises(DataError, match=place):
        LOSSES[loss](loss_of(loss)).check(np.array(Y))
