"""Recompute one step of a training from its batch and its parameters, with NumPy alone, and compare every value.

    python verify_step.py step.npz

Every array is computed in float64 from the arrays before it, as they are stored, so that a wrong one is named where it
is made. Derivatives are those of the batch's mean loss. The exit code is 0 where all agree, else 1.
"""

import json
import sys
from collections.abc import Iterator
from math import erf, prod, sqrt
from typing import Any

import numpy as np

Array = Any
Arrays = dict[str, Array]
Json = dict[str, Any]
Named = Iterator[tuple[str, Array]]

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
"""Of a difference, beside the array's largest number: what rounding in its type explains."""


def sigmoid(Z: Array) -> Array:
    return np.where(Z >= 0, 1 / (1 + np.exp(-np.abs(Z))), np.exp(-np.abs(Z)) / (1 + np.exp(-np.abs(Z))))


def softplus(Z: Array) -> Array:
    return np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))


def normal_share(Z: Array) -> Array:
    """Φ(Z)."""
    return (1 + np.vectorize(erf, otypes=[float])(Z / sqrt(2))) / 2


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def activated(kind: str, Z: Array, options: Json, slope: Array) -> Array:
    """A = g(Z)."""
    if kind == "identity":
        return Z
    if kind == "relu":
        return np.maximum(Z, 0)
    if kind == "leaky_relu":
        return np.maximum(Z, options["slope"] * Z)
    if kind == "prelu":
        return np.maximum(Z, 0) + slope * np.minimum(Z, 0)
    if kind == "relu6":
        return np.clip(Z, 0, 6)
    if kind == "elu":
        return np.where(Z > 0, Z, options["alpha"] * np.expm1(np.minimum(Z, 0)))
    if kind == "selu":
        return SELU_SCALE * np.where(Z > 0, Z, SELU_ALPHA * np.expm1(np.minimum(Z, 0)))
    if kind == "gelu":
        if options["approximate"] == "none":
            return Z * normal_share(Z)
        return Z * (1 + np.tanh(sqrt(2 / np.pi) * (Z + 0.044715 * Z**3))) / 2
    if kind == "silu":
        return Z * sigmoid(Z)
    if kind == "mish":
        return Z * np.tanh(softplus(Z))
    if kind == "softplus":
        return softplus(Z)
    if kind == "exponential":
        return np.exp(Z)
    if kind == "sigmoid":
        return sigmoid(Z)
    if kind == "hard_sigmoid":
        return np.clip(Z + 3, 0, 6) / 6
    if kind == "tanh":
        return np.tanh(Z)
    if kind == "hard_tanh":
        return np.clip(Z, -1, 1)
    if kind == "softsign":
        return Z / (1 + np.abs(Z))
    if kind == "softmax":
        E = np.exp(Z - Z.max(axis=-1, keepdims=True))
        return E / E.sum(axis=-1, keepdims=True)
    raise SystemExit(f"this script does not know the activation {kind}")


def derived(kind: str, Z: Array, A: Array, dA: Array, options: Json, slope: Array) -> Array:
    """dZ = dA ⊙ g′(Z), of softmax by its whole Jacobian."""
    if kind == "softmax":
        return A * (dA - (dA * A).sum(axis=-1, keepdims=True))
    positive = Z > 0
    if kind == "identity":
        return dA
    if kind == "relu":
        return dA * positive
    if kind == "leaky_relu":
        return dA * np.where(positive, 1, options["slope"])
    if kind == "prelu":
        return dA * np.where(positive, 1, slope)
    if kind == "relu6":
        return dA * (positive & (Z < 6))
    if kind == "elu":
        return dA * np.where(positive, 1, A + options["alpha"])
    if kind == "selu":
        return dA * np.where(positive, SELU_SCALE, A + SELU_SCALE * SELU_ALPHA)
    if kind == "gelu":
        if options["approximate"] == "none":
            return dA * (normal_share(Z) + Z * np.exp(-(Z**2) / 2) / sqrt(2 * np.pi))
        T = np.tanh(sqrt(2 / np.pi) * (Z + 0.044715 * Z**3))
        return dA * ((1 + T) / 2 + Z * (1 - T**2) * sqrt(2 / np.pi) * (1 + 3 * 0.044715 * Z**2) / 2)
    if kind == "silu":
        return dA * (sigmoid(Z) + A * (1 - sigmoid(Z)))
    if kind == "mish":
        T = np.tanh(softplus(Z))
        return dA * (T + Z * sigmoid(Z) * (1 - T**2))
    if kind == "softplus":
        return dA * sigmoid(Z)
    if kind == "exponential":
        return dA * A
    if kind == "sigmoid":
        return dA * A * (1 - A)
    if kind == "hard_sigmoid":
        return dA * ((Z > -3) & (Z < 3)) / 6
    if kind == "tanh":
        return dA * (1 - A**2)
    if kind == "hard_tanh":
        return dA * ((Z > -1) & (Z < 1))
    if kind == "softsign":
        return dA / (1 + np.abs(Z)) ** 2
    raise SystemExit(f"this script does not know the activation {kind}")


