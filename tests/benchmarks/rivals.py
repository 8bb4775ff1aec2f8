"""Whoever trains in the training benchmark: the same network, rows and batch size, Adam at 0.001, float32 but for the
textbook.

`time_round` trains a fixed number of steps and gives the seconds they took. A step is all a training does for a
batch: gather its rows (of an order shuffled anew each round), forward, loss, backward, Adam, and the running loss.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import pairwise
from shutil import which
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from engine.layers import DenseSpec, FlattenSpec, LayerSpec
from engine.layers.activations import ReluSpec, SoftmaxSpec
from engine.layers.convolutions import Conv2dSpec
from engine.layers.pools import MaxPoolSpec
from engine.losses import CrossEntropySpec, HalfSquaredErrorSpec
from engine.network import Network
from engine.parameters import Array
from engine.spec import TrainingSpec
from engine.training import TrainingData, TrainingState, train
from tests.benchmarks.textbook import BETA1, BETA2, EPSILON, LEARNING_RATE, TextbookNetwork
from tests.benchmarks.workloads import Workload

DTYPE = "float32"
SEED = 7


@dataclass(frozen=True)
class Rows:
    """Made-up rows with something to learn in them: a round's, and one batch more."""

    X: Array
    Y: Array
    """(m, n_out): the classes one-hot, or the numbers."""

    @classmethod
    def of(cls, workload: Workload) -> "Rows":
        random = np.random.default_rng(SEED)
        m = (workload.steps + 1) * workload.batch_size
        X = random.normal(size=(m, workload.widths[0])).astype(DTYPE)
        Z = X @ random.normal(size=(workload.widths[0], workload.widths[-1])) / np.sqrt(workload.widths[0])
        Z += random.normal(size=Z.shape)  # as strong as what can be learned, so that no rival drifts into tiny numbers
        Y = np.eye(workload.widths[-1])[Z.argmax(axis=1)] if workload.is_classification else Z
        return cls(X, Y.astype(DTYPE))


class Rival(ABC):
    """One implementation, ready to train one workload."""

    title: ClassVar[str]

    @classmethod
    def is_installed(cls) -> bool:
        return True

    @classmethod
    def can_train(cls, workload: Workload) -> bool:
        """Whether it knows the workload's layers."""
        return not workload.filters

    @abstractmethod
    def __init__(self, workload: Workload, rows: Rows) -> None: ...

    @abstractmethod
    def time_round(self) -> float:
        """Train `workload.steps` steps; gives the seconds."""


class Ours(Rival):
    """`engine.training.train`, stopped before the epoch's last step: what ends an epoch is no part of a step."""

    title = "chainrule"

    @classmethod
    def can_train(cls, workload: Workload) -> bool:
        return True

    def __init__(self, workload: Workload, rows: Rows) -> None:
        network, training = network_of(workload), training_of(workload)
        state = TrainingState.start(network, training, seed=SEED)
        data = TrainingData(rows.X, rows.Y, kind="multiclass" if workload.is_classification else "regression")
        self.reports = train(network, data, training, state, seed=SEED, interrupt=lambda: state.step == workload.steps)

    def time_round(self) -> float:
        begun = perf_counter()
        next(self.reports)
        seconds = perf_counter() - begun
        next(self.reports)
        return seconds


class Textbook(Rival):
    """The plain equations in NumPy, in the float64 that NumPy makes where nothing else is said."""

    title = "textbook"

    def __init__(self, workload: Workload, rows: Rows) -> None:
        self.workload = workload
        self.rows = Rows(rows.X.astype("float64"), rows.Y.astype("float64"))
        self.network = textbook_of(workload, dtype="float64")
        self.random = np.random.default_rng(SEED)

    def time_round(self) -> float:
        begun = perf_counter()
        order = self.random.permutation(self.workload.steps * self.workload.batch_size)
        self.network.train_epoch(self.rows.X, self.rows.Y, order, batch_size=self.workload.batch_size)
        return perf_counter() - begun


