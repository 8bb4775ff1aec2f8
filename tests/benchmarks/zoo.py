"""The zoo: seeded runs that are ill in known ways, and healthy ones, on generated and bundled tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from sklearn import datasets

from engine.errors import Diverged
from engine.inspection import ObservedStep, Replay
from engine.inspection.doctor import Chart, Finding, examine
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec, TargetFacts, resolve
from engine.training import TrainingData, TrainingState, train

Json = dict[str, Any]


@dataclass(frozen=True)
class Animal:
    """A run of the zoo."""

    name: str
    table: str
    spec: Mapping[str, Any]
    causes: frozenset[str] = frozenset()
    """Rules any of which names what is wrong; none of a healthy run."""
    layers: frozenset[int] = frozenset()
    """Of which one at least should be named; empty where it is of no layer."""
    first: tuple[int, int] | None = None
    """The steps between which it begins; None where it is of no step."""
    change: Callable[[TrainingData], TrainingData] = field(default=lambda data: data)
    """What is done to the standardised rows."""


class Retraining:
    """A training of the zoo, taken up at any moment by starting anew where it must."""

    def __init__(self, animal: Animal) -> None:
        self.data = animal.change(table(animal.table))
        facts = TargetFacts(self.data.kind, self.data.Y.shape[1])  # type: ignore[arg-type]
        asked = RunSpec.model_validate({"target": "y", **animal.spec})
        self.spec = resolve(asked, facts, features=("x",), has_validation=True)
        self.network = Network.of(self.spec, n_in=self.data.X.shape[1])
        dtype = self.spec.training.dtype
        self.data = TrainingData(
            *(array.astype(dtype) for array in (self.data.X, self.data.Y, *_validation(self.data))), kind=self.data.kind
        )
        self._replay: Replay | None = None

    @property
    def replay(self) -> Replay:
        if self._replay is None:
            state = TrainingState.of(self.spec, self.network, self.data)
            self._replay = Replay(self.network, self.data, self.spec.training, state, seed=self.spec.seed)
        return self._replay

    @property
    def state(self) -> TrainingState:
        return self.replay.state

    def to(self, moment: int) -> None:
        if moment < self.replay.moment:
            self._replay = None
        self.replay.to(moment)

    def observe(self) -> ObservedStep:
        return self.replay.observe()


def _validation(data: TrainingData) -> tuple[Array, Array]:
    assert data.X_validation is not None
    assert data.Y_validation is not None
    return data.X_validation, data.Y_validation


def diagnosed(animal: Animal) -> tuple[Chart, list[Finding]]:
    """Train, and let the doctor look."""
    course = Retraining(animal)
    state, reports, diverged = TrainingState.of(course.spec, course.network, course.data), [], None
    per_epoch = course.replay.steps_per_epoch
    try:
        reports = []
        for report in train(course.network, course.data, course.spec.training, state, seed=course.spec.seed):
            reports.append(dict(report.values))  # type: ignore[union-attr]
    except Diverged as error:
        diverged = (error.epoch - 1) * per_epoch + error.step
    reached = diverged - 1 if diverged else state.epoch * per_epoch + state.step
    return examine(course, begun=0, reached=reached, epochs=reports, diverged=diverged)


# Tables --------------------------------------------------------------------------------------------------------------


@cache
def table(name: str) -> TrainingData:
    """A table's rows, standardised, a fifth of them for validation."""
    X, y = TABLES[name]()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    X, y = X[order], y[order]
    is_number = name in REGRESSIONS
    if is_number:
        Y = ((y - y.mean()) / y.std())[:, None]
    else:
        Y = np.eye(int(y.max()) + 1)[y.astype(int)]
        Y = Y[:, 1:] if Y.shape[1] == 2 else Y
    cut = len(X) * 4 // 5
    spread = X[:cut].std(axis=0)
    X = (X - X[:cut].mean(axis=0)) / np.where(spread > 0, spread, 1)
    kind = "regression" if is_number else "binary" if Y.shape[1] == 1 else "multiclass"
    return TrainingData(X[:cut], Y[:cut], X[cut:], Y[cut:], kind=kind)  # type: ignore[arg-type]


