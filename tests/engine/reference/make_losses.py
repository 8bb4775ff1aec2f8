"""Makes losses.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_losses.py`. Each loss of A
is PyTorch's own where it has one, else its published formula, differentiated by PyTorch; where PyTorch has a loss of Z,
both must agree here. Nothing of the engine is imported.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

torch.set_default_dtype(torch.float64)

M = 7
Tensor = torch.Tensor
LossOf = Callable[[Tensor, Tensor], Tensor]
"""The examples' losses from A and Y, or from Z and Y."""


def summed(function: Callable[..., Tensor], **options: Any) -> LossOf:
    """One of PyTorch's element-wise losses, summed over the outputs."""
    return lambda A, Y: function(A, Y, reduction="none", **options).sum(dim=1)


def log_cosh(A: Tensor, Y: Tensor) -> Tensor:
    return torch.log(torch.cosh(A - Y)).sum(dim=1)


def quantile(q: float) -> LossOf:
    return lambda A, Y: torch.maximum(q * (Y - A), (q - 1) * (Y - A)).sum(dim=1)


def gamma(A: Tensor, Y: Tensor) -> Tensor:
    return -torch.distributions.Gamma(torch.ones_like(A), 1 / A).log_prob(Y).sum(dim=1)


def binary(p: float, s: float) -> LossOf:
    def losses(A: Tensor, Y: Tensor) -> Tensor:
        T = Y * (1 - s) + s / 2
        return -(p * T * torch.log(A) + (1 - T) * torch.log(1 - A)).sum(dim=1)

    return losses


def binary_of_Z(p: float, s: float) -> LossOf:
    whole = summed(functional.binary_cross_entropy_with_logits, pos_weight=torch.tensor(p))
    return lambda Z, Y: whole(Z, Y * (1 - s) + s / 2)


def several(s: float) -> LossOf:
    return lambda A, Y: -((Y * (1 - s) + s / Y.shape[1]) * torch.log(A)).sum(dim=1)


def several_of_Z(s: float) -> LossOf:
    return lambda Z, Y: functional.cross_entropy(Z, Y, label_smoothing=s, reduction="none")


def divergence(A: Tensor, Y: Tensor) -> Tensor:
    return functional.kl_div(torch.log(A), Y, reduction="none").sum(dim=1)


def binary_focal(gamma: float, alpha: float | None) -> LossOf:
    """As in torchvision's sigmoid_focal_loss."""

    def losses(A: Tensor, Y: Tensor) -> Tensor:
        p = A * Y + (1 - A) * (1 - Y)
        found = functional.binary_cross_entropy(A, Y, reduction="none") * (1 - p) ** gamma
        return (found if alpha is None else found * (alpha * Y + (1 - alpha) * (1 - Y))).sum(dim=1)

    return losses


def focal(gamma: float) -> LossOf:
    return lambda A, Y: -(Y * (1 - A) ** gamma * torch.log(A)).sum(dim=1)


def hinge(power: int) -> LossOf:
    return lambda A, Y: (torch.relu(1 - (2 * Y - 1) * A) ** power).sum(dim=1)


HEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda Z: Z * 1,
    "exponential": torch.exp,
    "sigmoid": torch.sigmoid,
    "softmax": lambda Z: torch.softmax(Z, dim=1),
}
CASES: list[tuple[str, dict[str, Any], str, str, LossOf, LossOf | None]] = [
    ("half_squared_error", {}, "identity", "numbers", lambda A, Y: 0.5 * summed(functional.mse_loss)(A, Y), None),
    ("squared_error", {}, "identity", "numbers", summed(functional.mse_loss), None),
    ("absolute_error", {}, "identity", "numbers", summed(functional.l1_loss), None),
    ("huber", {}, "identity", "numbers", summed(functional.huber_loss), None),
    ("huber", {"delta": 0.3}, "identity", "numbers", summed(functional.huber_loss, delta=0.3), None),
    ("log_cosh", {}, "identity", "numbers", log_cosh, None),
    ("quantile", {}, "identity", "numbers", quantile(0.5), None),
    ("quantile", {"quantile": 0.9}, "identity", "numbers", quantile(0.9), None),
    (
        "poisson",
        {},
        "exponential",
        "counts",
        summed(functional.poisson_nll_loss, log_input=False, eps=0),
        summed(functional.poisson_nll_loss),
    ),
    ("gamma", {}, "exponential", "sizes", gamma, None),
    ("binary_cross_entropy", {}, "sigmoid", "labels", binary(1, 0), binary_of_Z(1, 0)),
    ("binary_cross_entropy", {}, "sigmoid", "shares", binary(1, 0), binary_of_Z(1, 0)),
    ("binary_cross_entropy", {"pos_weight": 3.5}, "sigmoid", "labels", binary(3.5, 0), binary_of_Z(3.5, 0)),
    ("binary_cross_entropy", {"label_smoothing": 0.1}, "sigmoid", "labels", binary(1, 0.1), binary_of_Z(1, 0.1)),
    (
        "binary_cross_entropy",
        {"pos_weight": 0.4, "label_smoothing": 0.2},
        "sigmoid",
        "labels",
        binary(0.4, 0.2),
        binary_of_Z(0.4, 0.2),
    ),
    ("cross_entropy", {}, "softmax", "classes", several(0), several_of_Z(0)),
    ("cross_entropy", {}, "softmax", "parts", several(0), several_of_Z(0)),
    ("cross_entropy", {"label_smoothing": 0.1}, "softmax", "classes", several(0.1), several_of_Z(0.1)),
    ("kullback_leibler", {}, "softmax", "classes", divergence, None),
    ("kullback_leibler", {}, "softmax", "parts", divergence, None),
    ("binary_focal", {}, "sigmoid", "labels", binary_focal(2, 0.25), None),
    ("binary_focal", {"gamma": 0.5, "alpha": None}, "sigmoid", "labels", binary_focal(0.5, None), None),
    ("binary_focal", {"gamma": 0, "alpha": 0.7}, "sigmoid", "labels", binary_focal(0, 0.7), None),
    ("focal", {}, "softmax", "classes", focal(2), None),
    ("focal", {"gamma": 0.5}, "softmax", "classes", focal(0.5), None),
    ("focal", {"gamma": 0}, "softmax", "classes", focal(0), several_of_Z(0)),
    ("hinge", {}, "identity", "labels", hinge(1), None),
    ("squared_hinge", {}, "identity", "labels", hinge(2), None),
]


def drawn(random: np.random.Generator, kind: str, n_out: int) -> np.ndarray:
    """Targets of one kind (m, n_out)."""
    if kind == "numbers":
        return random.normal(size=(M, n_out)).round(3)
    if kind == "counts":
        return random.poisson(1.5, size=(M, n_out)) * 1.0
    if kind == "sizes":
        return random.gamma(2, size=(M, n_out)).round(3)
    if kind == "labels":
        return random.integers(2, size=(M, n_out)) * 1.0
    if kind == "shares":
        return random.random(size=(M, n_out)).round(3)
    classes = np.eye(n_out)[random.integers(n_out, size=M)]
    return classes if kind == "classes" else (classes + 1) / (n_out + 1)


def case(number: int) -> dict[str, Any]:
    """The examples' losses, and each example's own derivatives by A (its components independent) and by Z."""
    loss, options, head, kind, of_A, of_Z = CASES[number]
    random = np.random.default_rng(number)
    Z = torch.tensor(random.normal(scale=1.5, size=(M, 3)).round(3), requires_grad=True)
    Y = torch.tensor(drawn(random, kind, 3))
    A = HEADS[head](Z)
    A.retain_grad()
    losses = of_A(A, Y)
    losses.sum().backward()
    if of_Z is not None:
        torch.testing.assert_close(losses, of_Z(Z, Y))
    return {
        "loss": {"type": loss, **options},
        "head": head,
        "targets": kind,
        "Z": Z.tolist(),
        "Y": Y.tolist(),
        "losses": losses.tolist(),
        "dA": A.grad.tolist(),
        "dZ": Z.grad.tolist(),
    }


if __name__ == "__main__":
    content = {"torch": torch.__version__, "cases": [case(number) for number in range(len(CASES))]}
    Path(__file__).with_name("losses.json").write_text(json.dumps(content) + "\n")