class ScikitLearn(Rival):
    """`partial_fit`: one epoch, with the checks of its input that scikit-learn makes for each."""

    title = "scikit-learn"

    def __init__(self, workload: Workload, rows: Rows) -> None:
        kind = MLPClassifier if workload.is_classification else MLPRegressor
        self.model = kind(
            hidden_layer_sizes=workload.widths[1:-1],
            alpha=0,
            batch_size=workload.batch_size,
            learning_rate_init=LEARNING_RATE,
            random_state=SEED,
        )
        m = workload.steps * workload.batch_size
        self.X = rows.X[:m]
        self.y = rows.Y[:m].argmax(axis=1) if workload.is_classification else rows.Y[:m, 0]
        self.classes = {"classes": np.arange(workload.widths[-1])} if workload.is_classification else {}

    def time_round(self) -> float:
        begun = perf_counter()
        self.model.partial_fit(self.X, self.y, **self.classes)
        return perf_counter() - begun


class PyTorch(Rival):
    """The usual eager loop: tensors, `nn.Sequential`, `optim.Adam`."""

    title = "PyTorch"
    fused: ClassVar[bool | None] = None

    @classmethod
    def is_installed(cls) -> bool:
        return find_spec("torch") is not None

    @classmethod
    def can_train(cls, workload: Workload) -> bool:
        return True

    def __init__(self, workload: Workload, rows: Rows) -> None:
        self.torch = torch = _torch()
        torch.manual_seed(SEED)
        self.workload = workload
        self.model = torch.nn.Sequential(*self._layers())
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, fused=self.fused)
        self.loss = torch.nn.CrossEntropyLoss() if workload.is_classification else torch.nn.MSELoss()
        self.X = torch.from_numpy(rows.X)
        self.Y = torch.from_numpy(rows.Y.argmax(axis=1) if workload.is_classification else rows.Y)

    def _layers(self) -> list[Any]:
        nn, workload, layers = self.torch.nn, self.workload, []
        widths = workload.widths
        if workload.image:
            height, width, channels = workload.image
            layers.append(nn.Unflatten(1, (channels, height, width)))
            for filters in workload.filters:
                layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
                height, width, channels = height // 2, width // 2, filters
            layers.append(nn.Flatten())
            widths = (height * width * channels, *widths[1:])
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        return layers[:-1]

    def time_round(self) -> float:
        begun, running_loss = perf_counter(), 0.0
        order = self.torch.randperm(self.workload.steps * self.workload.batch_size)
        for rows in order.split(self.workload.batch_size):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(self.X[rows]), self.Y[rows])
            loss.backward()
            self.optimizer.step()
            running_loss += loss.item()
        return perf_counter() - begun


class PyTorchFused(PyTorch):
    """The same with the update as one compiled function."""

    title = "PyTorch, fused Adam"
    fused = True


class PyTorchCompiled(PyTorchFused):
    """That with the passes compiled by `torch.compile`, which needs a C++ compiler."""

    title = "PyTorch, compiled"

    @classmethod
    def is_installed(cls) -> bool:
        return super().is_installed() and which("g++") is not None

    def __init__(self, workload: Workload, rows: Rows) -> None:
        super().__init__(workload, rows)
        self.model = self.torch.compile(self.model)


class Jax(Rival):
    """A whole round as one compiled function: `lax.scan` over the steps, gradients by `jax.grad`."""

    title = "JAX, scan"

    @classmethod
    def is_installed(cls) -> bool:
        return find_spec("jax") is not None

    def __init__(self, workload: Workload, rows: Rows) -> None:
        import jax
        import jax.numpy as jnp

        self.jax, self.workload = jax, workload
        network = textbook_of(workload, dtype=DTYPE)
        parameters = [jnp.array(each) for each in (*network.W, *network.b)]
        zeros = [jnp.zeros_like(each) for each in parameters]
        self.state = (parameters, zeros, zeros, jnp.zeros((), jnp.int32))
        self.X, self.Y = jnp.array(rows.X), jnp.array(rows.Y)
        self.random = np.random.default_rng(SEED)
        count = len(network.W)

        def loss(parameters: list[Any], X: Any, Y: Any) -> Any:
            A = X
            for layer in range(count):
                Z = A @ parameters[layer] + parameters[count + layer]
                A = jnp.maximum(Z, 0)
            if workload.is_classification:
                return -(Y * jax.nn.log_softmax(Z)).sum(axis=1).mean()
            return 0.5 * ((Z - Y) ** 2).sum(axis=1).mean()

        def step(state: Any, rows: Any) -> Any:
            parameters, means, squares, updates = state
            value, gradients = jax.value_and_grad(loss)(parameters, self.X[rows], self.Y[rows])
            updates = updates + 1
            means = [BETA1 * m + (1 - BETA1) * g for m, g in zip(means, gradients, strict=True)]
            squares = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(squares, gradients, strict=True)]
            correction, root = 1 - BETA1**updates, jnp.sqrt(1 - BETA2**updates)
            parameters = [
                theta - LEARNING_RATE / correction * m / (jnp.sqrt(v) / root + EPSILON)
                for theta, m, v in zip(parameters, means, squares, strict=True)
            ]
            return (parameters, means, squares, updates), value

        self.epoch = jax.jit(lambda state, order: jax.lax.scan(step, state, order))

    def time_round(self) -> float:
        begun, workload = perf_counter(), self.workload
        order = self.random.permutation(workload.steps * workload.batch_size)
        self.state, losses = self.epoch(self.state, order.reshape(workload.steps, workload.batch_size))
        float(losses.sum())
        return perf_counter() - begun


