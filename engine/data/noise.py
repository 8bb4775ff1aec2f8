"""How much of a target a linear model leaves unexplained: a cheap upper bound of its noise."""

import numpy as np

from engine.parameters import Array

MOST_ROWS, MOST_INPUTS = 2000, 500
RIDGE = 1.0


def unexplained(X: Array, Y: Array) -> float:
    """The share of the variance of Y (m, n_out) that ridge regression on X (m, n_in) leaves, from 0 to 1.

    Each row is judged by the model of all others, whose residual is that of the whole model over 1 − h, h being the
    row's leverage (Hastie, Tibshirani & Friedman 2009, eq. 7.52). Some rows, `MOST_ROWS`, are enough; more inputs than
    `MOST_INPUTS` are not looked at, and leave everything unexplained.
    """
    if X.shape[1] > MOST_INPUTS:
        return 1.0
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    total = np.square(Y).sum()
    if not total:
        return 1.0
    whitened = np.linalg.solve(X.T @ X + RIDGE * np.eye(X.shape[1]), X.T)
    leverage = (X * whitened.T).sum(axis=1) + 1 / len(X)
    residual = (Y - X @ (whitened @ Y)) / (1 - np.minimum(leverage, 0.999))[:, np.newaxis]
    return float(min(1.0, np.square(residual).sum() / total))
