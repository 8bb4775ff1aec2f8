"""Makes reference.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_reference.py`. The nets
are written here with PyTorch's own modules and losses; nothing of the engine is imported.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

ACTIVATIONS = {
    "identity": lambda Z: Z * 1,
    "relu": torch.relu,
    "leaky_relu": lambda Z: torch.nn.functional.leaky_relu(Z, 0.01),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda Z: torch.softmax(Z, dim=1),
}
NETS = {
    "regression": (["tanh", "identity"], 2, "half_squared_error"),
    "binary": (["relu", "sigmoid"], 1, "binary_cross_entropy"),
    "multilabel": (["leaky_relu", "sigmoid"], 3, "binary_cross_entropy"),
    "multiclass": (["sigmoid", "tanh", "softmax"], 3, "cross_entropy"),
    "regression behind sigmoid": (["tanh", "sigmoid"], 2, "half_squared_error"),
    "squared error behind softmax": (["tanh", "softmax"], 3, "half_squared_error"),
}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam with l2": lambda p: torch.optim.Adam(
        [{"params": p[0::2], "weight_decay": 0.1}, {"params": p[1::2]}], lr=0.01, betas=(0.8, 0.99), eps=1e-6
    ),
}
M, N_IN, HIDDEN = 7, 4, 5


def example_losses(loss: str, A: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
    if loss == "half_squared_error":
        return 0.5 * torch.nn.functional.mse_loss(A, Y, reduction="none").sum(dim=1)
    if loss == "binary_cross_entropy":
        return torch.nn.functional.binary_cross_entropy(A, Y, reduction="none").sum(dim=1)
    return torch.nn.functional.nll_loss(torch.log(A), Y.argmax(dim=1), reduction="none")


def drawn(random: np.random.Generator, loss: str, n_out: int) -> np.ndarray:
    if loss == "cross_entropy":
        return np.eye(n_out)[random.integers(n_out, size=M)]
    if loss == "binary_cross_entropy":
        return random.integers(2, size=(M, n_out)) * 1.0
    return random.normal(size=(M, n_out)).round(3)


def passes(name: str) -> dict[str, Any]:
    """Every tensor of one forward and one backward pass; dZ and dA are each example's own."""
    activations, n_out, loss = NETS[name]
    random = np.random.default_rng(sum(map(ord, name)))
    widths = [N_IN, *[HIDDEN] * (len(activations) - 1), n_out]
    X = torch.tensor(random.normal(size=(M, N_IN)).round(3), requires_grad=True)
    Y = torch.tensor(drawn(random, loss, n_out))
    parameters, found = [], {"A.0": X}
    A = X
    for layer, activation in enumerate(activations, start=1):
        W = torch.tensor(random.normal(size=(widths[layer - 1], widths[layer])).round(3), requires_grad=True)
        b = torch.tensor(random.normal(size=widths[layer]).round(3), requires_grad=True)
        Z = A @ W + b
        A = ACTIVATIONS[activation](Z)
        found |= {f"W.{layer}": W, f"b.{layer}": b, f"Z.{layer}": Z, f"A.{layer}": A}
        parameters += [W, b]
    for tensor in found.values():
        tensor.retain_grad()
    losses = example_losses(loss, A, Y)
    losses.sum().backward()
    tensors = {key: tensor.detach().numpy() for key, tensor in found.items()}
    for key, tensor in found.items():
        gradient = tensor.grad.numpy()
        tensors[f"d{key}"] = gradient / M if key[0] in "Wb" else gradient
    return {
        "activations": activations,
        "loss": loss,
        "Y": Y.tolist(),
        "losses": losses.tolist(),
        "tensors": {key: value.tolist() for key, value in tensors.items()},
    }


def steps(name: str) -> dict[str, Any]:
    """The parameters after 20 full-batch updates of a small softmax net."""
    random = np.random.default_rng(5)
    X, Y = random.normal(size=(M, N_IN)).round(3), np.eye(3)[random.integers(3, size=M)]
    shapes = [(N_IN, HIDDEN), (HIDDEN,), (HIDDEN, 3), (3,)]
    start = [random.normal(size=shape).round(3) for shape in shapes]
    parameters = [torch.tensor(values, requires_grad=True) for values in start]
    W1, b1, W2, b2 = parameters
    optimizer = OPTIMIZERS[name](parameters)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        logits = torch.tanh(torch.tensor(X) @ W1 + b1) @ W2 + b2
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(Y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {
        "X": X.tolist(),
        "Y": Y.tolist(),
        "start": np.concatenate([values.ravel() for values in start]).tolist(),
        "end": np.concatenate([values.detach().numpy().ravel() for values in parameters]).tolist(),
        "losses": losses,
    }


if __name__ == "__main__":
    content = {
        "torch": torch.__version__,
        "passes": {name: passes(name) for name in NETS},
        "steps": {name: steps(name) for name in OPTIMIZERS},
    }
    Path(__file__).with_name("reference.json").write_text(json.dumps(content) + "\n")
