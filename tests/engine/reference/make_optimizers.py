"""Makes optimizers.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_optimizers.py`. Every
optimizer takes the same fifty gradients from the same start; the last four parameters are no weights and don't decay.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

WEIGHTS, BIASES, STEPS = 8, 4, 50
CASES: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1}),
    "sgd dampening": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    "sgd nesterov": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adam options": (torch.optim.Adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01}),
    "adamw options": (torch.optim.AdamW, {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-4, "weight_decay": 0.5}),
    "adamw no decay": (torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.0}),
    "amsgrad": (torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "amsgrad options": (torch.optim.Adam, {"lr": 0.1, "betas": (0.7, 0.5), "eps": 1e-3, "amsgrad": True}),
    "nadam": (torch.optim.NAdam, {}),
    "nadam options": (torch.optim.NAdam, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-4, "momentum_decay": 0.3}),
    "nadam no momentum": (torch.optim.NAdam, {"lr": 0.1, "betas": (0.0, 0.9), "momentum_decay": 0.0}),
    "radam": (torch.optim.RAdam, {"lr": 0.01}),
    "radam options": (torch.optim.RAdam, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
    "radam never rectified": (torch.optim.RAdam, {"lr": 0.1, "betas": (0.8, 0.5)}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "rmsprop options": (torch.optim.RMSprop, {"lr": 0.1, "alpha": 0.8, "eps": 1e-3}),
    "rmsprop momentum": (torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.9}),
    "rmsprop centered": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "centered": True}),
    "rmsprop both": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "momentum": 0.5, "centered": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "adagrad options": (
        torch.optim.Adagrad,
        {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
    "adadelta": (torch.optim.Adadelta, {}),
    "adadelta options": (torch.optim.Adadelta, {"lr": 0.5, "rho": 0.6, "eps": 1e-2}),
}


def after(kind: type[torch.optim.Optimizer], options: dict[str, Any], start: Any, gradients: Any) -> list[float]:
    """The parameters after all the updates."""
    W, b = (torch.tensor(part) for part in np.split(start, [WEIGHTS]))
    optimizer = kind([{"params": [W]}, {"params": [b], "weight_decay": 0.0}], **options)  # type: ignore[call-arg]
    for gradient in gradients:
        W.grad, b.grad = (torch.tensor(part) for part in np.split(gradient, [WEIGHTS]))
        optimizer.step()
    return [*W.tolist(), *b.tolist()]


def rosenbrock(size: int) -> dict[str, Any]:
    """Where L-BFGS finds the minimum of a bent valley, and after how many evaluations."""
    theta = torch.tensor(np.linspace(-1.2, 1.0, size), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [theta], max_iter=200, max_eval=1000, history_size=10, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = (100 * (theta[1:] - theta[:-1] ** 2) ** 2 + (1 - theta[:-1]) ** 2).sum()
        value.backward()
        return value

    optimizer.step(closure)
    state = optimizer.state[theta]
    return {"end": theta.tolist(), "evaluations": state["func_evals"], "steps": state["n_iter"]}


if __name__ == "__main__":
    random = np.random.default_rng(11)
    start = random.normal(size=WEIGHTS + BIASES).round(3)
    gradients = (
        random.normal(size=(STEPS, WEIGHTS + BIASES)) * 10.0 ** random.integers(-3, 2, WEIGHTS + BIASES)
    ).round(6)
    content = {
        "torch": torch.__version__,
        "weights": WEIGHTS,
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "ends": {name: after(kind, options, start, gradients) for name, (kind, options) in CASES.items()},
        "rosenbrock": {str(size): rosenbrock(size) for size in (2, 10)},
    }
    Path(__file__).with_name("optimizers.json").write_text(json.dumps(content) + "\n")
