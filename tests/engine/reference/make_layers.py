"""Makes layers.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_layers.py`. Each case is
one layer on its own: its input, PyTorch's parameters under our names, what it gives, the gradients of Σ dY ⊙ Y.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
M, T, N = 5, 4, 3


def drawn(random: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.tensor(random.normal(size=shape).round(3))


def listed(named: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: tensor.detach().tolist() for name, tensor in named.items()}


def passed(X: torch.Tensor, Y: torch.Tensor, learned: dict[str, torch.Tensor], random: np.random.Generator) -> Any:
    """The case, and the gradients by everything in PyTorch's own form."""
    dY = drawn(random, *Y.shape)
    found = torch.autograd.grad((Y * dY).sum(), [X, *learned.values()], allow_unused=True)
    return {"X": X.tolist(), "Y": Y.tolist(), "dY": dY.tolist(), "dX": found[0].tolist()}, dict(
        zip(learned, found[1:], strict=True)
    )


def norm(spec: dict[str, Any], module: torch.nn.Module, *shape: int, training: bool = False) -> dict[str, Any]:
    random = np.random.default_rng(len(str(spec)) + sum(shape))
    names = {"weight": "gamma", "bias": "beta"}
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(drawn(random, *values.shape))
        for name, values in module.named_buffers():
            if name != "num_batches_tracked":
                values.copy_(drawn(random, *values.shape).abs() + 0.5)
    statistics = {k: v.clone() for k, v in module.named_buffers() if k != "num_batches_tracked"}
    module.train(training)
    X = drawn(random, *shape).requires_grad_()
    is_sequence = len(shape) == 3 and statistics
    Y = module(X.transpose(1, 2)).transpose(1, 2) if is_sequence else module(X)
    learned = dict(module.named_parameters())
    case, gradients = passed(X, Y, learned, random)
    after = {k: v for k, v in module.named_buffers() if k != "num_batches_tracked"}
    return {
        "spec": spec,
        "training": training,
        **case,
        "parameters": listed({names[k]: v for k, v in learned.items()} | statistics),
        "gradients": listed({names[k]: v for k, v in gradients.items()}),
        "statistics": listed(after),
    }


def recurrent(spec: dict[str, Any], module: torch.nn.Module, random: np.random.Generator) -> dict[str, Any]:
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(drawn(random, *values.shape))
    X = drawn(random, M, T, N).requires_grad_()
    states, _ = module(X)
    Y = states if spec["return_sequences"] else states[:, -1]
    learned = dict(module.named_parameters())
    case, gradients = passed(X, Y, learned, random)
    return {
        "spec": spec,
        "training": True,
        **case,
        "parameters": listed(ours(spec, learned, is_gradient=False)),
        "gradients": listed(ours(spec, gradients, is_gradient=True)),
        "statistics": {},
    }


def ours(spec: dict[str, Any], theirs: dict[str, torch.Tensor], *, is_gradient: bool) -> dict[str, torch.Tensor]:
    """PyTorch's two biases as our one, whose gradient is that of either; a GRU's second one is partly our c."""
    units = spec["units"]
    b, second = theirs["bias_ih_l0"].clone(), theirs["bias_hh_l0"]
    found = {"W": theirs["weight_ih_l0"].T, "U": theirs["weight_hh_l0"].T, "b": b}
    outside = 4 * units if spec["type"] == "lstm" else 2 * units
    if not is_gradient:
        b[:outside] += second[:outside]
    if spec["type"] == "gru":
        found["c"] = second[outside:]
    return found


def embedding() -> dict[str, Any]:
    random = np.random.default_rng(3)
    module = torch.nn.Embedding(7, N)
    with torch.no_grad():
        module.weight.copy_(drawn(random, 7, N))
    ids = torch.tensor(random.integers(7, size=(M, T)))
    Y = module(ids)
    dY = drawn(random, *Y.shape)
    (gradient,) = torch.autograd.grad((Y * dY).sum(), [module.weight])
    return {
        "spec": {"type": "embedding", "vocabulary_size": 7, "dim": N},
        "training": True,
        "X": ids.double().tolist(),
        "Y": Y.tolist(),
        "dY": dY.tolist(),
        "dX": torch.zeros(M, T).tolist(),
        "parameters": listed({"W": module.weight}),
        "gradients": listed({"W": gradient}),
        "statistics": {},
    }


def cases() -> dict[str, Any]:
    found = {"embedding": embedding()}
    for training in (True, False):
        name = "in training" if training else "outside"
        spec = {"type": "batch_norm", "momentum": 0.3, "epsilon": 0.01}
        module = torch.nn.BatchNorm1d(N, eps=0.01, momentum=0.3)
        found[f"batch_norm {name}"] = norm(spec, module, M, N, training=training)
        module = torch.nn.BatchNorm1d(N, eps=0.01, momentum=0.3)
        found[f"batch_norm of sequences {name}"] = norm(spec, module, M, T, N, training=training)
        module = torch.nn.BatchNorm1d(N, affine=False)
        found[f"batch_norm, not affine, {name}"] = norm(
            {"type": "batch_norm", "affine": False}, module, M, N, training=training
        )
    found["layer_norm"] = norm({"type": "layer_norm"}, torch.nn.LayerNorm(N), M, T, N)
    found["rms_norm"] = norm({"type": "rms_norm", "epsilon": 1e-3}, torch.nn.RMSNorm(N, eps=1e-3), M, T, N)
    for kind, module in (("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)):
        for return_sequences in (True, False):
            spec = {"type": kind, "units": 4, "return_sequences": return_sequences}
            random = np.random.default_rng(9)
            found[f"{kind}, {'every' if return_sequences else 'last'} state"] = recurrent(
                spec, module(N, 4, batch_first=True), random
            )
    return found


def alpha_dropout() -> dict[str, Any]:
    """What PyTorch made of an input, and which elements it dropped."""
    torch.manual_seed(1)
    X = drawn(np.random.default_rng(1), 8, 6).requires_grad_()
    Y = torch.nn.AlphaDropout(0.3)(X)
    (dX,) = torch.autograd.grad(Y.sum(), [X])
    return {"rate": 0.3, "X": X.tolist(), "Y": Y.tolist(), "dX": dX.tolist(), "dropped": (dX == 0).tolist()}


if __name__ == "__main__":
    content = {"torch": torch.__version__, "cases": cases(), "alpha_dropout": alpha_dropout()}
    Path(__file__).with_name("layers.json").write_text(json.dumps(content) + "\n")
