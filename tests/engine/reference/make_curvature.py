"""Makes curvature.json with PyTorch, which the project itself never needs.

Run once from the repository's folder, in an environment of its own: `pip install torch==2.13.0 numpy`, then
`python -m tests.engine.reference.make_curvature`. Networks are put together from PyTorch's own functions. The Hessian
is the loss derived twice, row by row; the Gauss-Newton matrix is JᵀHJ with every matrix formed. Nothing of the engine
is imported.
"""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.engine.reference import drawing
from tests.engine.reference.make_activations import ACTIVATIONS, GRID
from tests.engine.reference.make_losses import CASES as LOSSES
from tests.engine.reference.make_random_networks import Network, Spec, Tensor

torch.set_default_dtype(torch.float64)

CASES = 90
HIDDEN: list[Spec] = [
    *(spec for spec, _ in ACTIVATIONS.values()),
    {"type": "prelu"},
    {"type": "prelu", "shared": True},
    {"type": "softmax"},
]
ANY = ["identity", "tanh", "sigmoid", "softmax", "silu", "gelu", "softplus", "relu", "elu", "softsign", "prelu"]
HEADS = {
    "identity": ANY,
    "exponential": ["exponential", "softplus", "sigmoid", "softmax"],
    "sigmoid": ["sigmoid", "softmax"],
    "softmax": ["softmax"],
}
"""By a loss's canonical activation, heads it is defined behind."""
SCORES = ["identity", "tanh", "silu", "softsign", "elu"]
"""The same of the hinge losses."""
BETWEEN: list[list[Spec]] = [
    [{"type": "activation", "activation": {"type": "tanh"}}],
    [{"type": "activation", "activation": {"type": "prelu"}}],
    [{"type": "dropout", "rate": 0.5}],
    [{"type": "reshape", "shape": [1, -1]}, {"type": "flatten"}],
]
SATURATING = 8.0
"""By how much the weights of some networks are larger."""


def second_derivatives() -> dict[str, list[float]]:
    """Of every elementwise activation on the grid."""
    found = {}
    for name, (_, function) in ACTIVATIONS.items():
        Z = torch.tensor(GRID, requires_grad=True)
        (slope,) = torch.autograd.grad(function(Z).sum(), Z, create_graph=True)
        second = torch.autograd.grad(slope.sum(), Z)[0] if slope.requires_grad else torch.zeros_like(Z)
        found[name] = second.tolist()
    return found


class Scaled(Network):
    """A network whose weights are larger by a factor."""

    factor = 1.0

    def _parameter(self, letter: str, *shape: int) -> Tensor:
        """One that was drawn before is the same one."""
        known = self.parameters.get(f"{letter}.{self.learning}")
        return super()._parameter(letter, *shape) if known is None else known

    def _named(self, letter: str, shape: tuple[int, ...]) -> tuple[str, Tensor]:
        name, values = super()._named(letter, shape)
        return name, values * self.factor if letter == "W" else values


def drawn_case(seed: int) -> Spec | None:
    """A network, its batch, and what PyTorch makes of them; None where that is not finite."""
    choose = random.Random(f"curvature {seed}")
    m, n_in, starts_at_0, weighted = choose.choice([1, 3, 4]), choose.randint(1, 4), *choose.choices([True, False], k=2)
    loss, options, canonical, kind, of_A, of_Z = LOSSES[seed % len(LOSSES)]
    heads = SCORES if "hinge" in loss else HEADS[canonical]
    head = canonical if choose.random() < 0.5 else choose.choice(heads)
    n_out = choose.randint(2 if canonical == "softmax" else 1, 3)

    network = Scaled(seed, training=False)
    if head == canonical and of_Z is not None and choose.random() < 0.5:
        network.factor = SATURATING
    values = drawing.inputs(seed, m, (n_in,), [])
    values[0] *= not starts_at_0
    X = torch.tensor(values, requires_grad=True)
    layers, below = drawn_layers(choose, seed), X
    for layer in layers:
        below = network.run(layer, below)
    Z = network.run({"type": "dense", "units": n_out}, below)
    A = network.activated(head, Z)
    if head in ("sigmoid", "softmax") and head != canonical and min(A.min(), 1 - A.max()) < 1e-6:
        return None  # of A has lost what the derivatives are made of
    Y, w = torch.tensor(drawing.targets(seed, kind, m, n_out)), torch.tensor(drawing.weights(seed, m))[:, 0]
    w = w * m / w.sum() if weighted else torch.ones(m)

    def losses(Z: Tensor) -> Tensor:
        """Each example's own, from Z[L]."""
        return of_Z(Z, Y) if of_Z is not None and head == canonical else of_A(network.activated(head, Z), Y)

    by = network.parameters
    H = hessian((losses(Z) * w).mean(), by)
    G = {"A": gauss_newton(A, lambda A: of_A(A, Y) * w, by)}
    if head != "prelu":
        G["Z"] = gauss_newton(Z, lambda Z: losses(Z) * w, by)
    if network.factor > 1:  # of_A has lost what is rounded to 0 or 1
        del G["A"]
    if not all(np.isfinite(matrix).all() and np.abs(matrix).max() < 1e6 for matrix in (H, *G.values())):
        return None
    return {
        "seed": seed,
        "m": m,
        "n_in": n_in,
        "layers": [*layers, {"type": "dense", "units": n_out, "activation": head}],
        "loss": {"type": loss, **options},
        "targets": kind,
        "weighted": weighted,
        "starts_at_0": starts_at_0,
        "factor": network.factor,
        "parameters": list(by),
        "hessian": said(seed, H, by),
        "ggn": {split: said(seed, matrix, by) for split, matrix in G.items()},
        "jacobian": {
            name: drawing.summary(seed, "jacobian", of_own_rows(jacobian(tensor, {"X": X}), m))
            for name, tensor in [("A", A), ("Z", Z)]
        },
    }


