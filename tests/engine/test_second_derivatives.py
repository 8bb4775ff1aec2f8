"""Every activation's and every loss's second derivative on its own: PyTorch's numbers, tails, and the kinks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.catalogue import catalogue
from engine.losses import LOSSES, Head
from engine.parameters import Array
from engine.plans import run
from engine.symmetric import Diagonal, OfShares, Symmetric
from tests.engine.factories import loss_of, rows, targets
from tests.engine.test_activations import GRID, VARIANTS, activation, slot_of

REFERENCE = json.loads((Path(__file__).parent / "reference" / "curvature.json").read_text(encoding="utf-8"))
SPECS = json.loads((Path(__file__).parent / "reference" / "activations.json").read_text(encoding="utf-8"))[
    "elementwise"
]
ELEMENTWISE = [name for name in VARIANTS if name != "softmax"]


def second(spec: dict[str, Any], Z: Array) -> Array:
    layer = activation(spec, Z.shape[1:])
    slot = slot_of(layer, Z, np.ones_like(Z))
    with np.errstate(all="ignore"):
        run(layer.forward(slot))
        found = layer.second(slot)
    return np.zeros_like(Z) if found is None else found


# Activations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_every_second_derivative_is_pytorchs(name: str) -> None:
    found, expected = second(SPECS[name]["spec"], GRID[:, None])[:, 0], np.array(REFERENCE["second"][name])

    if name.startswith(("elu", "selu")):
        expected[GRID == 0] = found[GRID == 0]  # of the piece up to 0, whose slope PyTorch takes there too; it says 0
    known = ~np.isnan(expected)  # PyTorch's mish is undefined at 1000
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_far_out_nothing_becomes_undefined(name: str) -> None:
    found = second(VARIANTS[name], np.array([[-1e6, -1000.0, 1000.0, 1e6]]))

    assert np.isfinite(found[0, :2]).all()
    assert np.isfinite(found[0, 2:]).all() or name == "exponential"


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu"])
def test_what_is_small_is_as_exact_as_what_is_large(name: str) -> None:
    Z = np.array([[18.0, 30.0, 300.0]])
    E = np.exp(-Z)
    expected = {"sigmoid": -E, "tanh": -8 * E**2, "softplus": E, "silu": E * (2 - Z)}[name]

    np.testing.assert_allclose(second(VARIANTS[name], Z), expected, rtol=1e-6)  # where terms of E² are far below


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("elu", 0.0, 1.0),
        ("elu, alpha 1.7", 0.0, 1.7),
        ("softsign", 0.0, 0.0),
        ("relu", 0.0, 0.0),
        ("hard_tanh", 1.0, 0.0),
    ],
)
def test_at_a_kink_it_is_that_of_the_piece_whose_slope_is_taken(name: str, at: float, expected: float) -> None:
    assert second(VARIANTS[name], np.array([[at]])) == [[expected]]


# Losses ------------------------------------------------------------------------------------------------------------


def head_of(A: float, Y: float) -> Head:
    return Head(
        **{name: np.array([[{"Y": Y}.get(name, A)]]) for name in Head.__slots__ if name != "weights"}, weights=None
    )


@pytest.mark.parametrize(
    ("loss", "A", "Y", "expected"),
    [
        ("huber", 3.0, 2.0, 1.0),
        ("huber", 3.0 + 1e-9, 2.0, 0.0),
        ("squared_hinge", 1.0, 1.0, 0.0),
        ("squared_hinge", 1.0 - 1e-9, 1.0, 2.0),
        ("hinge", 1.0, 1.0, 0.0),
        ("absolute_error", 2.0, 2.0, 0.0),
        ("quantile", 2.0, 2.0, 0.0),
        ("poisson", 0.0, 0.0, 0.0),
        ("binary_cross_entropy", 0.0, 0.0, 1.0),
        ("binary_cross_entropy", 1.0, 1.0, 1.0),
        ("cross_entropy", 0.0, 0.0, 0.0),
        ("focal", 0.0, 0.0, 0.0),
        ("log_cosh", 1000.0, 0.0, 0.0),
    ],
)
def test_at_an_edge_it_is_that_of_the_piece_whose_derivative_is_taken(
    loss: str, A: float, Y: float, expected: float
) -> None:
    assert LOSSES[loss](loss_of(loss)).ddA(head_of(A, Y)) == [[expected]]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("loss", ["focal", "binary_focal"])
def test_a_focal_loss_of_any_gamma_bends_as_its_derivative_changes(loss: str, gamma: float) -> None:
    kind = LOSSES[loss](loss_of(loss, gamma=gamma))
    Z, Y = rows(6, 3), targets(loss, 6, 3)
    form = (lambda r, A: OfShares(r, A)) if loss == "focal" else (lambda r, A: Diagonal(r))

    found = form(kind.ddZ(passed(kind, Z, Y)), passed(kind, Z, Y).A).full()

    for k, step in enumerate(np.eye(3) * 1e-6):
        up, down = (passed(kind, Z + sign * step, Y).dZ for sign in (1, -1))
        np.testing.assert_allclose(found[:, k], (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


def passed(kind: Any, Z: Array, Y: Array) -> Head:
    """A head behind the canonical activation, with dZ."""
    A = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True) if kind.canonical == "softmax" else 1 / (1 + np.exp(-Z))
    head = Head(
        Z,
        A,
        Y,
        *(np.empty_like(Z) for _ in range(2)),
        np.empty(len(Z)),
        *(np.empty_like(Z) for _ in range(2)),
        np.empty((len(Z), 1)),
        None,
    )
    run(kind.dZ(head))
    return head


@pytest.mark.parametrize("kind", ["activations", "losses"])
def test_the_catalogue_says_every_second_derivative(kind: str) -> None:
    assert all(entry["second_derivative"] for entry in catalogue()[kind])


# The matrices ------------------------------------------------------------------------------------------------------


def shares(m: int = 4, n: int = 5) -> Array:
    A = np.exp(rows(m, n) * 3)
    return A / A.sum(axis=1, keepdims=True)


FORMS: dict[str, tuple[Symmetric, Array]] = {}
for _r in [rows(4, 5, seed=2)]:
    _E = np.eye(5) - shares()[:, None, :]
    FORMS["diagonal"] = (Diagonal(_r), np.stack([np.diag(each) for each in _r]))
    FORMS["of shares"] = (OfShares(_r, shares()), np.einsum("ikj,ik,ikl->ijl", _E, _r, _E))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_its_matrix(name: str) -> None:
    form, whole = FORMS[name]
    V, H = rows(8, 5).reshape(2, 4, 5), rows(20, 5).reshape(4, 5, 5)
    H = H + H.transpose(0, 2, 1)

    np.testing.assert_allclose(form.full(), whole, atol=1e-14)
    np.testing.assert_allclose(form.diagonal(), np.einsum("ijj->ij", whole), atol=1e-14)
    np.testing.assert_allclose(form.times(V), np.einsum("ijk,cik->cij", whole, V), atol=1e-13)
    np.testing.assert_allclose(form.around(H), whole @ H @ whole, atol=1e-12)
    columns, signs = form.columns(), np.sign(form.r.T)
    np.testing.assert_allclose(np.einsum("ci,cij,cik->ijk", signs, columns, columns), whole, atol=1e-14)
    np.testing.assert_array_equal(form.rows(slice(1, 3)).full(), form.full()[1:3])


def test_softmaxs_own_jacobian_is_of_that_form() -> None:
    A = shares()

    np.testing.assert_allclose(OfShares(A, A).full(), np.stack([np.diag(a) - np.outer(a, a) for a in A]), atol=1e-15)