def lost(kind: str, A: Array, Y: Array, options: Json) -> tuple[Array, Array]:
    """Each example's loss, (m,), and its derivative by A."""
    R, K = A - Y, A.shape[1]
    if kind == "half_squared_error":
        return (R**2).sum(axis=1) / 2, R
    if kind == "squared_error":
        return (R**2).sum(axis=1), 2 * R
    if kind == "absolute_error":
        return np.abs(R).sum(axis=1), np.sign(R)
    if kind == "huber":
        delta = options["delta"]
        inside = np.abs(R) <= delta
        return np.where(inside, R**2 / 2, delta * (np.abs(R) - delta / 2)).sum(axis=1), np.clip(R, -delta, delta)
    if kind == "log_cosh":
        return (np.abs(R) + np.log1p(np.exp(-2 * np.abs(R))) - np.log(2)).sum(axis=1), np.tanh(R)
    if kind == "quantile":
        q = options["quantile"]
        return np.maximum(-q * R, (1 - q) * R).sum(axis=1), np.where(R > 0, 1 - q, np.where(R < 0, -q, 0))
    if kind == "poisson":
        return (A - Y * np.log(A)).sum(axis=1), 1 - Y / A
    if kind == "gamma":
        return (Y / A + np.log(A)).sum(axis=1), R / A**2
    if kind == "binary_cross_entropy":
        smooth, p = options["label_smoothing"], options["pos_weight"]
        T = (1 - smooth) * Y + smooth / 2
        losses = -(p * T * np.log(A) + (1 - T) * np.log1p(-A)).sum(axis=1)
        return losses, (1 - T) / (1 - A) - p * T / A
    if kind == "cross_entropy":
        smooth = options["label_smoothing"]
        T = (1 - smooth) * Y + smooth / K
        return -np.where(T > 0, T * np.log(A), 0).sum(axis=1), np.where(T > 0, -T / A, 0)
    if kind == "kullback_leibler":
        return np.where(Y > 0, Y * np.log(np.where(Y > 0, Y, 1) / A), 0).sum(axis=1), np.where(Y > 0, -Y / A, 0)
    if kind == "binary_focal":
        gamma, alpha = options["gamma"], options["alpha"]
        yes = Y > 0.5
        p, w = np.where(yes, A, 1 - A), np.where(yes, alpha, 1 - alpha)
        slope = w * (gamma * (1 - p) ** (gamma - 1) * np.log(p) - (1 - p) ** gamma / p)
        return -(w * (1 - p) ** gamma * np.log(p)).sum(axis=1), np.where(yes, slope, -slope)
    if kind == "focal":
        gamma = options["gamma"]
        G = (1 - A) ** gamma * (1 - gamma * A * np.log(A) / (1 - A))
        return -(Y * (1 - A) ** gamma * np.log(A)).sum(axis=1), -Y * G / A
    signs = 2 * Y - 1
    short = np.maximum(0, 1 - signs * A)
    if kind == "hinge":
        return short.sum(axis=1), np.where(short > 0, -signs, 0)
    if kind == "squared_hinge":
        return (short**2).sum(axis=1), -2 * signs * short
    raise SystemExit(f"this script does not know the loss {kind}")


def clipped(gradient: Arrays, clip: Json | None) -> Arrays:
    """The gradient as the clip leaves it, by parameter."""
    if clip is None:
        return gradient
    limit = clip["limit"]
    if clip["type"] == "value":
        return {name: np.clip(g, -limit, limit) for name, g in gradient.items()}
    groups = {name: name.split(".")[1] if clip["type"] == "layer" else "" for name in gradient}
    squares = dict.fromkeys(groups.values(), 0.0)
    for name, g in gradient.items():
        squares[groups[name]] += (g**2).sum()
    return {name: g * min(1, limit / max(sqrt(squares[groups[name]]), 1e-300)) for name, g in gradient.items()}


