"""Which rows each step looks at."""

from engine.parameters import Array
from engine.randomness import generator


def epoch_order(row_count: int, *, seed: int, epoch: int) -> Array:
    """The order in which an epoch (counted from 0) goes through the training rows."""
    return generator(seed, "shuffle", epoch=epoch).permutation(row_count)


def batch_rows(order: Array, *, step: int, batch_size: int) -> Array:
    """The row numbers of one step's batch."""
    return order[step * batch_size : (step + 1) * batch_size]
