"""The digits in our engine, as a script: 100 epochs, batches of 64, 64-128-64-10."""

import numpy as np

from engine.layers import DenseSpec
from engine.layers.activations import ReluSpec, SoftmaxSpec
from engine.losses import CrossEntropySpec
from engine.network import Network
from engine.spec import TrainingSpec
from engine.training import TrainingData, TrainingState, train
from service.samples import DIGITS

table = np.loadtxt(DIGITS.content().decode().splitlines(), delimiter=",", skiprows=1, dtype="float32")
X, Y = table[:, :-1] / 16, np.eye(10, dtype="float32")[table[:, -1].astype(int)]

layers = [DenseSpec(units=units, activation=ReluSpec()) for units in (128, 64)]
head = DenseSpec(units=10, activation=SoftmaxSpec())
network = Network.build([*layers, head], input_shape=(64,), loss=CrossEntropySpec())
training = TrainingSpec(epochs=100, batch_size=64, l2=0, early_stopping=None)
state = TrainingState.start(network, training, seed=0)

for _ in train(network, TrainingData(X[:1500], Y[:1500]), training, state, seed=0):
    pass

print((network.predict(state.parameters, X[1500:]).argmax(axis=1) == Y[1500:].argmax(axis=1)).mean())
