"""Makes quantities.json with PyTorch, which the project itself never needs.

Run once from the repository's folder, in an environment of its own: `pip install torch==2.13.0 numpy`, then
`python -m tests.engine.reference.make_quantities`. Each example's gradient is PyTorch's, of that row alone; what is
said of them all is computed from those by the definitions of Cockpit and BackPACK. Nothing of the engine is imported.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch

from tests.engine.reference import drawing
from tests.engine.reference.make_activations import ACTIVATIONS
from tests.engine.reference.make_losses import CASES as LOSSES
from tests.engine.reference.make_random_networks import Network, Spec, Tensor

RATE = 0.3
"""Of the step to the second point, along the gradient."""
HERE = Path(__file__).parent


class At(Network):
    """A network outside training, with the values given in place of those drawn."""

    def __init__(self, seed: int, values: dict[str, Tensor]) -> None:
        super().__init__(seed, training=False)
        self.values = values

    def _named(self, letter: str, shape: tuple[int, ...]) -> tuple[str, Tensor]:
        name, values = super()._named(letter, shape)
        return name, self.values.get(name, values).detach().clone()


def dense(units: int, activation: Any, **more: Any) -> Spec:
    return {"type": "dense", "units": units, "activation": activation, **more}


def specs() -> list[Spec]:
    """Every activation, every loss, depths from 1 to 5, heads behind which dZ has no shortcut, zeros, saturation, and
    networks of every other layer."""
    softmax = dense(3, "softmax")
    named = [spec for spec, _ in ACTIVATIONS.values()] + [{"type": "prelu"}, {"type": "prelu", "shared": True}]
    found = []
    for each in [*named, {"type": "softmax"}]:
        again = "tanh" if each["type"] == "exponential" else each  # an exponential of an exponential is too large
        found.append({"layers": [dense(5, each), dense(4, again, use_bias=False), softmax]})
    for number, (_, _, head, _, _, _) in enumerate(LOSSES):
        found.append({"layers": [dense(4, "tanh"), dense(3, head)], "loss": number})
    for depth in range(1, 6):
        found.append({"layers": [*[dense(5, "relu")] * (depth - 1), softmax]})
        found.append({"layers": [*[dense(4, "sigmoid")] * (depth - 1), dense(2, "identity")], "loss": 0})
    found += [{"layers": [dense(4, "relu"), dense(2, head)], "loss": 0} for head in ("sigmoid", "tanh", "softmax")]
    found += [{"layers": [dense(6, "relu"), softmax], "zeros": True}, {"layers": [softmax], "zeros": True}]
    found += [{"layers": [dense(6, "relu"), softmax], "size": size} for size in (5, 30)]
    found += [{"layers": [dense(5, "tanh"), dense(3, "sigmoid")], "loss": SIGMOID, "size": 20}]
    for number, spec in enumerate(found):
        spec |= {"seed": number, "m": 6, "input_shape": [4], "levels": [], "weighted": number % 3 == 0}
    drawn = json.loads((HERE / "random_networks.json").read_text(encoding="utf-8"))["cases"]
    for case in [case for case in drawn if case["m"] > 2][::3]:
        spec = {name: case[name] for name in ("layers", "m", "input_shape", "levels", "weighted", "seed")}
        found.append({**spec, "loss": _number_of(case["loss"], case["targets"])})
    return found


def _number_of(loss: Spec, kind: str) -> int:
    options = {name: value for name, value in loss.items() if name != "type"}
    return next(n for n, each in enumerate(LOSSES) if (each[0], each[1], each[3]) == (loss["type"], options, kind))


SIGMOID = _number_of({"type": "binary_cross_entropy"}, "labels")
SOFTMAX = _number_of({"type": "cross_entropy"}, "classes")


class Point:
    """The examples' losses (m,), gradients (m, P) and input gradients at some parameters, each times its weight."""

    def __init__(self, spec: Spec, values: dict[str, Tensor]) -> None:
        self.spec, self.values = spec, values
        losses, gradients, inputs = [], [], []
        X, Y, weights = batch(spec)
        for row, weight in enumerate(weights):
            x = torch.tensor(X[row : row + 1], requires_grad=True)
            network = At(spec["seed"], values)
            A = x
            for layer in spec["layers"]:
                A = network.run(layer, A)
            loss = LOSSES[spec["loss"]][4](A, torch.tensor(Y[row : row + 1]))[0] * weight
            by = [*network.parameters.values(), x]
            found = torch.autograd.grad(loss, by, allow_unused=True)
            flat = [torch.zeros_like(t) if g is None else g for g, t in zip(found, by, strict=True)]
            losses.append(loss.item())
            gradients.append(torch.cat([each.ravel() for each in flat[:-1]]).numpy())
            inputs.append(flat[-1][0].numpy())
        self.losses, self.g, self.inputs = np.array(losses), np.array(gradients), np.array(inputs)
        self.parameters, self.statistics = network.parameters, network.statistics

    def after(self, step: np.ndarray) -> "Point":
        """The point a step further."""
        moved, start = {}, 0
        for name, tensor in self.parameters.items():
            change = step[start : start + tensor.numel()]
            moved[name] = tensor.detach() + torch.tensor(change).reshape(tensor.shape)
            start += tensor.numel()
        return Point(self.spec, moved)


