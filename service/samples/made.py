"""Tables made by a formula: two numbers and a class to play with, and one for each lesson that needs its own."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from math import pi, tau

import numpy as np

from engine.parameters import Array


def circle(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """A disc in a ring."""
    y = np.arange(rows) % 2
    radius, angle = np.where(y == 1, rng.uniform(0, 2.2, rows), rng.uniform(3, 5, rows)), rng.uniform(0, tau, rows)
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), y


def moons(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Two half circles that reach into each other."""
    y, angle = np.arange(rows) % 2, rng.uniform(0, pi, rows)
    x1 = np.where(y == 1, 1 - np.cos(angle), np.cos(angle))
    x2 = np.where(y == 1, 0.5 - np.sin(angle), np.sin(angle))
    return np.column_stack([x1, x2]) * 3, y


def squares(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Four squares: a class where both numbers have the same sign (exclusive or)."""
    X = rng.uniform(-5, 5, (rows, 2))
    X += np.sign(X) * 0.3
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def spirals(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Two spirals around each other (Lang & Witbrock 1988, Learning to tell two spirals apart)."""
    y, along = np.arange(rows) % 2, np.sqrt(rng.uniform(0.01, 1, rows))
    angle = along * 1.75 * tau + y * pi
    return np.column_stack([along * 5 * np.sin(angle), along * 5 * np.cos(angle)]), y


def clouds(rng: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Four clouds, a class each."""
    y = np.arange(rows) % 4
    centres = np.array([[-2.5, -2.5], [2.5, 2.5], [-2.5, 2.5], [2.5, -2.5]])
    return centres[y] + rng.normal(0, 1, (rows, 2)), y


PLANES: dict[str, Callable[[np.random.Generator, int], tuple[Array, Array]]] = {
    "circle": circle,
    "moons": moons,
    "squares": squares,
    "spirals": spirals,
    "clouds": clouds,
}


def plane(kind: str, *, rows: int, noise: float, seed: int) -> bytes:
    """A CSV file of x1, x2 and class, A to D: one of PLANES, its numbers moved by normal noise of that deviation."""
    rng = np.random.default_rng(seed)
    X, y = PLANES[kind](rng, rows)
    X = X + rng.normal(0, noise, X.shape)
    return _csv({"x1": X[:, 0], "x2": X[:, 1], "class": ["ABCD"[each] for each in y]})


def scales() -> bytes:
    """A CSV file whose numbers have scales from a thousandth to a million, as tables of the world do."""
    rng = np.random.default_rng(0)
    income, age = rng.lognormal(10.5, 0.5, 400), rng.uniform(18, 80, 400)
    rate, debt = rng.uniform(0.001, 0.02, 400), rng.lognormal(11, 0.8, 400)
    score = np.log(income) - 0.02 * (age - 40) - 60 * rate - 0.4 * np.log(debt) + rng.normal(0, 0.2, 400)
    repaid = np.where(score > np.median(score), "yes", "no")
    return _csv({"income": income, "age": age, "interest": rate, "debt": debt, "repaid": repaid.tolist()})


def few() -> bytes:
    """A CSV file of few rows and many columns, of which two say something."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(160, 24))
    y = X[:, 0] + X[:, 1] + rng.normal(0, 1.2, len(X)) > 0
    columns: dict[str, Sequence[object]] = {f"gene_{place}": X[:, place].tolist() for place in range(X.shape[1])}
    return _csv({**columns, "ill": ["yes" if each else "no" for each in y]})


def leaking() -> bytes:
    """A CSV file with a column that is only known once the answer is: what was paid back of a loan."""
    rng = np.random.default_rng(2)
    income, age, sum_lent = rng.normal(40, 12, 400), rng.uniform(18, 80, 400), rng.uniform(1, 50, 400)
    is_late = 0.05 * (sum_lent - 25) - 0.04 * (income - 40) + rng.normal(0, 1, 400) > 0
    returned = np.where(is_late, 0.0, sum_lent)
    return _csv(
        {
            "income": income,
            "age": age,
            "lent": sum_lent,
            "share_returned": (returned / sum_lent).round(3),
            "late": ["yes" if each else "no" for each in is_late],
        }
    )


def _csv(columns: Mapping[str, Sequence[object] | Array]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([f"{each:.5g}" if isinstance(each, float) else each for each in row])
    return sink.getvalue().encode()
