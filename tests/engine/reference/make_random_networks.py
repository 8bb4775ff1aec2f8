"""Makes random_networks.json with PyTorch, which the project itself never needs.

Run once from the repository's folder, in an environment of its own: `pip install torch==2.13.0 numpy`, then
`python -m tests.engine.reference.make_random_networks`; a number and a path behind it make so many networks into
another file. Every layer is put together from PyTorch's own functions, shapes come about by running it, and every
derivative is PyTorch's. Nothing of the engine is imported.
"""

import json
import random
import sys
from collections.abc import Callable
from itertools import count
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.engine.reference import drawing
from tests.engine.reference.make_activations import ACTIVATIONS
from tests.engine.reference.make_losses import CASES as LOSSES

torch.set_default_dtype(torch.float64)

Tensor = torch.Tensor
Spec = dict[str, Any]

HEADS: dict[str, list[str]] = {
    "identity": ["identity", "tanh", "silu", "softsign", "gelu", "mish", "selu"],
    "exponential": ["exponential", "softplus"],
    "sigmoid": ["sigmoid"],
    "softmax": ["softmax"],
}
"""By a loss's canonical activation, heads it is defined behind."""


class ImpossibleError(Exception):
    """A layer that its input's shape does not allow."""


class Network:
    """Layers put together as they run: each draws its parameters when it is first asked for its output."""

    def __init__(self, seed: int, *, training: bool) -> None:
        self.seed, self.training = seed, training
        self.parameters: dict[str, Tensor] = {}
        self.statistics: dict[str, Tensor] = {}
        self.learning = 0
        """How many layers hold parameters or statistics so far."""

    def run(self, spec: Spec, X: Tensor) -> Tensor:
        """What one layer, and the activation that belongs to it, make of X."""
        Z: Tensor = getattr(self, spec["type"])(spec, X)
        if spec["type"] != "activation" and "activation" in spec:
            return self.activated(spec["activation"], Z)
        return Z

    def activated(self, spec: str | Spec, Z: Tensor, *, is_own: bool = True) -> Tensor:
        spec = {"type": spec} if isinstance(spec, str) else spec
        if spec["type"] == "softmax":
            return torch.softmax(Z, dim=-1)
        if spec["type"] != "prelu":
            return next(function for options, function in ACTIVATIONS.values() if options == spec)(Z)
        if not is_own:
            self.learning += 1
        slope = self._parameter("slope", 1 if spec.get("shared") else Z.shape[-1])
        return torch.where(Z > 0, Z, slope * Z)

    def _named(self, letter: str, shape: tuple[int, ...]) -> tuple[str, Tensor]:
        name = f"{letter}.{self.learning}"
        return name, torch.tensor(drawing.parameter(self.seed, name, shape))

    def _parameter(self, letter: str, *shape: int) -> Tensor:
        name, values = self._named(letter, shape)
        self.parameters[name] = values.requires_grad_()
        return values

    def _bias(self, spec: Spec, units: int) -> Tensor | None:
        return self._parameter("b", units) if spec.get("use_bias", True) else None

    # Layers, each by the name its spec has ------------------------------------------------------------------------

    def dense(self, spec: Spec, X: Tensor) -> Tensor:
        self.learning += 1
        W = self._parameter("W", X.shape[-1], spec["units"])
        return functional.linear(X, W.T, self._bias(spec, spec["units"]))

    def conv1d(self, spec: Spec, X: Tensor) -> Tensor:
        return self._convolved(spec, X, functional.conv1d)

    def conv2d(self, spec: Spec, X: Tensor) -> Tensor:
        return self._convolved(spec, X, functional.conv2d)

    def _convolved(self, spec: Spec, X: Tensor, convolve: Callable[..., Tensor]) -> Tensor:
        self.learning += 1
        *sizes, channels = X.shape[1:]
        axes, groups, filters = len(sizes), spec.get("groups", 1), spec["filters"]
        kernel, stride, dilation = (each(spec.get(name, 1), axes) for name in ("kernel_size", "stride", "dilation"))
        if channels % groups or filters % groups:
            raise ImpossibleError
        W = self._parameter("W", *kernel, channels // groups, filters)
        b = self._bias(spec, filters)
        x, padding = X.movedim(-1, 1), spec.get("padding", "valid")
        if padding == "same" and prod(stride) != 1:  # PyTorch refuses it: as TensorFlow's, the odd zero after
            x, padding = padded(x, sizes, kernel, stride, dilation), "valid"
        padding = padding if isinstance(padding, str) else each(padding, axes)
        y = convolve(x, W.movedim((-1, -2), (0, 1)), b, stride, padding, dilation, groups)
        return y.movedim(1, -1)

    def max_pool(self, spec: Spec, X: Tensor) -> Tensor:
        return self._pooled(spec, X, [functional.max_pool1d, functional.max_pool2d])

    def average_pool(self, spec: Spec, X: Tensor) -> Tensor:
        return self._pooled(spec, X, [functional.avg_pool1d, functional.avg_pool2d])

    def _pooled(self, spec: Spec, X: Tensor, pools: list[Callable[..., Tensor]]) -> Tensor:
        axes = X.dim() - 2
        size, padding = each(spec.get("size", 2), axes), each(spec.get("padding", 0), axes)
        stride = each(spec.get("stride") or size, axes)
        return pools[axes - 1](X.movedim(-1, 1), size, stride, padding).movedim(1, -1)

    def global_max_pool(self, spec: Spec, X: Tensor) -> Tensor:
        return X.amax(dim=tuple(range(1, X.dim() - 1)))

    def global_average_pool(self, spec: Spec, X: Tensor) -> Tensor:
        return X.mean(dim=tuple(range(1, X.dim() - 1)))

    def flatten(self, spec: Spec, X: Tensor) -> Tensor:
        return X.flatten(1)

    def reshape(self, spec: Spec, X: Tensor) -> Tensor:
        return X.reshape(X.shape[0], *spec["shape"])

    def activation(self, spec: Spec, X: Tensor) -> Tensor:
        return self.activated(spec["activation"], X, is_own=False)

    def dropout(self, spec: Spec, X: Tensor) -> Tensor:
        return X

    alpha_dropout = gaussian_noise = dropout

    def batch_norm(self, spec: Spec, X: Tensor) -> Tensor:
        self.learning += 1
        n, affine = X.shape[-1], spec.get("affine", True)
        gamma, beta = (self._parameter("gamma", n), self._parameter("beta", n)) if affine else (None, None)
        mean, var = (self._named(name, (n,)) for name in ("running_mean", "running_var"))
        self.statistics.update([mean, var])
        options = {"momentum": spec.get("momentum", 0.1), "eps": spec.get("epsilon", 1e-5)}
        flat = functional.batch_norm(X.reshape(-1, n), mean[1], var[1], gamma, beta, self.training, **options)
        return flat.reshape(X.shape)

    def layer_norm(self, spec: Spec, X: Tensor) -> Tensor:
        affine, n = spec.get("affine", True), X.shape[-1]
        gamma, beta = self._scale(affine, n), self._parameter("beta", n) if affine else None
        return functional.layer_norm(X, (n,), gamma, beta, spec.get("epsilon", 1e-5))

    def rms_norm(self, spec: Spec, X: Tensor) -> Tensor:
        n = X.shape[-1]
        return functional.rms_norm(X, (n,), self._scale(spec.get("affine", True), n), spec.get("epsilon", 1e-5))

    def _scale(self, affine: bool, n: int) -> Tensor | None:
        if not affine:
            return None
        self.learning += 1
        return self._parameter("gamma", n)

    def embedding(self, spec: Spec, X: Tensor) -> Tensor:
        self.learning += 1
        return functional.embedding(X.long(), self._parameter("W", spec["vocabulary_size"], spec["dim"]))

    def category_embedding(self, spec: Spec, X: Tensor) -> Tensor:
        self.learning += 1
        W = self._parameter("W", sum(spec["levels"]), spec["dim"])
        vectors, before, columns = [], 0, len(spec["levels"])
        for levels, ids in zip(spec["levels"], X[:, -columns:].T, strict=True):
            vectors.append(functional.embedding(ids.long() + before, W))
            before += levels
        return torch.cat([X[:, :-columns], *vectors], dim=1)

    def gru(self, spec: Spec, X: Tensor) -> Tensor:
        units = spec["units"]
        W, U, b = self._recurrent(X.shape[-1], units, gates=3)
        second = torch.cat([torch.zeros(2 * units), self._parameter("c", units)])
        return self._states(torch.nn.GRU, spec, X, W, U, b, second)

    def lstm(self, spec: Spec, X: Tensor) -> Tensor:
        W, U, b = self._recurrent(X.shape[-1], spec["units"], gates=4)
        return self._states(torch.nn.LSTM, spec, X, W, U, b, torch.zeros_like(b))

    def _recurrent(self, n_in: int, units: int, *, gates: int) -> tuple[Tensor, Tensor, Tensor]:
        self.learning += 1
        width = gates * units
        return self._parameter("W", n_in, width), self._parameter("U", units, width), self._parameter("b", width)

    def _states(
        self, kind: type[torch.nn.RNNBase], spec: Spec, X: Tensor, W: Tensor, U: Tensor, b: Tensor, second: Tensor
    ) -> Tensor:
        module = kind(X.shape[-1], spec["units"], batch_first=True)
        values = {"weight_ih_l0": W.T, "weight_hh_l0": U.T, "bias_ih_l0": b, "bias_hh_l0": second}
        states: Tensor = torch.func.functional_call(module, values, (X,))[0]
        return states if spec.get("return_sequences", False) else states[:, -1]

    def residual(self, spec: Spec, X: Tensor) -> Tensor:
        Y = X
        for inside in spec["layers"]:
            Y = self.run(inside, Y)
        if Y.shape == X.shape:
            return Y + X
        axes_in, axes_out = X.shape[1:-1], Y.shape[1:-1]
        strides = [fitting(a, b) for a, b in zip(axes_in, axes_out, strict=True)] if X.dim() == Y.dim() else []
        if None in strides or X.dim() != Y.dim():
            raise ImpossibleError
        self.learning += 1
        kernel = () if axes_in == axes_out else (1,) * len(strides)
        W = self._parameter("W", *kernel, X.shape[-1], Y.shape[-1])
        taken = X[:, *(slice(None, None, stride) for stride in strides)]
        return Y + taken @ W.reshape(X.shape[-1], Y.shape[-1])


def each(value: int | list[int], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else value


def fitting(size: int, wanted: int) -> int | None:
    """The smallest stride that leaves so many of an axis's elements."""
    return next((stride for stride in range(1, size + 1) if ceil(size / stride) == wanted), None)


def padded(x: Tensor, sizes: list[int], kernel: list[int], stride: list[int], dilation: list[int]) -> Tensor:
    """x with so many zeros that a window with this stride starts at every stride-th element."""
    zeros = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (ceil(n / s) - 1) * s + (k - 1) * d + 1 - n)
        zeros = [total // 2, total - total // 2, *zeros]  # PyTorch names the last axis first
    return functional.pad(x, zeros)


# Drawing specs -----------------------------------------------------------------------------------------------------


class Draw:
    """Draws layers for whatever shape comes next."""

    def __init__(self, seed: int, *, training: bool) -> None:
        self.random, self.training = random.Random(seed), training

    def options(self, **choices: list[Any]) -> Spec:
        """Each option or, now and then, its default."""
        picked = {name: self.random.choice(values) for name, values in choices.items()}
        return {name: value for name, value in picked.items() if self.random.random() < 0.6}

    def activation(self) -> str | Spec:
        found = self.random.choice([spec for spec, _ in ACTIVATIONS.values()] + [{"type": "prelu"}] * 2)
        if found["type"] == "exponential":
            return "softmax"
        if found["type"] == "prelu" and self.random.random() < 0.5:
            return {"type": "prelu", "shared": True}
        return found["type"] if len(found) == 1 and self.random.random() < 0.5 else found

    def layer(self, shape: tuple[int, ...], *, depth: int = 0) -> Spec:
        kinds = [self.dense, self.dense, self.norm, self.single]
        if len(shape) == 2:
            kinds += [self.convolution, self.recurrent, self.pool] * 2
        if len(shape) == 3:
            kinds += [self.convolution, self.convolution, self.pool] * 2
        if len(shape) > 1:
            kinds += [self.global_pool]
        if not depth:
            kinds += [self.reshaped, self.residual, self.residual]
        return self.random.choice(kinds)(shape)

    def dense(self, shape: tuple[int, ...]) -> Spec:
        return {
            "type": "dense",
            "units": self.random.randint(1, 5),
            **self.options(activation=[self.activation()], use_bias=[False]),
        }

    def norm(self, shape: tuple[int, ...]) -> Spec:
        kind = self.random.choice(["batch_norm", "layer_norm", "rms_norm"])
        momentum = {"momentum": [0.3]} if kind == "batch_norm" else {}
        return {"type": kind, **self.options(epsilon=[0.01, 0.1], affine=[False, True], **momentum)}

    def single(self, shape: tuple[int, ...]) -> Spec:
        if self.training or self.random.random() < 0.7:
            return {"type": "activation", "activation": self.activation()}
        return self.random.choice(
            [
                {"type": "dropout", "rate": 0.5},
                {"type": "alpha_dropout", "rate": 0.2},
                {"type": "gaussian_noise", "std": 1},
            ]
        )

    def per_axis(self, axes: int, low: int, high: int) -> int | list[int]:
        if self.random.random() < 0.5:
            return self.random.randint(low, high)
        return [self.random.randint(low, high) for _ in range(axes)]

    def convolution(self, shape: tuple[int, ...]) -> Spec:
        axes, groups = len(shape) - 1, self.random.choice([1, 1, 2, shape[-1]])
        padding = self.random.choice(["valid", "same", "same", self.per_axis(axes, 0, 2)])
        return {
            "type": f"conv{axes}d",
            "filters": groups * self.random.randint(1, 3),
            "kernel_size": self.per_axis(axes, 1, 4),
            "groups": groups,
            "padding": padding,
            **self.options(
                stride=[self.per_axis(axes, 1, 3)],
                dilation=[self.per_axis(axes, 1, 2)],
                activation=[self.activation()],
                use_bias=[False],
            ),
        }

    def pool(self, shape: tuple[int, ...]) -> Spec:
        axes = len(shape) - 1
        return {
            "type": self.random.choice(["max_pool", "average_pool"]),
            "size": self.per_axis(axes, 2, 3),
            **self.options(stride=[self.per_axis(axes, 1, 3)], padding=[1]),
        }

    def recurrent(self, shape: tuple[int, ...]) -> Spec:
        kind = self.random.choice(["gru", "lstm"])
        return {"type": kind, "units": self.random.randint(1, 4), **self.options(return_sequences=[True])}

    def global_pool(self, shape: tuple[int, ...]) -> Spec:
        return {"type": self.random.choice(["global_max_pool", "global_average_pool"])}

    def reshaped(self, shape: tuple[int, ...]) -> Spec:
        size = prod(shape)
        first = self.random.choice([n for n in range(1, size + 1) if size % n == 0])
        second = self.random.choice([n for n in range(1, size // first + 1) if size // first % n == 0])
        shapes = [[first, -1], [-1, first], [first, second, size // first // second]]
        return self.random.choice([{"type": "flatten"}, {"type": "reshape", "shape": self.random.choice(shapes)}])

    def residual(self, shape: tuple[int, ...]) -> Spec:
        network, X, layers = Network(0, training=False), torch.zeros(2, *shape), []
        for _ in range(self.random.randint(1, 3)):
            layers.append(self.layer(tuple(X.shape[1:]), depth=1))
            X = network.run(layers[-1], X)
        return {"type": "residual", "layers": layers}


def drawn_case(seed: int) -> Spec:
    """A network, its batch, and what PyTorch makes of them. Raises ImpossibleError where the layers don't fit."""
    choose = random.Random(f"case {seed}")
    training, weighted, m = choose.random() < 0.5, choose.random() < 0.3, choose.choice([1, 2, 3, 5])
    first = choose.choice(["embedding", "category_embedding"]) if choose.random() < 0.25 else None
    shape = tuple(choose.randint(2, 6) for _ in range(choose.choice([1, 2, 3]) if first is None else 1))
    levels = ids(choose, first, shape[0])
    loss, options, canonical, kind, of_A, _ = choose.choice(LOSSES)
    n_out = choose.randint(2 if canonical == "softmax" else 1, 4)
    head = {"type": "dense", "units": n_out, "activation": choose.choice(HEADS[canonical])}

    network = Network(seed, training=training)
    X = torch.tensor(drawing.inputs(seed, m, shape, levels), requires_grad=True)
    layers, A = hidden(seed, network, X, first, levels)
    A = network.run(head, A)
    losses = of_A(A, torch.tensor(drawing.targets(seed, kind, m, n_out)))
    if weighted:
        losses = losses * torch.tensor(drawing.weights(seed, m))[:, 0]
    values = {"A": A.detach(), **network.statistics}
    return {
        "seed": seed,
        "m": m,
        "input_shape": shape,
        "levels": levels,
        "layers": [*layers, head],
        "loss": {"type": loss, **options},
        "targets": kind,
        "training": training,
        "weighted": weighted,
        "shapes": {name: list(tensor.shape) for name, tensor in (network.parameters | network.statistics).items()},
        "mean_loss": losses.mean().item(),
        "values": {name: drawing.summary(seed, name, tensor.numpy()) for name, tensor in values.items()},
        "gradients": gradients(seed, losses.mean(), {**network.parameters, "A.0": X}),
    }


def ids(choose: random.Random, first: str | None, n_in: int) -> list[int]:
    """How many levels each of the last inputs has: the same of all under an embedding, else of some beside numbers."""
    if first == "embedding":
        return [choose.randint(3, 6)] * n_in
    return [choose.randint(2, 5) for _ in range(choose.randint(1, n_in))] if first else []


def hidden(seed: int, network: Network, X: Tensor, first: str | None, levels: list[int]) -> tuple[list[Spec], Tensor]:
    """Up to seven layers, an embedding first where X ends with ids, and the vectors they make of X."""
    draw, A = Draw(seed, training=network.training), X
    layers: list[Spec] = []

    def add(spec: Spec) -> None:
        nonlocal A
        layers.append(spec)
        A = network.run(spec, A)

    if first is not None:
        size = {"vocabulary_size": levels[0]} if first == "embedding" else {"levels": levels}
        add({"type": first, **size, "dim": draw.random.randint(1, 4)})
    for _ in range(draw.random.randint(0, 5)):
        add(draw.layer(tuple(A.shape[1:])))
    if A.dim() > 2:
        add({"type": draw.random.choice(["flatten", "global_average_pool"])})
    return layers, A


def gradients(seed: int, value: Tensor, by: dict[str, Tensor]) -> dict[str, list[float]]:
    """Of what the loss depends on, by name; zeros where it does not. Raises ImpossibleError where one is not finite."""
    found = torch.autograd.grad(value, list(by.values()), allow_unused=True)
    summaries = {}
    for (name, tensor), gradient in zip(by.items(), found, strict=True):
        values = np.zeros(tensor.shape) if gradient is None else gradient.numpy()
        if not np.isfinite(values).all() or np.abs(values).max(initial=0) > 1e6:
            raise ImpossibleError
        summaries[name] = drawing.summary(seed, f"d{name}", values)
    return summaries


def possible_cases(wanted: int) -> list[Spec]:
    found: list[Spec] = []
    for seed in count():
        if len(found) == wanted:
            break
        try:
            found.append(drawn_case(seed))
        except (
            ImpossibleError,
            RuntimeError,
            ValueError,
        ):  # the latter two are PyTorch's, of a window that does not fit
            continue
    return found


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 2 else 100
    path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("random_networks.json")
    lines = ",\n".join(json.dumps(case) for case in possible_cases(wanted))
    path.write_text(f'{{"torch": "{torch.__version__}", "cases": [\n{lines}\n]}}\n')