def updated(
    optimizer: Json, theta: Array, g: Array, old: Arrays, t: int, rate: float, decays: bool
) -> tuple[Array, Arrays]:
    """θ after the t-th update and the optimizer's memory, of one parameter. The memory's sums are not yet averaged:
    M is m/(1 − β₁), V is v/(1 − β₂) of the papers."""
    kind = optimizer["type"]
    new: Arrays = {}
    if kind == "sgd":
        mu = optimizer["momentum"]
        if not mu:
            return theta - rate * g, new
        share = 1 if t == 1 else 1 - optimizer["dampening"]
        [name] = old
        new[name] = v = mu * old[name] + share * g
        return theta - rate * (g + mu * v if optimizer["nesterov"] else v), new
    if kind == "lion":
        b1, b2 = optimizer["beta1"], optimizer["beta2"]
        theta = theta * (1 - rate * optimizer["weight_decay"]) if decays else theta
        mixed = b1 * (1 - b2) * old["M"] + (1 - b1) * g
        new["M"] = b2 * old["M"] + g
        return theta - rate * np.sign(mixed), new
    if kind == "adagrad":
        new["S"] = old["S"] + g**2
        rate = rate / (1 + (t - 1) * optimizer["lr_decay"])
        return theta - rate * g / (np.sqrt(new["S"]) + optimizer["epsilon"]), new
    if kind == "adadelta":
        rho, epsilon = optimizer["rho"], optimizer["epsilon"]
        new["V"] = rho * old["V"] + g**2
        step = np.sqrt((1 - rho) * old["D"] + epsilon) / np.sqrt((1 - rho) * new["V"] + epsilon) * g
        new["D"] = rho * old["D"] + step**2
        return theta - rate * step, new
    if kind == "rmsprop":
        alpha, epsilon, mu = optimizer["alpha"], optimizer["epsilon"], optimizer["momentum"]
        new["V"] = alpha * old["V"] + g**2
        v = (1 - alpha) * new["V"]
        if optimizer["centered"]:
            new["M"] = alpha * old["M"] + g
            v = np.abs(v - ((1 - alpha) * new["M"]) ** 2)
        step = g / (np.sqrt(v) + epsilon)
        if mu:
            new["b"] = mu * old["b"] + step * sqrt(1 - alpha)
            step = new["b"] / sqrt(1 - alpha)
        return theta - rate * step, new
    if kind not in ("adam", "adamw", "amsgrad", "nadam", "radam"):
        raise SystemExit(f"this script does not know the optimizer {kind}")
    b1, b2, epsilon = optimizer["beta1"], optimizer["beta2"], optimizer["epsilon"]
    if kind == "adamw" and decays:
        theta = theta * (1 - rate * optimizer["weight_decay"])
    new["M"], new["V"] = b1 * old["M"] + g, b2 * old["V"] + g**2
    m, v = (1 - b1) * new["M"], (1 - b2) * new["V"]
    root = np.sqrt(v / (1 - b2**t)) + epsilon
    if kind == "amsgrad":
        new["U"] = np.maximum(old["U"], new["V"])
        root = np.sqrt((1 - b2) * new["U"] / (1 - b2**t)) + epsilon
    if kind == "nadam":
        mus = [b1 * (1 - 0.5 * 0.96 ** (s * optimizer["momentum_decay"])) for s in range(1, t + 2)]
        product = prod(mus[:t])
        step = mus[t] * m / (1 - product * mus[t]) + (1 - mus[t - 1]) * g / (1 - product)
        return theta - rate * step / root, new
    if kind == "radam":
        most = 2 / (1 - b2) - 1
        rho = most - 2 * t * b2**t / (1 - b2**t)
        mean = m / (1 - b1**t)
        if rho <= 5:
            return theta - rate * mean, new
        rectified = sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
        return theta - rate * rectified * mean * sqrt(1 - b2**t) / (np.sqrt(v) + epsilon), new
    return theta - rate * m / (1 - b1**t) / root, new


def expected(stored: Arrays, about: Json) -> Named:
    """What each array should be, by name: the forward pass, the loss, the backward pass, the gradient, the update."""
    with np.errstate(all="ignore"):
        yield from forward(stored, about)
        yield from backward(stored, about)
        if about["is_update"]:
            yield from update(stored, about)


