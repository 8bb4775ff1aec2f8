"""Defaults: what a run spec leaves open, decided by how many rows there are, the task, and how noisy the target is.

They are tuned on real tables, those of `python -m tests.benchmarks defaults`. What a spec says itself stays as it is; a
resolved spec says all of it, so that it describes the same training everywhere.
"""

from math import ceil
from typing import Any, Literal

from engine.layers import DenseSpec, DropoutSpec, LayerSpec
from engine.layers.activations import ReluSpec
from engine.optimizers import AdamSpec
from engine.schedules.cosine import CosineSpec
from engine.spec import NetworkSpec, RunSpec, SplitSpec, TrainingSpec

FEW_ROWS = 3000
"""A validation part of fewer costs more than it gives: then all rows train but those of the test."""
VALIDATION_SHARE, MOST_VALIDATION_ROWS = 0.1, 20_000

LARGEST_PENALTY = 0.1
STEEP_RATE, GENTLE_RATE = 0.01, 0.003
"""The first learning rate of the network nobody asked for, and of one somebody did, which may be deep."""
ROWS_OF_A_BATCH, BATCHES = (64, 128, 256), 150
"""A batch is the smallest of these that makes no more than so many of an epoch."""
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 20_000, 10, 100


def split_of(asked: SplitSpec, rows: int) -> SplitSpec:
    """The split of so many rows: where no validation share is asked for, none of few, else a tenth of what is left."""
    if "validation" in asked.model_fields_set:
        return asked
    left = rows * (1 - asked.test)
    share = 0.0 if rows < FEW_ROWS else min(VALIDATION_SHARE, MOST_VALIDATION_ROWS / left) * (1 - asked.test)
    return asked.model_copy(update={"validation": round(share, 6)})


def with_defaults(
    spec: RunSpec, *, rows: int, task: Literal["classification", "regression"], unexplained: float
) -> RunSpec:
    """The spec with a training for so many rows; `unexplained` is the share of the target no linear model explains."""
    asked = spec.training
    training = {**_recipe(spec), **_sizes(asked, rows), **_penalty(asked, rows, task, unexplained)}
    is_open = {name: value for name, value in training.items() if name not in asked.model_fields_set}
    network = spec.network if "network" in spec.model_fields_set else NetworkSpec(layers=hidden_layers(rows))
    return spec.model_copy(update={"network": network, "training": asked.model_copy(update=is_open)})


def hidden_layers(rows: int) -> tuple[LayerSpec, ...]:
    """One wide layer for few rows, a narrower one behind it for more; a little dropout behind each."""
    widths = (128,) if rows < FEW_ROWS else (128, 64)
    return tuple(
        layer for units in widths for layer in (DenseSpec(units=units, activation=ReluSpec()), DropoutSpec(rate=0.1))
    )


def _recipe(spec: RunSpec) -> dict[str, Any]:
    """Adam whose learning rate falls along a cosine to the last epoch; not where an optimizer is asked for.

    Falling rates settle by themselves, so that stopping early would only cut them off; the best epoch is kept anyway.
    """
    if "optimizer" in spec.training.model_fields_set:
        return {}
    rate = GENTLE_RATE if "network" in spec.model_fields_set else STEEP_RATE
    return {"optimizer": AdamSpec(learning_rate=rate), "schedule": CosineSpec(), "early_stopping": None}


def _sizes(asked: TrainingSpec, rows: int) -> dict[str, Any]:
    batch = next((size for size in ROWS_OF_A_BATCH if rows <= size * BATCHES), ROWS_OF_A_BATCH[-1])
    if "batch_size" in asked.model_fields_set:
        batch = asked.batch_size
    epochs = min(MOST_EPOCHS, max(FEWEST_EPOCHS, STEPS // ceil(rows / batch)))
    return {"batch_size": batch, "epochs": epochs}


def _penalty(asked: TrainingSpec, rows: int, task: str, unexplained: float) -> dict[str, Any]:
    """λ falls with the rows and rises with the noise: 14u/rows for numbers, (1 + 5u²)/rows for classes.

    With Gaussian noise of variance σ² and weights of prior variance τ² the most probable weights are those of λ =
    σ²/(τ²·rows) (Bishop 2006, eq. 3.55). The noise of classes is in their likelihood already, but for labels that
    nothing explains, which a wide network learns by heart. Two digits of λ, so that the last bits of a machine's
    arithmetic don't matter.
    """
    if getattr(asked.optimizer, "weight_decay", 0.0):
        return {"l2": 0.0}
    of_all_rows = 14 * unexplained if task == "regression" else 1 + 5 * unexplained**2
    return {"l2": float(f"{min(LARGEST_PENALTY, of_all_rows / rows):.2g}")}
