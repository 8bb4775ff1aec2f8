"""Which rows each step looks at."""

from math import ceil

from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.randomness import generator
from engine.spec import TrainingSpec


def epoch_order(row_count: int, *, seed: int, epoch: int) -> Array:
    """The order in which an epoch (counted from 0) goes through the training rows."""
    return generator(seed, "shuffle", epoch=epoch).permutation(row_count)


def batch_rows(order: Array, *, step: int, batch_size: int) -> Array:
    """The row numbers of one step's batch."""
    return order[step * batch_size : (step + 1) * batch_size]


def steps_per_epoch(training: TrainingSpec, row_count: int) -> int:
    """How many steps an epoch of so many training rows has: one where the optimizer looks at all of them together."""
    if OPTIMIZERS[training.optimizer.type].full_batch:
        return 1
    return ceil(row_count / min(training.batch_size, row_count))