def _sines() -> tuple[Array, Array]:
    X = np.random.default_rng(1).uniform(-2, 2, (300, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def _blobs() -> tuple[Array, Array]:
    return datasets.make_blobs(n_samples=400, centers=4, n_features=6, cluster_std=2.0, random_state=2)


TABLES: dict[str, Callable[[], tuple[Array, Array]]] = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "digits": lambda: tuple(part[:600] for part in datasets.load_digits(return_X_y=True)),  # type: ignore[return-value]
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "moons": lambda: datasets.make_moons(300, noise=0.15, random_state=0),
    "blobs": _blobs,
    "sines": _sines,
}
REGRESSIONS = ("diabetes", "sines")


# Animals -------------------------------------------------------------------------------------------------------------


def layers(*widths: int, activation: str = "relu", init: Any = "auto", **more: Any) -> list[Json]:
    return [{"type": "dense", "units": width, "activation": activation, "init": init, **more} for width in widths]


def spec(
    hidden: list[Json], *, optimizer: Any = "adam", rate: float = 0.003, epochs: int = 30, seed: int = 0, **more: Any
) -> Json:
    output = more.pop("output", None)
    training = {
        "optimizer": {"type": optimizer, "learning_rate": rate},
        "epochs": epochs,
        "batch_size": 32,
        "early_stopping": None,
        "dtype": "float64",
        **more,
    }
    network = {"layers": hidden, **({"output": output} if output else {})}
    return {"network": network, "training": training, "seed": seed}


def normal(std: float) -> Json:
    return {"type": "normal", "std": std}


def _scaled(factor: float, column: int | None = None, shift: float = 0.0) -> Callable[[TrainingData], TrainingData]:
    def change(data: TrainingData) -> TrainingData:
        X, V = data.X.copy(), _validation(data)[0].copy()
        place = slice(None) if column is None else slice(column, column + 1)
        for each in (X, V):
            each[:, place] = each[:, place] * factor + shift
        return TrainingData(X, data.Y, V, data.Y_validation, kind=data.kind)

    return change


def _negative(data: TrainingData) -> TrainingData:
    return TrainingData(data.X, data.Y - 3, data.X_validation, _validation(data)[1] - 3, kind=data.kind)


def _rare(data: TrainingData) -> TrainingData:
    rare = np.flatnonzero(data.Y[:, 0] > 0.5) if data.Y.shape[1] > 1 else np.flatnonzero(data.Y[:, 0] < 0.5)
    keep = np.setdiff1d(np.arange(len(data.X)), rare[6:])
    return TrainingData(data.X[keep], data.Y[keep], data.X_validation, data.Y_validation, kind=data.kind)


def _few(data: TrainingData) -> TrainingData:
    rng = np.random.default_rng(0)
    X, Y = data.X[:60], data.Y[:60]
    noise = rng.normal(size=(len(X), 30))
    V, W = _validation(data)
    Y = Y[rng.permutation(len(Y))] if data.kind != "regression" else Y + rng.normal(size=Y.shape)
    return TrainingData(np.hstack([X, noise]), Y, np.hstack([V, rng.normal(size=(len(V), 30))]), W, kind=data.kind)


def _leaking(data: TrainingData) -> TrainingData:
    return TrainingData(data.X, data.Y, data.X[:60], data.Y[:60], kind=data.kind)


def sick() -> Iterator[Animal]:
    """Runs with something wrong."""
    early = (1, 3)
    for name, depth in (("digits", 8), ("blobs", 10), ("cancer", 8)):
        hidden = layers(*[16] * depth, activation="sigmoid", init=normal(0.3))
        yield Animal(
            f"vanishing: {depth} sigmoids on {name}",
            name,
            spec(hidden, optimizer="sgd", rate=0.1),
            frozenset({"vanishing"}),
            frozenset({1}),
            early,
        )
    yield Animal(
        "vanishing: 10 tanh with small weights on wine",
        "wine",
        spec(layers(*[16] * 10, activation="tanh", init=normal(0.05)), optimizer="sgd", rate=0.1),
        frozenset({"vanishing", "poor_init"}),
        frozenset({1}),
        early,
    )
    yield Animal(
        "vanishing: 8 ReLU with small weights on sines",
        "sines",
        spec(layers(*[16] * 8, init=normal(0.03)), optimizer="sgd", rate=0.05),
        frozenset({"vanishing", "poor_init"}),
        frozenset({1, 8}),
        early,
    )
    for name in ("digits", "sines", "blobs"):
        yield Animal(
            f"exploding: large weights on {name}",
            name,
            spec(layers(*[32] * 6, init=normal(1.0)), optimizer="sgd", rate=0.01),
            frozenset({"exploding", "poor_init", "nonfinite"}),
            frozenset(),
            early,
        )
    yield Animal(
        "exploding: large weights of leaky ReLUs on diabetes",
        "diabetes",
        spec(layers(*[32] * 5, activation="leaky_relu", init=normal(0.8)), optimizer="sgd", rate=0.01),
        frozenset({"exploding", "poor_init", "nonfinite"}),
        frozenset(),
        early,
    )
    for name, rate in (("sines", 3.0), ("digits", 30.0), ("diabetes", 5.0), ("blobs", 100.0)):
        yield Animal(
            f"learning rate {rate} of SGD on {name}",
            name,
            spec(layers(32, 32), optimizer="sgd", rate=rate),
            frozenset({"lr_high", "learning_rate_range", "diverging", "nonfinite", "dead_relu", "exploding"}),
            frozenset(),
            (1, 10),
        )
    for name, rate in (("digits", 1.0), ("wine", 2.0), ("sines", 5.0)):
        yield Animal(
            f"learning rate {rate} of Adam on {name}",
            name,
            spec(layers(32, 32), rate=rate),
            frozenset({"lr_high", "learning_rate_range", "dead_relu"}),
        )
    for name, rate, kind in (
        ("digits", 1e-7, "sgd"),
        ("iris", 1e-6, "sgd"),
        ("sines", 1e-8, "adam"),
        ("cancer", 1e-7, "adam"),
    ):
        yield Animal(
            f"learning rate {rate} of {kind} on {name}",
            name,
            spec(layers(16, 16), optimizer=kind, rate=rate, epochs=15),
            frozenset({"lr_low", "learning_rate_range"}),
        )
    alike = {"type": "constant", "value": 0.1}
    for name in ("digits", "moons"):
        yield Animal(
            f"dead: inputs below 0 and weights above on {name}",
            name,
            spec(layers(16, 16, init=alike), optimizer="sgd", rate=0.05, epochs=10),
            frozenset({"dead_relu", "symmetry"}),
            frozenset({1}),
            early,
            _below,
        )
    yield Animal(
        "dead: a first step far too long on wine",
        "wine",
        spec(layers(32, 32), optimizer="sgd", rate=20.0),
        frozenset({"dead_relu", "lr_high", "nonfinite", "learning_rate_range", "exploding"}),
        frozenset(),
        (1, 10),
    )
    for name, kind in (("digits", "sigmoid"), ("wine", "tanh"), ("blobs", "tanh")):
        yield Animal(
            f"saturated: large weights of {kind} on {name}",
            name,
            spec(layers(32, 32, activation=kind, init=normal(8.0)), optimizer="sgd", rate=0.01),
            frozenset({"saturated", "vanishing", "exploding"}),
            frozenset({1, 2}),
            early,
        )
    for name in ("digits", "iris", "sines"):
        yield Animal(
            f"symmetry: constant weights on {name}",
            name,
            spec(
                layers(16, 16, activation="tanh", init={"type": "constant", "value": 0.1}), optimizer="sgd", rate=0.05
            ),
            frozenset({"symmetry"}),
            frozenset({1}),
            early,
        )
    yield Animal(
        "symmetry: zeros on wine",
        "wine",
        spec(layers(16, 16, activation="tanh", init="zeros"), optimizer="sgd", rate=0.05),
        frozenset({"symmetry"}),
        frozenset({1, 2}),
        early,
    )
    for name, factor in (("wine", 3000.0), ("cancer", 5000.0), ("sines", 1000.0)):
        yield Animal(
            f"inputs {factor:g} times too large on {name}",
            name,
            spec(layers(16, 16), optimizer="sgd", rate=0.01),
            frozenset({"input_scale"}),
            frozenset({1}),
            change=_scaled(factor),
        )
    yield Animal(
        "one input far too large on iris",
        "iris",
        spec(layers(16, activation="tanh"), optimizer="sgd", rate=0.05),
        frozenset({"input_scale"}),
        frozenset({1}),
        change=_scaled(2000.0, 2),
    )
    yield Animal(
        "inputs far from 0 on digits",
        "digits",
        spec(layers(32, activation="tanh"), optimizer="sgd", rate=0.05),
        frozenset({"input_scale"}),
        frozenset({1}),
        change=_scaled(1.0, None, 60.0),
    )
    for name, l2 in (("digits", 3.0), ("sines", 10.0)):
        yield Animal(f"penalty {l2} on {name}", name, spec(layers(32, 32), l2=l2), frozenset({"penalty_rules"}))
    for name in ("sines", "diabetes"):
        yield Animal(
            f"ReLU output for targets below 0 on {name}",
            name,
            spec(layers(16), output={"activation": "relu"}),
            frozenset({"output_range"}),
            frozenset({2}),
            change=_negative,
        )
    yield Animal(
        "sigmoid output for targets of any size on sines",
        "sines",
        spec(layers(16), output={"activation": "sigmoid"}, loss="half_squared_error"),
        frozenset({"output_range"}),
        frozenset({2}),
    )
    for name in ("moons", "sines"):
        yield Animal(
            f"nothing that bends on {name}",
            name,
            spec(layers(16, 16, activation="identity")),
            frozenset({"no_nonlinearity"}),
            frozenset({2, 3}),
        )
    for name in ("blobs", "cancer"):
        yield Animal(f"a rare class on {name}", name, spec(layers(16)), frozenset({"class_imbalance"}), change=_rare)
    for name in ("digits", "cancer"):
        yield Animal(
            f"overfit: few rows and noise on {name}",
            name,
            spec(layers(128, 128), epochs=120, rate=0.005),
            frozenset({"overfit"}),
            change=_few,
        )
    yield Animal("known rows for validation on wine", "wine", spec(layers(16)), frozenset({"leakage"}), change=_leaking)
    yield Animal(
        "dropout of 0.9 on digits",
        "digits",
        spec([*layers(32), {"type": "dropout", "rate": 0.9}, *layers(32), {"type": "dropout", "rate": 0.9}]),
        frozenset({"high_dropout"}),
    )


def _below(data: TrainingData) -> TrainingData:
    return TrainingData(
        -abs(data.X) - 0.01, data.Y, -abs(_validation(data)[0]) - 0.01, data.Y_validation, kind=data.kind
    )


def healthy() -> Iterator[Animal]:
    """Runs with nothing wrong."""
    for name in ("iris", "wine", "cancer", "digits", "moons", "blobs"):
        yield Animal(f"healthy: Adam on {name}", name, spec(layers(32), epochs=40, rate=0.01))
    for name in ("diabetes", "sines"):
        yield Animal(f"healthy: regression on {name}", name, spec(layers(32, 32), epochs=40, l2=0.01))
    yield Animal(
        "healthy: SGD with momentum on digits",
        "digits",
        spec(layers(64, 32), epochs=30)
        | {"training": {**spec([])["training"], "optimizer": {"type": "sgd", "learning_rate": 0.05, "momentum": 0.9}}},
    )
    yield Animal("healthy: tanh on cancer", "cancer", spec(layers(16, 16, activation="tanh"), epochs=40))
    yield Animal("healthy: sigmoid on wine", "wine", spec(layers(16, activation="sigmoid"), epochs=60, rate=0.02))
    yield Animal("healthy: deep on digits", "digits", spec(layers(*[32] * 6), epochs=30))
    yield Animal(
        "healthy: GELU and layer norm on blobs",
        "blobs",
        spec([*layers(32, activation="gelu"), {"type": "layer_norm"}, *layers(16)]),
    )
    yield Animal("healthy: dropout on cancer", "cancer", spec([*layers(32), {"type": "dropout", "rate": 0.2}]))
    yield Animal("healthy: float32 on iris", "iris", spec(layers(16), dtype="float32", epochs=60))
    yield Animal("healthy: plain SGD on moons", "moons", spec(layers(16, 16), optimizer="sgd", rate=0.1, epochs=60))
