"""Write convolution.json: PyTorch's outputs and gradients of every convolution and pool, in our layout.

Run by hand with PyTorch installed; the file it writes is in the repository. PyTorch keeps channels first, we keep them
last, so every array is transposed on its way out.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

torch.set_default_dtype(torch.float64)

M = 2
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((5, 4, 2), {"filters": 3, "kernel_size": [3, 2]}),
    "stride": ((6, 7, 2), {"filters": 2, "kernel_size": 3, "stride": [2, 3]}),
    "padding": ((4, 5, 2), {"filters": 2, "kernel_size": 3, "padding": [1, 2]}),
    "same": ((4, 5, 2), {"filters": 2, "kernel_size": [3, 4], "padding": "same"}),
    "dilation": ((7, 6, 2), {"filters": 2, "kernel_size": 3, "dilation": [2, 1], "padding": 1}),
    "groups": ((4, 4, 4), {"filters": 6, "kernel_size": 2, "groups": 2}),
    "depthwise": ((4, 4, 3), {"filters": 3, "kernel_size": 3, "groups": 3, "padding": 1, "stride": 2}),
    "one channel": ((6, 6, 1), {"filters": 3, "kernel_size": 3, "padding": "same"}),
    "sequence": ((9, 3), {"filters": 2, "kernel_size": 3, "stride": 2, "padding": 1}),
    "sequence, dilated in groups": ((9, 4), {"filters": 4, "kernel_size": 3, "dilation": 2, "groups": 2}),
}
POOLS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "max": ("max_pool", (4, 6, 2), {"size": 2}),
    "max, cropped": ("max_pool", (5, 7, 2), {"size": [2, 3]}),
    "max, overlapping": ("max_pool", (6, 5, 2), {"size": 3, "stride": [2, 1], "padding": 1}),
    "max of a sequence": ("max_pool", (8, 2), {"size": 3, "stride": 2, "padding": 1}),
    "average": ("average_pool", (5, 6, 2), {"size": 2}),
    "average, overlapping": ("average_pool", (6, 5, 2), {"size": 3, "stride": [2, 1], "padding": 1}),
    "average of a sequence": ("average_pool", (8, 2), {"size": 3, "stride": 2, "padding": 1}),
    "global max": ("global_max_pool", (4, 5, 3), {}),
    "global average": ("global_average_pool", (4, 5, 3), {}),
}


def channels_first(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.moveaxis(array, -1, 1).copy(), requires_grad=True)


def channels_last(tensor: torch.Tensor) -> Any:
    return np.moveaxis(tensor.detach().numpy(), 1, -1).tolist()


def convolution(shape: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(len(str(options)))
    axes = len(shape) - 1
    kernel = options["kernel_size"]
    kernel = [kernel] * axes if isinstance(kernel, int) else kernel
    X = random.normal(size=(M, *shape)).round(2)
    W = random.normal(size=(*kernel, shape[-1] // options.get("groups", 1), options["filters"])).round(2)
    b = random.normal(size=options["filters"]).round(2)
    x, bias = channels_first(X), torch.tensor(b, requires_grad=True)
    weight = torch.tensor(np.moveaxis(W, (-1, -2), (0, 1)).copy(), requires_grad=True)
    convolve = torch.nn.functional.conv2d if axes == 2 else torch.nn.functional.conv1d
    names = ("stride", "padding", "dilation", "groups")
    z = convolve(x, weight, bias, **{name: options[name] for name in names if name in options})
    dZ = random.normal(size=np.moveaxis(z.detach().numpy(), 1, -1).shape).round(2)
    z.backward(channels_first(dZ))
    return {
        "type": f"conv{axes}d",
        "options": options,
        "X": X.tolist(),
        "W": W.tolist(),
        "b": b.tolist(),
        "Y": channels_last(z),
        "dY": dZ.tolist(),
        "dX": channels_last(x.grad),
        "dW": np.moveaxis(weight.grad.numpy(), (0, 1), (-1, -2)).tolist(),
        "db": bias.grad.tolist(),
    }


def pool(kind: str, shape: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(len(kind) + len(str(options)))
    X = random.integers(-4, 5, size=(M, *shape)) / 2.0  # with many equal numbers
    x, axes = channels_first(X), len(shape) - 1
    name = f"{'max' if 'max' in kind else 'avg'}_pool{axes}d"
    if kind.startswith("global"):
        y = getattr(torch.nn.functional, f"adaptive_{name}")(x, 1)
    else:
        function = getattr(torch.nn.functional, name)
        y = function(x, options["size"], stride=options.get("stride"), padding=options.get("padding", 0))
    dY = random.normal(size=np.moveaxis(y.detach().numpy(), 1, -1).shape).round(2)
    y.backward(channels_first(dY))
    keep = (M, shape[-1]) if kind.startswith("global") else dY.shape
    return {
        "type": kind,
        "options": options,
        "X": X.tolist(),
        "Y": np.reshape(channels_last(y), keep).tolist(),
        "dY": dY.reshape(keep).tolist(),
        "dX": channels_last(x.grad),
    }


if __name__ == "__main__":
    content = {
        "torch": torch.__version__,
        "layers": {
            **{f"convolution, {name}": convolution(*case) for name, case in CONVOLUTIONS.items()},
            **{f"pool, {name}": pool(*case) for name, case in POOLS.items()},
        },
    }
    Path(__file__).with_name("convolution.json").write_text(json.dumps(content) + "\n")
