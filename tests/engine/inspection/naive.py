"""The plain way to the examples' gradients: a backward pass of each row alone, then the definitions word by word."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.inspection import inspect
from engine.network import Network
from engine.parameters import Array
from engine.weights import relative_weights


@dataclass(frozen=True)
class Naive:
    """The examples' losses (m,) and gradients (m, P), each times its weight."""

    network: Network
    losses: Array
    g: Array

    @classmethod
    def of(cls, network: Network, flat: Array, X: Array, Y: Array, weights: Array | None = None) -> "Naive":
        names = [f"d{name}" for name in network.shapes]
        shares = np.ones(len(X)) if weights is None else relative_weights(weights, len(X))
        losses, gradients = [], []
        for i, share in enumerate(shares):
            alone = inspect(network, flat, X[i : i + 1], Y[i : i + 1], quantities=names)
            losses.append(alone.loss * share)
            gradients.append(np.concatenate([alone.tensors[name].ravel() for name in names]) * share)
        return cls(network, np.array(losses), np.array(gradients))

    def of_parameter(self, name: str) -> Array:
        """g_i over one parameter: (m, *shape)."""
        return np.array([self.network.views(row)[name] for row in self.g])

    @np.errstate(all="ignore")
    def expected(self, *, learning_rate: float = 0.1) -> dict[str, Any]:
        """Every quantity that is made of losses and gradients at one point, by name."""
        g, losses = self.g, self.losses
        m, _ = g.shape
        mean = g.mean(axis=0)
        signal, norms = mean @ mean, np.linalg.norm(g, axis=1)
        along = g @ mean
        spread = g.var(axis=0, ddof=1)
        trace = g.var(axis=0).sum()
        found: dict[str, Any] = {
            "example_loss": losses,
            "example_norm": norms,
            "example_share": norms**2 / (norms**2).sum(),
            "gram": g @ g.T,
            "cosine": g @ g.T / norms / norms[:, None],
            "second_moment": (norms**2).mean(),
            "variance": trace,
            "gsnr": (mean**2 / (g.var(axis=0) + 1e-5)).mean(),
            "norm_test": np.sqrt(((g - mean) ** 2).sum() / (m - 1) / m / signal),
            "inner_product_test": np.sqrt(along.var(ddof=1) / m / signal**2),
            "orthogonality_test": np.sqrt(((g - np.outer(along / signal, mean)) ** 2).sum() / (m - 1) / m / signal),
            "cabs": learning_rate * trace / losses.mean(),
            "stopping_evidence": 1 - m * (mean**2 / (spread + 1e-5)).mean(),
            "cancellation": np.linalg.norm(g.sum(axis=0)) / norms.sum(),
        }
        for name in self.network.shapes:
            part = self.of_parameter(name)
            flat = part.reshape(m, -1)
            found |= {
                f"example_gradient.{name}": part,
                f"example_norm.{name}": np.linalg.norm(flat, axis=1),
                f"second_moment.{name}": (part**2).mean(axis=0),
                f"variance.{name}": part.var(axis=0),
                f"gsnr.{name}": part.mean(axis=0) ** 2 / (part.var(axis=0) + 1e-5),
                f"cancellation.{name}": np.linalg.norm(flat.sum(axis=0)) / np.linalg.norm(flat, axis=1).sum(),
            }
        return found


def alpha(start: Naive, end: Naive, step: Array) -> float:
    """The normalised step, of least squares over the normal equations."""
    length = np.linalg.norm(step)
    slopes = [each.g @ step / length for each in (start, end)]
    losses = [each.losses for each in (start, end)]
    design = np.array([[1, 0, 0], [1, length, length**2], [0, 1, 0], [0, 1, 2 * length]])
    seen = np.array([each.mean() for each in (*losses, *slopes)])
    weights = np.diag([1 / (each.var(ddof=1) or 1e-10) for each in (*losses, *slopes)])
    _, first, second = np.linalg.inv(design.T @ weights @ design) @ design.T @ weights @ seen
    return -1.0 if second < 0 else 2 * length / (-first / second) - 1
