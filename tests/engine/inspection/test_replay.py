"""Replays of trainings whose every step was noted while they ran."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine import checkpoints
from engine.errors import SpecError
from engine.inspection import Replay, inspect
from engine.layers import LayerSpec
from engine.network import Network
from engine.parameters import digest
from engine.spec import TrainingSpec
from engine.training import EpochReport, train
from tests.engine.factories import clusters, network, start, training

LAYERS: dict[str, list[dict[str, Any]]] = {
    "dense": [{"type": "dense", "units": 5, "activation": "tanh"}],
    "random": [
        {"type": "dense", "units": 8, "activation": "relu"},
        {"type": "batch_norm"},
        {"type": "dropout", "rate": 0.3},
        {"type": "gaussian_noise", "std": 0.1},
    ],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum": {"optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "float64": {"dtype": "float64"},
    "penalties": {"l1": 0.001, "l2": 0.01, "clip": {"type": "norm", "limit": 0.1}, "max_norm": 1.0},
    "accumulate": {"accumulate": 4, "average": {"decay": 0.9}},
    "shards": {"shards": 3},
    "plateau": {"schedule": {"type": "reduce_on_plateau", "patience": 1, "min_delta": 0.5}},
    "frozen": {"frozen": [1], "learning_rate_factors": {"2": 0.5}},
    "lbfgs": {"optimizer": {"type": "lbfgs"}},
}
CASES = [(layers, options) for layers in LAYERS for options in OPTIONS if (layers, options) != ("random", "lbfgs")]
"""L-BFGS refuses layers that are random."""


class Noted:
    """A training that ran once, with its parameters' digest and its checkpoint after every step."""

    def __init__(self, layers: str = "dense", **options: Any) -> None:
        specs = TypeAdapter(list[LayerSpec]).validate_python(
            [*LAYERS[layers], {"type": "dense", "units": 3, "activation": "softmax"}]
        )
        self.network: Network = network(*specs)
        self.spec: TrainingSpec = training(**options)
        self.data = clusters(dtype=self.spec.dtype)
        state = start(self.network, self.spec)
        self.digests, self.contents = [digest(state.parameters)], [checkpoints.dump(state, self.network)]
        self.reports: list[EpochReport] = []
        for report in train(self.network, self.data, self.spec, state, seed=7, interrupt=lambda: True, steps_at_once=1):
            self.digests.append(digest(state.parameters))
            self.contents.append(checkpoints.dump(state, self.network))
            if isinstance(report, EpochReport):
                self.reports.append(report)

    def replay(self, moment: int = 0) -> Replay:
        return Replay(
            self.network,
            self.data,
            self.spec,
            checkpoints.load(self.contents[moment], self.network),
            seed=7,
            recorded=lambda epoch: self.reports[epoch - 1].values,
        )


@pytest.mark.parametrize(("layers", "options"), CASES)
def test_every_moment_replays_bit_for_bit_from_any_checkpoint(layers: str, options: str) -> None:
    noted = Noted(layers, **OPTIONS[options])

    for first in range(0, len(noted.digests), 3):
        replay = noted.replay(first)
        for moment in range(first, len(noted.digests), 2):
            replay.to(moment)
            assert (replay.moment, replay.digest()) == (moment, noted.digests[moment])


@pytest.mark.parametrize(("layers", "options"), CASES)
def test_a_step_that_is_observed_changes_no_bit(layers: str, options: str) -> None:
    noted = Noted(layers, **OPTIONS[options])

    for moment in range(len(noted.digests) - 1):
        replay = noted.replay(moment)
        step = replay.observe()
        replay.to(len(noted.digests) - 1)

        assert (step.digest_before, step.digest_after) == tuple(noted.digests[moment : moment + 2])
        assert step.number == moment + 1
        assert replay.digest() == noted.digests[-1]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_steps_numbers_are_those_of_its_batch(options: str) -> None:
    noted = Noted(**OPTIONS[options])
    replay = noted.replay(3)

    step = replay.observe()

    X, Y = noted.data.X[step.rows], noted.data.Y[step.rows]
    names = ["Z", "A", "dZ", "dA", "dW", "db"]
    parameters = checkpoints.load(noted.contents[3], noted.network).parameters
    told = inspect(noted.network, parameters, X, Y, quantities=names, convention="mean")
    assert step.loss == pytest.approx(told.loss, rel=1e-5)
    for name, array in told.tensors.items():
        np.testing.assert_allclose(step.tensors[name], array, rtol=1e-4, atol=1e-7, err_msg=name)
    np.testing.assert_array_equal(step.tensors["W.1"], noted.network.views(parameters)["W.1"])


def test_an_update_is_what_the_optimizer_makes_of_its_gradient_and_moments() -> None:
    noted = Noted(**{**OPTIONS["momentum"], "l2": 0.01, "dtype": "float64"})
    replay = noted.replay(2)

    told = replay.observe().tensors

    np.testing.assert_allclose(told["gradient.W.1"], told["dW.1"] + 0.01 * told["W.1"], rtol=1e-12)
    velocity = 0.9 * told["opt.v.W.1"] + told["gradient.W.1"]
    np.testing.assert_allclose(told["after.opt.v.W.1"], velocity, rtol=1e-12)
    np.testing.assert_allclose(told["update.W.1"], -0.1 * velocity, rtol=1e-9)
    np.testing.assert_allclose(told["after.W.1"], told["W.1"] + told["update.W.1"], rtol=1e-12)


def test_a_step_that_only_collects_its_gradient_is_no_update() -> None:
    replay = Noted(**OPTIONS["accumulate"]).replay()

    waiting = replay.observe()
    replay.to(3)
    updating = replay.observe()

    assert (waiting.is_update, updating.is_update) == (False, True)
    assert not waiting.tensors["update.W.1"].any()
    np.testing.assert_array_equal(waiting.tensors["after.accumulated.W.1"], waiting.tensors["dW.1"])


def test_the_step_that_diverged_is_shown_as_far_as_it_came() -> None:
    noted = Noted()
    X = noted.data.X.copy()
    X[5] = np.inf
    noted.data = replace(noted.data, X=X)
    replay = noted.replay()

    steps = [replay.observe() for _ in range(7)]
    bad = next(step for step in steps if 5 in step.rows)

    assert not bad.is_update
    assert bad.digest_after == bad.digest_before
    assert not np.isfinite(bad.tensors["A.0"]).all()
    assert steps[-1].number == bad.number, "the replay stays where its gradient is not finite"


def test_a_moment_behind_is_refused() -> None:
    replay = Noted().replay(4)

    with pytest.raises(SpecError, match="expected a moment from 4 on"):
        replay.to(3)
