"""Real tables to learn from, each with scikit-learn's MLP as it was tuned for it by hand.

They come with packages of the `test` extra and the samples. Licences: iris, wine, breast cancer and digits are of UCI
(CC BY 4.0), diabetes of Efron, Hastie, Johnstone & Tibshirani 2004, with scikit-learn; penguins are CC0;
statsmodels says that anes96, engel and grunfeld are in the public domain, and fair is there by its author's permission.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pandas as pd
import statsmodels.api as statsmodels
from sklearn import datasets

from service.samples import PENGUINS


@dataclass(frozen=True)
class RealTable:
    """A table, what is to be learned, and the options of `MLPClassifier` or `MLPRegressor` that suit it best."""

    load: Callable[[], pd.DataFrame]
    target: str
    is_classes: bool
    tuned: Mapping[str, Any] = field(default_factory=dict)
    """Of nine settings of layers, alpha, solver, learning rate and early stopping, the best by cross-validation."""


def scikit_learn(load: Callable[..., Any], *, names: bool = False) -> Callable[[], pd.DataFrame]:
    """One of scikit-learn's tables; with the classes by name where it has some."""

    def loaded() -> pd.DataFrame:
        bunch = load(as_frame=True)
        frame: pd.DataFrame = bunch.frame.copy()
        if names:
            frame["target"] = [bunch.target_names[place] for place in frame["target"]]
        return frame

    return loaded


def of_statsmodels(name: str, *dropped: str, integers: str | None = None) -> Callable[[], pd.DataFrame]:
    """One of statsmodels' tables without some columns; a column of whole numbers as such."""

    def loaded() -> pd.DataFrame:
        frame: pd.DataFrame = getattr(statsmodels.datasets, name).load_pandas().data.drop(columns=list(dropped))
        return frame if integers is None else frame.astype({integers: int})

    return loaded


ADAM = {"hidden_layer_sizes": (64, 32), "max_iter": 300}
TABLES: dict[str, RealTable] = {
    "iris": RealTable(scikit_learn(datasets.load_iris, names=True), "target", True, ADAM | {"alpha": 1.0}),
    "wine": RealTable(
        scikit_learn(datasets.load_wine, names=True),
        "target",
        True,
        {"hidden_layer_sizes": (64,), "alpha": 3.0, "max_iter": 300},
    ),
    "engel": RealTable(of_statsmodels("engel"), "foodexp", False, ADAM | {"alpha": 1e-3}),
    "grunfeld": RealTable(
        of_statsmodels("grunfeld"),
        "invest",
        False,
        {"hidden_layer_sizes": (256, 128), "alpha": 0.01, "max_iter": 100},
    ),
    "penguins": RealTable(lambda: pd.read_csv(BytesIO(PENGUINS.content())), "species", True, ADAM | {"alpha": 1e-3}),
    "diabetes": RealTable(
        scikit_learn(datasets.load_diabetes),
        "target",
        False,
        {"hidden_layer_sizes": (64,), "alpha": 3.0, "max_iter": 300},
    ),
    "breast cancer": RealTable(
        scikit_learn(datasets.load_breast_cancer, names=True),
        "target",
        True,
        {"hidden_layer_sizes": (64,), "alpha": 3.0, "max_iter": 300},
    ),
    "anes96": RealTable(
        of_statsmodels("anes96", "PID", integers="vote"),
        "vote",
        True,
        {"hidden_layer_sizes": (32,), "alpha": 10.0, "solver": "lbfgs", "max_iter": 500},
    ),
    "digits": RealTable(
        scikit_learn(datasets.load_digits),
        "target",
        True,
        {"hidden_layer_sizes": (128, 128), "alpha": 0.1, "learning_rate_init": 3e-3, "max_iter": 200},
    ),
    "fair": RealTable(of_statsmodels("fair", integers="rate_marriage"), "rate_marriage", True, ADAM | {"alpha": 1.0}),
}
