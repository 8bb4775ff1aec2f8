"""Makes activations.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_activations.py`. Every
activation is PyTorch's own; nothing of the engine is imported.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

torch.set_default_dtype(torch.float64)

NEAR = 1e-9
KINKS = (-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0)
GRID = sorted(
    {
        *np.linspace(-9, 9, 73).tolist(),
        *(kink + side for kink in KINKS for side in (-NEAR, 0.0, NEAR)),
        *(sign * size for size in (1e-8, 1e-3, 15.0, 25.0, 40.0, 90.0, 700.0, 1000.0) for sign in (-1.0, 1.0)),
    }
)
"""Where every elementwise activation is asked: the kinks and their neighbours, the tails, and so far out that eᶻ
overflows."""
ACTIVATIONS: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]] = {
    "identity": ({"type": "identity"}, lambda Z: Z * 1),
    "relu": ({"type": "relu"}, functional.relu),
    "relu6": ({"type": "relu6"}, functional.relu6),
    "leaky_relu": ({"type": "leaky_relu", "slope": 0.2}, lambda Z: functional.leaky_relu(Z, 0.2)),
    "elu": ({"type": "elu"}, functional.elu),
    "elu, alpha 0.5": ({"type": "elu", "alpha": 0.5}, lambda Z: functional.elu(Z, 0.5)),
    "elu, alpha 1.7": ({"type": "elu", "alpha": 1.7}, lambda Z: functional.elu(Z, 1.7)),
    "selu": ({"type": "selu"}, functional.selu),
    "gelu": ({"type": "gelu"}, functional.gelu),
    "gelu, tanh": ({"type": "gelu", "approximate": "tanh"}, lambda Z: functional.gelu(Z, approximate="tanh")),
    "silu": ({"type": "silu"}, functional.silu),
    "mish": ({"type": "mish"}, functional.mish),
    "softplus": ({"type": "softplus"}, lambda Z: functional.softplus(Z, threshold=600)),
    "softsign": ({"type": "softsign"}, functional.softsign),
    "sigmoid": ({"type": "sigmoid"}, torch.sigmoid),
    # functional.hardsigmoid multiplies with a 1/6 of single precision, so this is what its documentation says it is
    "hard_sigmoid": ({"type": "hard_sigmoid"}, lambda Z: functional.relu6(Z + 3) / 6),
    "tanh": ({"type": "tanh"}, torch.tanh),
    "hard_tanh": ({"type": "hard_tanh"}, functional.hardtanh),
    "exponential": ({"type": "exponential"}, torch.exp),
}
SLOPES = {"one for each unit": ([0.25, -0.3, 1.5, 0.0], False), "one for all": ([0.1], True)}


def elementwise(name: str) -> dict[str, Any]:
    spec, function = ACTIVATIONS[name]
    Z = torch.tensor(GRID, requires_grad=True)
    A = function(Z)
    A.sum().backward()
    return {"spec": spec, "A": A.tolist(), "slope": Z.grad.tolist()}


def prelu(name: str) -> dict[str, Any]:
    """The passes of a batch with derivatives of its own behind it, the slope's included."""
    values, shared = SLOPES[name]
    random = np.random.default_rng(3)
    Z = torch.tensor(random.normal(size=(6, 4)).round(3), requires_grad=True)
    dA = torch.tensor(random.normal(size=(6, 4)).round(3))
    with torch.no_grad():
        Z[0, 0] = 0.0
    slope = torch.tensor(values, requires_grad=True)
    A = functional.prelu(Z, slope)
    A.backward(dA)
    found = {"Z": Z, "dA": dA, "A": A, "dZ": Z.grad, "slope": slope, "dslope": slope.grad}
    return {"shared": shared, **{key: tensor.tolist() for key, tensor in found.items()}}


if __name__ == "__main__":
    content = {
        "torch": torch.__version__,
        "Z": GRID,
        "elementwise": {name: elementwise(name) for name in ACTIVATIONS},
        "prelu": {name: prelu(name) for name in SLOPES},
    }
    Path(__file__).with_name("activations.json").write_text(json.dumps(content) + "\n")
