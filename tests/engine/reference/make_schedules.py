"""Makes schedules.json with PyTorch, which the project itself never needs.

Run once, in an environment of its own: `pip install torch==2.13.0 numpy`, then `python make_schedules.py`. The learning
rates are those at the start of each of 30 epochs, from a base of 1; `one_cycle` counts steps as epochs.
"""

import json
from pathlib import Path

import torch
from torch.optim import lr_scheduler as schedulers

EPOCHS = 30
SCHEDULES = {
    "step": ({"every": 7, "gamma": 0.5}, lambda o: schedulers.StepLR(o, 7, 0.5)),
    "multi_step": ({"milestones": [3, 4, 20], "gamma": 0.3}, lambda o: schedulers.MultiStepLR(o, [3, 4, 20], 0.3)),
    "exponential": ({"gamma": 0.9}, lambda o: schedulers.ExponentialLR(o, 0.9)),
    "polynomial": ({"power": 2.0}, lambda o: schedulers.PolynomialLR(o, EPOCHS, 2.0)),
    "cosine": ({"end": 0.05}, lambda o: schedulers.CosineAnnealingLR(o, EPOCHS, 0.05)),
    "cosine_restarts": (
        {"first": 4, "factor": 2, "end": 0.1},
        lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4, 2, 0.1),
    ),
}


def rates(make: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = make(optimizer)
    found = []
    for _ in range(EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def plateau(values: list[float]) -> list[float]:
    """The rate behind each epoch that ended with this value."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = schedulers.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=0.01, threshold_mode="abs", min_lr=0.2, eps=0
    )
    found = []
    for value in values:
        schedule.step(value)
        found.append(optimizer.param_groups[0]["lr"])
    return found


if __name__ == "__main__":
    values = [1.0, 0.9, 0.895, 0.893, 0.892, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87, 0.88, 0.89, 0.7]
    content = {
        "torch": torch.__version__,
        "schedules": {name: {"options": options, "rates": rates(make)} for name, (options, make) in SCHEDULES.items()},
        "plateau": {"values": values, "rates": plateau(values)},
    }
    Path(__file__).with_name("schedules.json").write_text(json.dumps(content) + "\n")
