"""Chunks: some steps done in one go, their rows gathered together and their losses computed together."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import ceil

import numpy as np

from engine.network import Network
from engine.parameters import Array
from engine.plans import Call, call
from engine.spec import TrainingSpec
from engine.training.data import TrainingData
from engine.weights import relative_weights
from engine.workspace import Batch, Workspace

CHUNK_OPERATIONS = 5e7
"""Floating-point operations of the steps of one chunk: about a millisecond's."""
CHUNK_STEPS = 64
"""At most so many steps are one chunk."""


@dataclass(frozen=True)
class Share:
    """What one shard takes of a chunk: of each batch a fixed part of its rows."""

    places: Array | None
    """Which of the chunk's rows, batch after batch; None is all of them."""
    counts: list[int]
    """How many of each batch."""
    starts: list[int]
    """Where each batch's begin."""

    @cached_property
    def filled(self) -> Array:
        """The batches it has rows of."""
        return np.flatnonzero(self.counts)

    @cached_property
    def filled_starts(self) -> Array:
        """Where the rows of each of these begin."""
        return np.take(self.starts, self.filled)


@dataclass(frozen=True)
class Chunk:
    """Some steps done in one go."""

    shares: list[Share]
    """Of each shard."""
    plans: list[list[Call]]
    """Of each step, what fills the gradient."""

    @cached_property
    def counts(self) -> Array:
        """How many rows each batch has."""
        return np.asarray(np.sum([share.counts for share in self.shares], axis=0))


class Chunks:
    """The workspaces of a training, and what is done in them to the rows of a chunk, written down once.

    Each batch is cut into `shards` fixed parts whose gradients are added in a fixed binary tree, so that the bits do
    not depend on who computes which part. `gradient` is that of the batch whose plan ran last: of its mean loss, or
    with `of_all_rows` its share of the mean loss of all rows. Unless `shared`, every boundary of the last batch stays
    readable, dA[0] too.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        training: TrainingSpec,
        parameters: Array,
        *,
        steps: int | None,
        of_all_rows: bool,
        shared: bool = True,
    ) -> None:
        self.network, self.data, self.shards, self.of_all_rows = network, data, training.shards, of_all_rows
        self.batch_size = min(training.batch_size, len(data.X))
        self.batches = ceil(len(data.X) / self.batch_size)
        """Of all training rows."""
        self.steps = min(steps or _steps_at_once(network, self.batch_size), self.batches)
        """Of a chunk."""
        self.workspaces = [
            Workspace(
                network,
                parameters,
                rows=ceil(self.batch_size / training.shards),
                batches=self.steps,
                shared=shared,
                input_gradient=not shared,
                training=True,
                weighted=data.weights is not None,
            )
            for _ in range(training.shards)
        ]
        self.gradient = self.workspaces[0].gradient
        self._chunks: dict[int, Chunk] = {}

    def gather(self, rows: Array) -> Chunk:
        """These rows of the data, in the workspaces."""
        chunk = self._chunk_of(len(rows))
        weights = self._weights(rows)
        for workspace, share in zip(self.workspaces, chunk.shares, strict=True):
            taken = rows if share.places is None else rows[share.places]
            np.take(self.data.X, taken, axis=0, out=workspace.X[: len(taken)], mode="clip")
            np.take(self.data.Y, taken, axis=0, out=workspace.Y[: len(taken)], mode="clip")
            if workspace.weights is not None and weights is not None:
                workspace.weights[: len(taken), 0] = weights if share.places is None else weights[share.places]
        return chunk

    def at(self, *, seed: int, epoch: int, step: int) -> None:
        """Say which step comes next, for the layers that draw."""
        for shard, workspace in enumerate(self.workspaces):
            workspace.at(seed=seed, epoch=epoch, step=step, shard=shard)

    def losses(self, chunk: Chunk) -> list[float]:
        """The mean loss of each batch of the chunk, once their plans have run."""
        totals = np.zeros(len(chunk.plans))
        for workspace, share in zip(self.workspaces, chunk.shares, strict=True):
            examples = workspace.example_losses(sum(share.counts))
            totals[share.filled] += np.add.reduceat(examples, share.filled_starts)
        means: list[float] = (totals / chunk.counts).tolist()
        return means

    def parts(self, chunk: Chunk, number: int) -> list[Batch]:
        """The shards' parts of one of the chunk's batches."""
        pairs = zip(self.workspaces, chunk.shares, strict=True)
        return [workspace.cut(share.counts[number], share.starts[number]) for workspace, share in pairs]

    def _chunk_of(self, rows: int) -> Chunk:
        if rows not in self._chunks:
            shares = _shares(rows, self.batch_size, self.shards)
            plans = [self._plan(shares, number) for number in range(len(shares[0].counts))]
            self._chunks[rows] = Chunk(shares, plans)
        return self._chunks[rows]

    def _plan(self, shares: list[Share], number: int) -> list[Call]:
        """All that fills the gradient of a batch."""
        scale = 1 / (len(self.data.X) if self.of_all_rows else sum(share.counts[number] for share in shares))
        plan: list[Call] = []
        for workspace, share in zip(self.workspaces, shares, strict=True):
            m = share.counts[number]
            plan += (
                workspace.cut(m, share.starts[number]).step(scale=scale) if m else [call(workspace.gradient.fill, 0)]
            )
        gradients = [workspace.gradient for workspace in self.workspaces]
        stride = 1
        while stride < len(shares):
            for left in range(0, len(shares) - stride, 2 * stride):
                plan.append(call(np.add, gradients[left], gradients[left + stride], gradients[left]))
            stride *= 2
        return plan

    def _weights(self, rows: Array) -> Array | None:
        """The rows' weights, averaging 1 over what one gradient is of: all rows, or each batch."""
        weights = self.data.weights
        if weights is None:
            return None
        if self.of_all_rows:
            return relative_weights(weights, len(weights))[rows]
        return relative_weights(weights[rows], self.batch_size)


def _shares(rows: int, batch_size: int, shards: int) -> list[Share]:
    """Cut the rows of some batches into the shards' shares."""
    places = np.arange(rows)
    batches = [places[start : start + batch_size] for start in range(0, rows, batch_size)]
    found = []
    for shard in range(shards):
        parts = [batch[shard * len(batch) // shards : (shard + 1) * len(batch) // shards] for batch in batches]
        counts = [len(part) for part in parts]
        starts = [0, *accumulate(counts[:-1])]
        found.append(Share(np.concatenate(parts) if shards > 1 else None, counts, starts))
    return found


def _steps_at_once(network: Network, batch_size: int) -> int:
    """A power of two of steps that take about a millisecond together."""
    operations = 6 * batch_size * max(network.products, 1)
    steps = 1
    while steps < CHUNK_STEPS and 2 * steps * operations <= CHUNK_OPERATIONS:
        steps *= 2
    return steps
