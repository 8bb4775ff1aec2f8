"""The digits in scikit-learn, as a script: 100 epochs, batches of 64, 64-128-64-10."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from service.samples import DIGITS

table = np.loadtxt(DIGITS.content().decode().splitlines(), delimiter=",", skiprows=1, dtype="float32")
X, y = table[:, :-1] / 16, table[:, -1].astype(int)

model = MLPClassifier((128, 64), alpha=0, batch_size=64, max_iter=100, n_iter_no_change=100, tol=0, random_state=0)
warnings.simplefilter("ignore", ConvergenceWarning)
model.fit(X[:1500], y[:1500])

print(model.score(X[1500:], y[1500:]))