def drawn_layers(choose: random.Random, seed: int) -> list[Spec]:
    """Up to four hidden layers, in turn with every activation, and now and then something between them."""
    layers: list[Spec] = [
        {"type": "dense", "units": choose.randint(1, 4), "activation": HIDDEN[(seed + place * 7) % len(HIDDEN)]}
        for place in range(seed % 5)
    ]
    if layers and choose.random() < 0.3:
        layers[0]["use_bias"] = False
    if choose.random() < 0.3:
        place = choose.randint(0, len(layers))
        layers[place:place] = choose.choice(BETWEEN)
    return layers


def jacobian(values: Tensor, by: dict[str, Tensor]) -> np.ndarray:
    """Every number of `values` derived by all of these, side by side."""
    rows = []
    for value in values.flatten():
        found = torch.autograd.grad(value, list(by.values()), retain_graph=True, create_graph=True, allow_unused=True)
        parts = [zeros(tensor) if part is None else part for part, tensor in zip(found, by.values(), strict=True)]
        rows.append(torch.cat([part.flatten() for part in parts]).detach().numpy())
    return np.stack(rows)


def of_own_rows(J: np.ndarray, m: int) -> np.ndarray:
    """Each example's outputs by its own inputs: (m, n_out, n_in)."""
    parted = J.reshape(m, len(J) // m, m, J.shape[1] // m)
    return np.stack([parted[i, :, i] for i in range(m)])


def zeros(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor)


def hessian(value: Tensor, by: dict[str, Tensor]) -> np.ndarray:
    found = torch.autograd.grad(value, list(by.values()), create_graph=True, allow_unused=True)
    gradient = torch.cat(
        [(part if part is not None else zeros(by[name])).flatten() for name, part in zip(by, found, strict=True)]
    )
    return jacobian(gradient, by) if gradient.requires_grad else np.zeros((len(gradient), len(gradient)))


def gauss_newton(values: Tensor, losses: Any, by: dict[str, Tensor]) -> np.ndarray:
    """(1/m)Σ J_iᵀ·H_i·J_i, split at these values (m, n_out)."""
    m, n = values.shape
    J = jacobian(values, by).reshape(m, n, -1)
    split = values.detach().requires_grad_()
    H = torch.autograd.functional.hessian(lambda each: losses(each).sum(), split).numpy()
    return sum(J[i].T @ H[i, :, i] @ J[i] for i in range(m)) / m


def said(seed: int, matrix: np.ndarray, by: dict[str, Tensor]) -> Spec:
    """What tells a matrix from another: its diagonal and its product with a vector, by parameter; both ends."""
    v = np.concatenate([drawing.drawn(seed, f"v.{name}", tuple(tensor.shape)).ravel() for name, tensor in by.items()])
    values = np.linalg.eigvalsh(matrix)
    stretches = np.cumsum([tensor.numel() for tensor in by.values()])[:-1]

    def parts(flat: np.ndarray) -> Spec:
        split = zip(by.items(), np.split(flat, stretches), strict=True)
        return {name: drawing.summary(seed, name, part.reshape(tensor.shape)) for (name, tensor), part in split}

    return {
        "diagonal": parts(matrix.diagonal()),
        "product": parts(matrix @ v),
        "largest": values[-1],
        "smallest": values[0],
    }


if __name__ == "__main__":
    cases = [case for seed in range(CASES) if (case := drawn_case(seed))]
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = f'{{"torch": "{torch.__version__}",\n"second": {json.dumps(second_derivatives())},\n"cases": [\n'
    Path(__file__).with_name("curvature.json").write_text(f"{head}{lines}\n]}}\n")