def batch(spec: Spec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, Y, and weights that average 1."""
    seed, m = spec["seed"], spec["m"]
    X = drawing.inputs(seed, m, tuple(spec["input_shape"]), spec["levels"]) * spec.get("size", 1)
    if spec.get("zeros"):
        X[:2], X[:, -1] = 0, 0
    n_out = spec["layers"][-1]["units"]
    Y = drawing.targets(seed, LOSSES[spec["loss"]][3], m, n_out)
    weights = drawing.weights(seed, m)[:, 0] if spec["weighted"] else np.ones(m)
    return X, Y, weights / weights.mean()


def quantities(point: Point) -> dict[str, np.ndarray]:
    """By name, with one flat vector for what belongs to the parameters."""
    g, losses = point.g, point.losses
    m = len(g)
    mean, norms = g.mean(axis=0), np.sqrt((g**2).sum(axis=1))
    signal, dots = (mean**2).sum(), g @ mean
    population, sample = g.var(axis=0), g.var(axis=0, ddof=1)
    squares = (g**2).sum(axis=0)
    return {
        "example_loss": losses,
        "example_norm": norms,
        "example_share": norms**2 / (norms**2).sum(),
        "gram": g @ g.T,
        "second_moment": squares / m,
        "variance": population,
        "gsnr": mean**2 / (population + 1e-5),
        "mean_gsnr": (mean**2 / (population + 1e-5)).mean(),
        "norm_test": np.sqrt((squares.sum() - m * signal) / (m * (m - 1) * signal)),
        "inner_product_test": np.sqrt(((dots**2).sum() - m * signal**2) / (m * (m - 1) * signal**2)),
        "orthogonality_test": np.sqrt((norms**2 - dots**2 / signal).sum() / (m * (m - 1) * signal)),
        "cabs": RATE * (squares.sum() - m * signal) / (m * losses.mean()),
        "stopping_evidence": 1 - m * (mean**2 / (sample + 1e-5)).mean(),
        "cancellation": np.sqrt((g.sum(axis=0) ** 2).sum()) / norms.sum(),
        "input_gradient": point.inputs,
        "alpha": alpha(point),
    }


def alpha(start: Point) -> float:
    """As Cockpit fits it, in rational numbers: the weights may lie too far apart for the inverse of a float matrix."""
    step = -RATE * start.g.mean(axis=0)
    end, length = start.after(step), np.sqrt((step**2).sum())
    seen = [*(each.losses for each in (start, end)), *(each.g @ step / length for each in (start, end))]
    t = sympy.Rational(float(length))
    design = sympy.Matrix([[1, 0, 0], [1, t, t**2], [0, 1, 0], [0, 1, 2 * t]])
    precision = sympy.diag(*(1 / sympy.Rational(float(each.var(ddof=1)) or 1e-10) for each in seen))
    means = sympy.Matrix([sympy.Rational(float(each.mean())) for each in seen])
    w = (design.T * precision * design).LUsolve(design.T * precision * means)
    return -1.0 if w[2] < 0 else float(2 * t / (-w[1] / w[2]) - 1)


def case(spec: Spec) -> Spec:
    """The spec with what came out: arrays by their summaries."""
    spec = {"loss": SOFTMAX, **spec}
    point = Point(spec, {})
    found = {name: np.asarray(value) for name, value in quantities(point).items()}
    loss, options, _, kind, _, _ = LOSSES[spec["loss"]]
    shapes = {name: list(tensor.shape) for name, tensor in (point.parameters | point.statistics).items()}
    return {
        **spec,
        "loss": {"type": loss, **options},
        "targets": kind,
        "shapes": shapes,
        "values": {
            name: drawing.summary(spec["seed"], name, value) if value.ndim else float(value)
            for name, value in found.items()
        },
    }


if __name__ == "__main__":
    content = {"torch": torch.__version__, "rate": RATE, "cases": [case(spec) for spec in specs()]}
    (HERE / "quantities.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
