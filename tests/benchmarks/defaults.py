"""How good a run is of which only the dataset and the target are said, beside scikit-learn's MLP tuned by hand.

Both learn from the same rows of each table and are judged by the same others: accuracy, or R² of numbers.
"""

import argparse
import csv
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from engine.data import Bounds, ingest, open_table
from engine.spec import RunSpec
from engine.training import TrainingState, train
from service.domain.training import Parts, Plan, parts, plan
from service.settings import Limits
from tests.benchmarks.tables import TABLES, Columns, RealTable, present

TEST_SHARE = 0.15


def main(options: argparse.Namespace) -> None:
    """Print, for each table, both scores: their means over the splits."""
    rows = [compared(name, seeds=options.splits) for name in options.table or present()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"Means over {options.splits} splits, {TEST_SHARE:.0%} of the rows held out: accuracy, or R² of numbers.\n")
    print(f"{'table':14s} {'rows':>5s} {'score':>9s} {'defaults':>9s} {'tuned MLP':>10s} {'difference':>11s}")
    for row in rows:
        print(
            f"{row['table']:14s} {row['rows']:5d} {row['score']:>9s} {row['defaults']:9.4f} {row['tuned']:10.4f} "
            f"{row['defaults'] - row['tuned']:+11.4f}"
        )


def compared(name: str, *, seeds: int) -> dict[str, Any]:
    """A table's name, rows and both scores."""
    table = TABLES[name]
    columns = table.load()
    target = columns[table.target]
    ours, theirs = [], []
    for seed in range(seeds):
        strata = target if table.is_classes else None
        numbers = train_test_split(np.arange(len(target)), test_size=TEST_SHARE, random_state=seed, stratify=strata)
        known, asked = (
            {name: [cells[number] for number in part] for name, cells in columns.items()} for part in numbers
        )
        ours.append(score(table, asked, by_default(table, known, asked, seed)))
        theirs.append(score(table, asked, by_tuned_mlp(table, known, asked, seed)))
    return {
        "table": name,
        "rows": len(target),
        "score": "accuracy" if table.is_classes else "R²",
        "defaults": float(np.mean(ours)),
        "tuned": float(np.mean(theirs)),
    }


def score(table: RealTable, rows: Columns, predicted: Any) -> float:
    """Accuracy of classes by name, or R² of numbers."""
    true = rows[table.target]
    if table.is_classes:
        return float(np.mean([str(one) == str(other) for one, other in zip(true, predicted, strict=True)]))
    y = np.array(true, np.float64)
    return float(1 - np.square(y - predicted).sum() / np.square(y - y.mean()).sum())


# Ours --------------------------------------------------------------------------------------------------------------


def by_default(table: RealTable, known: Columns, asked: Columns, seed: int) -> list[Any]:
    """What a run of the known rows says of the others. All of them train: the others are its test part."""
    planned, rows = planned_run(table, known, seed)
    resolved, preprocessing, network, data = planned.resolved, planned.preprocessing, planned.network, rows.training
    state = TrainingState.of(resolved, network, data)
    for _ in train(network, data, resolved.training, state, seed=seed):
        pass
    best = state.best.parameters if state.best is not None else state.parameters
    X = preprocessing.encode_columns(asked, dtype=resolved.training.dtype).X
    answers = preprocessing.decode(network.predict(best, X))
    return [answer["label" if table.is_classes else "value"] for answer in answers]


def planned_run(table: RealTable, known: Columns, seed: int) -> tuple[Plan, Parts]:
    """A run on these rows of which nothing is said but the target; and the rows, all of which train."""
    spec, limits = RunSpec.model_validate({"target": table.target, "seed": seed, "split": {"test": 0}}), Limits()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = uploaded(known, folder)
        planned = plan(spec, path, limits)
        in_memory = {"bytes_in_memory": limits.encoded_bytes_in_memory, "folder": folder}
        rows = parts(planned.resolved, planned.preprocessing, planned.network, open_table(path), **in_memory)
    return planned, rows


def uploaded(columns: Columns, folder: Path) -> Path:
    """The file of the table that an upload of the rows as CSV makes."""
    source, target = folder / "table.csv", folder / "table.arrow"
    with source.open("w", newline="") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    ingest(source, target, "text/csv", bounds=Bounds())
    return target


# Theirs ------------------------------------------------------------------------------------------------------------


def by_tuned_mlp(table: RealTable, known: Columns, asked: Columns, seed: int) -> Any:
    """What scikit-learn's MLP says, behind the usual preprocessing."""
    features = [name for name in known if name != table.target]
    is_text = [any(isinstance(cell, str) for cell in known[name]) for name in features]
    numbers = make_pipeline(FunctionTransformer(as_numbers), SimpleImputer(strategy="median"), StandardScaler())
    blank = SimpleImputer(missing_values=None, strategy="most_frequent")
    texts = make_pipeline(blank, OneHotEncoder(handle_unknown="ignore"))
    preprocessing = make_column_transformer(
        (numbers, np.flatnonzero(~np.array(is_text))), (texts, np.flatnonzero(is_text))
    )
    if table.is_classes:
        learner = MLPClassifier(random_state=seed, **table.tuned)
    else:
        mlp = MLPRegressor(random_state=seed, **table.tuned)
        learner = TransformedTargetRegressor(mlp, transformer=StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = make_pipeline(preprocessing, learner).fit(cells_of(known, features), np.array(known[table.target]))
    return model.predict(cells_of(asked, features))


def cells_of(columns: Columns, names: Sequence[str]) -> Any:
    """The cells (m, n) of these columns."""
    return np.array([columns[name] for name in names], object).T


def as_numbers(cells: Any) -> Any:
    """Numbers with NaN for a blank."""
    return cells.astype(np.float64)
