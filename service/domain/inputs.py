"""Inputs: numbers that a run's first layer is not defined for, said in the words of the table they come from."""

import numpy as np

from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import Array


def check_inputs(network: Network, preprocessing: Preprocessing, X: Array, rows: Array | None = None) -> None:
    """Raise DataError for cells of encoded rows X (m, n_in) that the first layer is not defined for.

    `rows` are the rows' numbers in their table; None where they count from 0.
    """
    names = preprocessing.input_names

    def place_of(index: tuple[int, ...]) -> str:
        row, *place = index
        column = int(np.ravel_multi_index(place, network.input_shape))
        return f"rows[{row if rows is None else rows[row]}].{names[column]}"

    network.layers[0].check(X.reshape(len(X), *network.input_shape), place_of)
