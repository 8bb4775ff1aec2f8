import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import ObservedStep, Replay
from engine.inspection.measures import Measure
from tests.engine.factories import clusters, network, start, training


def step() -> ObservedStep:
    net, spec = network(), training(dtype="float64")
    return Replay(net, clusters(dtype="float64"), spec, start(net, spec), seed=7).observe()


STEP = step()
gradient, A = STEP.tensors["dW.1"], STEP.tensors["A.1"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("loss", STEP.loss),
        ("learning_rate", STEP.learning_rate),
        ("gradient_norm", STEP.gradient_norm),
        ("dW.1.norm", np.linalg.norm(gradient)),
        ("dW.1.largest", np.abs(gradient).max()),
        ("dW.1[0].norm", np.linalg.norm(gradient[0])),
        ("dW.1[-1,2]", gradient[-1, 2]),
        ("dW.1[1:3, 2].sum", gradient[1:3, 2].sum()),
        ("A.1[:,3].positive_share", (A[:, 3] > 0).mean()),
        ("update.W.2.mean_size", np.abs(STEP.tensors["update.W.2"]).mean()),
        ("after.opt.M.W.1.std", STEP.tensors["after.opt.M.W.1"].std()),
        ("update_ratio.W.1", np.linalg.norm(STEP.tensors["update.W.1"]) / np.linalg.norm(STEP.tensors["W.1"])),
    ],
)
def test_a_measure_is_the_number_its_words_say(text: str, value: float) -> None:
    assert Measure.parse(text).of(STEP) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a number of a step"),
        ("dW.1.size", "with a statistic of norm"),
        ("dW.1[x].norm", "expected a number of a step"),
        ("dW.1[,].norm", r"expected an index such as \[0,3\]"),
        ("dW.9.norm", "there is no 'dW.9'"),
        ("update_ratio.W.9", "there is no 'W.9'"),
        ("dW.1", "expected one number, but these are 20; add a statistic"),
        ("dW.1[99,0]", r"expected an index into dW.1 of shape \[4, 5\]"),
        ("dW.1[0,0,0]", r"expected an index into dW.1 of shape \[4, 5\]"),
    ],
)
def test_words_for_no_number_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Measure.parse(text).of(STEP)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dW.*.norm", ["dW.1.norm", "dW.2.norm"]),
        ("update_ratio.W.*", ["update_ratio.W.1", "update_ratio.W.2"]),
        ("loss", ["loss"]),
    ],
)
def test_a_star_stands_for_every_tensor_it_fits(text: str, found: list[str]) -> None:
    assert [each.text for each in Measure.expand(text, STEP)] == found


def test_a_star_that_fits_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match="fits no tensor"):
        Measure.expand("dQ.*.norm", STEP)
