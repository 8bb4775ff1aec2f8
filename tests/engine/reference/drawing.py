"""The numbers of the random networks, drawn alike here and by the script that made their reference values."""

from zlib import crc32

import numpy as np
import numpy.typing as npt

Drawn = npt.NDArray[np.float64]


def drawn(seed: int, name: str, shape: tuple[int, ...]) -> Drawn:
    """Numbers from −1 to 1, the same wherever and in whatever order they are asked for.

    NumPy promises that RandomState's stream never changes; it does not promise that of Generator.
    """
    return np.random.RandomState(crc32(f"{seed} {name}".encode())).uniform(-1, 1, shape)


def parameter(seed: int, name: str, shape: tuple[int, ...]) -> Drawn:
    """A parameter or running statistic, of a size at which a network neither fades nor saturates."""
    values, letter = drawn(seed, name, shape), name.split(".")[0]
    if letter in ("W", "U"):
        return values * 2 / np.sqrt(np.prod(shape[:-1]))
    return values / 2 + 1 if letter in ("gamma", "running_var") else values / 2


def inputs(seed: int, m: int, shape: tuple[int, ...], levels: list[int]) -> Drawn:
    """Rows of numbers; the last of each are ids below these `levels`."""
    values = drawn(seed, "X", (m, *shape))
    X = 2 * values
    if levels:
        X[..., -len(levels) :] = np.floor((values[..., -len(levels) :] + 1) / 2 * levels)
    return X


def targets(seed: int, kind: str, m: int, n_out: int) -> Drawn:
    """Targets (m, n_out) of one kind: numbers, counts, sizes, labels, shares, classes, or parts of one whole."""
    values = drawn(seed, "Y", (m, n_out))
    if kind == "numbers":
        return values * 2
    if kind in ("counts", "sizes"):
        return np.floor(values * 2 + 2) if kind == "counts" else values + 1.5
    if kind in ("labels", "shares"):
        return np.floor(values + 1) if kind == "labels" else (values + 1) / 2
    classes = np.eye(n_out)[values.argmax(axis=1)]
    return classes if kind == "classes" else (classes + 1) / (n_out + 1)


def weights(seed: int, m: int) -> Drawn:
    """Of each example, between ½ and 1½."""
    return drawn(seed, "weights", (m, 1)) / 2 + 1


def summary(seed: int, name: str, values: Drawn) -> list[float]:
    """Two numbers that tell a tensor from every other: its norm, and its product with a random direction."""
    return [float(np.sqrt((values**2).sum())), float((values * drawn(seed, f"towards {name}", values.shape)).sum())]
