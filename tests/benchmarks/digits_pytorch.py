"""The digits in PyTorch, as a script: 100 epochs, batches of 64, 64-128-64-10."""

import numpy as np
import torch

from service.samples import DIGITS

torch.set_num_threads(1)
torch.manual_seed(0)
table = np.loadtxt(DIGITS.content().decode().splitlines(), delimiter=",", skiprows=1, dtype="float32")
X, y = torch.from_numpy(table[:, :-1] / 16), torch.from_numpy(table[:, -1].astype(int))

model = torch.nn.Sequential(
    torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
)
optimizer, cross_entropy = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
for _ in range(100):
    for rows in torch.randperm(1500).split(64):
        optimizer.zero_grad()
        cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()

print((model(X[1500:]).argmax(dim=1) == y[1500:]).float().mean().item())
