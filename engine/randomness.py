"""Every random number as a pure function of (seed, purpose, epoch, step): nothing is drawn from a running state.

The generator is Philox, which is built for this: its numbers are a keyed scramble of a counter (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"). So any step of any training can be repeated on its own, and a
checkpoint needs no generator's state.
"""

import numpy as np

PURPOSES = {"initial_weights": 1, "shuffle": 2, "dropout": 3, "split": 4, "nudge": 5, "direction": 6, "smoothing": 7}


def generator(
    seed: int, purpose: str, *, epoch: int = 0, step: int = 0, layer: int = 0, shard: int = 0
) -> np.random.Generator:
    """The generator of one purpose at one place: equal arguments give equal numbers, different ones independent."""
    key = np.array([seed, PURPOSES[purpose] << 48 | layer << 16 | shard], dtype=np.uint64)
    counter = np.array([0, 0, step, epoch], dtype=np.uint64)  # 2¹²⁸ numbers before the step's word is reached
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
