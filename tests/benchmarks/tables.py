"""Real tables to learn from, each with scikit-learn's MLP as it was tuned for it by hand.

They come with the extras `test` and `benchmarks`, and the samples. Licences: iris, wine, breast cancer and digits are
of UCI (CC BY 4.0), diabetes of Efron, Hastie, Johnstone & Tibshirani 2004, with scikit-learn; penguins are CC0;
statsmodels says that anes96, engel and grunfeld are in the public domain, and fair is there by its author's permission.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sklearn import datasets

from service.samples import PENGUINS

Columns = dict[str, list[Any]]
"""By name, None for a blank."""


@dataclass(frozen=True)
class RealTable:
    """A table, what is to be learned, and the options of `MLPClassifier` or `MLPRegressor` that suit it best."""

    load: Callable[[], Columns]
    target: str
    is_classes: bool
    tuned: Mapping[str, Any]
    """Of nine settings of layers, alpha, solver, learning rate and early stopping, the best by cross-validation."""


def scikit_learn(load: Callable[..., Any], *, names: bool = False) -> Callable[[], Columns]:
    """One of scikit-learn's tables; with the classes by name where it has some."""

    def loaded() -> Columns:
        bunch = load()
        columns: Columns = dict(zip(map(str, bunch.feature_names), bunch.data.T.tolist(), strict=True))
        target = bunch.target.tolist()
        return columns | {"target": [str(bunch.target_names[place]) for place in target] if names else target}

    return loaded


def of_statsmodels(name: str, *dropped: str, integers: str | None = None) -> Callable[[], Columns]:
    """One of statsmodels' tables without some columns; a column of whole numbers as such."""

    def loaded() -> Columns:
        frame = getattr(import_module("statsmodels.api").datasets, name).load_pandas().data
        columns: Columns = frame.drop(columns=list(dropped)).to_dict("list")
        return columns if integers is None else columns | {integers: [int(value) for value in columns[integers]]}

    return loaded


def penguins() -> Columns:
    rows = list(csv.DictReader(PENGUINS.content().decode().splitlines()))
    return {name: [_cell(row[name]) for row in rows] for name in rows[0]}


def _cell(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return None if text in ("", "NA") else text


ADAM = {"hidden_layer_sizes": (64, 32), "max_iter": 300}
SMALL = {"hidden_layer_sizes": (64,), "alpha": 3.0, "max_iter": 300}
DEEP = {"hidden_layer_sizes": (128, 128), "alpha": 0.1, "learning_rate_init": 3e-3, "max_iter": 200}
WIDE = {"hidden_layer_sizes": (256, 128), "alpha": 0.01, "max_iter": 100}
LBFGS = {"hidden_layer_sizes": (32,), "alpha": 10.0, "solver": "lbfgs", "max_iter": 500}
TABLES = {
    "iris": RealTable(scikit_learn(datasets.load_iris, names=True), "target", True, ADAM | {"alpha": 1.0}),
    "wine": RealTable(scikit_learn(datasets.load_wine, names=True), "target", True, SMALL),
    "engel": RealTable(of_statsmodels("engel"), "foodexp", False, ADAM | {"alpha": 1e-3}),
    "grunfeld": RealTable(of_statsmodels("grunfeld"), "invest", False, WIDE),
    "penguins": RealTable(penguins, "species", True, ADAM | {"alpha": 1e-3}),
    "diabetes": RealTable(scikit_learn(datasets.load_diabetes), "target", False, SMALL),
    "breast cancer": RealTable(scikit_learn(datasets.load_breast_cancer, names=True), "target", True, SMALL),
    "anes96": RealTable(of_statsmodels("anes96", "PID", integers="vote"), "vote", True, LBFGS),
    "digits": RealTable(scikit_learn(datasets.load_digits), "target", True, DEEP),
    "fair": RealTable(of_statsmodels("fair", integers="rate_marriage"), "rate_marriage", True, ADAM | {"alpha": 1.0}),
}
OF_STATSMODELS = ("engel", "grunfeld", "anes96", "fair")


def present() -> list[str]:
    """The tables whose package is installed."""
    return [name for name in TABLES if name not in OF_STATSMODELS or find_spec("statsmodels")]