def forward(stored: Arrays, about: Json) -> Named:
    for layer in about["layers"]:
        x = stored[layer["input"]]
        names = layer["parameters"]
        if layer["kind"] == "dense":
            b = stored[names["b"]] if "b" in names else 0
            yield layer["output"], x @ stored[names["W"]] + b
        elif layer["kind"] == "dropout":
            kept = stored[layer["output"]] != 0
            yield layer["output"], np.where(kept, x / (1 - layer["options"]["rate"]), 0)
        else:
            slope = stored[names["slope"]] if "slope" in names else None
            yield layer["output"], activated(layer["kind"], x, layer["options"], slope)


def backward(stored: Arrays, about: Json) -> Named:
    A, weights = stored[about["layers"][-1]["output"]], stored["weights"]
    losses, dA = lost(about["loss"]["type"], A, stored["Y"], about["loss"])
    share = weights / weights.sum()
    yield "loss", np.asarray((losses * share).sum())
    if about["checks_dA"]:
        yield about["layers"][-1]["d_output"], dA * share[:, None]
    for place, layer in reversed(list(enumerate(about["layers"]))):
        x, dy, names = stored[layer["input"]], stored[layer["d_output"]], layer["parameters"]
        if layer["kind"] == "dense":
            yield f"d{names['W']}", x.T @ dy
            if "b" in names:
                yield f"d{names['b']}", dy.sum(axis=0)
            dx = dy @ stored[names["W"]].T
        elif layer["kind"] == "dropout":
            kept = stored[layer["output"]] != 0
            dx = np.where(kept | (x == 0), dy / (1 - layer["options"]["rate"]), 0)
            dx = np.where(x == 0, stored[layer["d_input"]], dx)  # whether a 0 was dropped can't be seen
        else:
            slope = stored[names["slope"]] if "slope" in names else None
            y = stored[layer["output"]]
            if slope is not None:
                units = (dy * np.minimum(x, 0)).sum(axis=0)
                yield f"d{names['slope']}", units if slope.size > 1 else units.sum().reshape(slope.shape)
            if place == len(about["layers"]) - 1 and about["has_shortcut"]:
                dy = dA * share[:, None]
            dx = derived(layer["kind"], x, y, dy, layer["options"], slope)
        if layer["d_input"] in stored:
            yield layer["d_input"], dx


def update(stored: Arrays, about: Json) -> Named:
    training, parameters = about["training"], about["parameters"]
    gradient = clipped({name: stored[f"d{name}"] for name in parameters}, training["clip"])
    for name in parameters:
        W = stored[name]
        if W.ndim > 1:
            gradient[name] = gradient[name] + training["l2"] * W + training["l1"] * np.sign(W)
        yield f"gradient.{name}", gradient[name]
    for name in parameters:
        number = name.split(".")[1]
        if int(number) in training["frozen"]:
            continue
        rate = about["learning_rate"] * training["learning_rate_factors"].get(number, 1.0)
        theta, g = stored[name], stored[f"gradient.{name}"]
        old = {memory: stored[f"opt.{memory}.{name}"] for memory in about["memory"]}
        after, new = updated(training["optimizer"], theta, g, old, about["updates"], rate, theta.ndim > 1)
        if training["max_norm"] and theta.ndim > 1:
            norms = np.sqrt((after**2).sum(axis=0))
            after = after * training["max_norm"] / np.maximum(norms, training["max_norm"])
        yield f"after.{name}", after
        yield f"update.{name}", stored[f"after.{name}"] - theta
        for memory, array in new.items():
            yield f"after.opt.{memory}.{name}", array


def main(path: str) -> int:
    """Print a line for each array; gives the exit code."""
    with np.load(path) as file:
        about = json.loads(str(file["manifest"]))
        stored = {name: file[name].astype(np.float64) for name in file.files if name != "manifest"}
    allowed, wrong, checked = TOLERANCE[about["dtype"]], 0, 0
    print(f"{about['run']}, step {about['step']}: {about['m']} rows, {about['dtype']}, allowed {allowed:g}")
    for name, found in expected(stored, about):
        there = stored[name]
        scale = max(float(np.abs(there).max(initial=0)), float(np.abs(found).max(initial=0)))
        off = 0.0 if np.array_equal(there, found) else float(np.abs(there - found).max(initial=0)) / (scale or 1)
        if name.startswith("update."):  # what is left of two large numbers
            off *= scale / max(float(np.abs(stored[f"after.{name[7:]}"]).max(initial=0)), scale, 1e-300)
        is_right = off <= allowed
        wrong, checked = wrong + (not is_right), checked + 1
        print(f"{'ok' if is_right else 'WRONG':6}{name:24}{there.shape!s:16}{off:.1e}")
    print(f"{checked} arrays recomputed, {wrong} of them wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "step.npz"))