class MatrixProducts(Rival):
    """No training: only its matrix products, X·W, Xᵀ·dZ and, but for the first layer, dZ·Wᵀ. No step is faster."""

    title = "matrix products"

    def __init__(self, workload: Workload, rows: Rows) -> None:
        self.steps = workload.steps
        self.products: list[partial[Any]] = []
        random, m = np.random.default_rng(SEED), workload.batch_size
        for layer, (n_in, n_out) in enumerate(zip(workload.widths, workload.widths[1:], strict=False)):
            X, W, dZ = (random.normal(size=shape).astype(DTYPE) for shape in ((m, n_in), (n_in, n_out), (m, n_out)))
            self.products += [partial(X.dot, W, np.empty_like(dZ)), partial(X.T.dot, dZ, np.empty_like(W))]
            if layer:
                self.products.append(partial(dZ.dot, W.T, np.empty_like(X)))

    def time_round(self) -> float:
        begun = perf_counter()
        for _ in range(self.steps):
            for product in self.products:
                product()
        return perf_counter() - begun


RIVALS: tuple[type[Rival], ...] = (
    Ours,
    MatrixProducts,
    Textbook,
    ScikitLearn,
    PyTorch,
    PyTorchFused,
    PyTorchCompiled,
    Jax,
)


def network_of(workload: Workload) -> Network:
    """The workload's network in our engine."""
    *hidden, n_out = workload.widths[1:]
    layers: list[LayerSpec] = []
    for filters in workload.filters:
        layers += [Conv2dSpec(filters=filters, kernel_size=3, padding="same", activation=ReluSpec()), MaxPoolSpec()]
    if workload.filters:
        layers.append(FlattenSpec())
    layers += [DenseSpec(units=units, activation=ReluSpec()) for units in hidden]
    if workload.is_classification:
        head, loss = DenseSpec(units=n_out, activation=SoftmaxSpec()), CrossEntropySpec()
    else:
        head, loss = DenseSpec(units=n_out), HalfSquaredErrorSpec()
    return Network.build([*layers, head], input_shape=workload.image or workload.widths[:1], loss=loss)


def training_of(workload: Workload, **changes: Any) -> TrainingSpec:
    """Plain training, without end, penalty or early stopping."""
    plain = {"batch_size": workload.batch_size, "epochs": 1_000_000, "l2": 0.0, "early_stopping": None, "dtype": DTYPE}
    return TrainingSpec(**{**plain, **changes})


def textbook_of(workload: Workload, *, dtype: str) -> TextbookNetwork:
    """The workload's network in the textbook, from the weights ours starts with."""
    network = network_of(workload)
    views = network.views(network.initial_parameters(seed=SEED, dtype=dtype))
    layers = range(1, len(workload.widths))
    return TextbookNetwork(
        [views[f"W.{layer}"] for layer in layers],
        [views[f"b.{layer}"] for layer in layers],
        is_classification=workload.is_classification,
    )


@cache
def _torch() -> Any:
    """PyTorch, with as many threads as our BLAS has."""
    import torch

    from engine.fingerprint import fingerprint

    torch.set_num_threads(fingerprint(DTYPE)["threads"] or 1)
    return torch
