"""The doctor on a few runs of the zoo: the cause by name, where, since when; silence about healthy ones."""

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection.doctor import RULES, Chart, Finding, check_overrides, examine, judge
from engine.inspection.doctor.rounds import fold, steps_of
from engine.layers.activations.tanh import Tanh
from engine.plans import call
from tests.benchmarks.zoo import Animal, Retraining, diagnosed, healthy, layers, normal, sick, spec

ILL = {animal.name: animal for animal in sick()}
WELL = {animal.name: animal for animal in healthy()}


@pytest.mark.parametrize("name", ILL)
def test_the_cause_of_a_sick_run_is_named_with_its_layer_and_first_step(name: str) -> None:
    animal = ILL[name]
    _, findings = diagnosed(animal)

    right = next((finding for finding in findings if finding.rule in animal.causes), None)
    assert right is not None, findings
    told = (right, *right.consequences)
    assert not animal.layers or any(animal.layers & set(each.layers) for each in told)
    if animal.first is not None:
        steps = [each.step for each in told if each.step is not None]
        assert animal.first[0] <= min(steps) <= animal.first[1]


@pytest.mark.parametrize("name", WELL)
def test_nothing_critical_is_said_of_a_healthy_run(name: str) -> None:
    _, findings = diagnosed(WELL[name])

    assert not [finding for finding in findings if finding.severity == "critical"]


def test_every_rule_that_can_be_seen_in_a_short_run_is_in_the_zoo() -> None:
    said = set()
    for animal in ILL.values():
        said |= {each.rule for finding in diagnosed(animal)[1] for each in (finding, *finding.consequences)}

    elsewhere = {
        "gradient_wrong",
        "precision",
        "label_suspects",
        "cannot_overfit",
        "input_ignored",
        "constant_input",
        "constant_target",
        "oscillating",
        "diverging",
        "few_rows",
        "class_ignored",
        "validation_easier",
        "stalled",
    }
    assert set(RULES) - said <= elsewhere


def test_vanishing_names_the_operation_that_takes_most() -> None:
    [finding, *_] = diagnosed(ILL["vanishing: 8 sigmoids on digits"])[1]

    assert finding.rule == "vanishing"
    assert "g′ of layer" in finding.why
    assert {each.rule for each in finding.consequences} >= {"loss_flat"}
    assert finding.remedy is not None
    assert finding.remedy.patch is not None
    assert finding.remedy.patch["network"]["layers"][0]["activation"] == {"type": "relu"}


def test_the_step_that_killed_the_units_is_found_between_two_looks() -> None:
    animal = Animal("late", "digits", spec(layers(16, 16), optimizer="sgd", rate=0.05, epochs=12))
    death = 77

    class Killed(Retraining):
        """The same training, whose biases someone sets at one step so that no unit answers any more."""

        def observe(self):  # type: ignore[no-untyped-def]
            self._kill()
            return super().observe()

        def to(self, moment: int) -> None:
            if moment < self.replay.moment:
                self._replay = None
            for stop in (death - 1, moment):
                if self.replay.moment <= stop <= moment:
                    super().to(stop)
                    self._kill()

        def _kill(self) -> None:
            if self.replay.moment == death - 1:
                self.network.views(self.state.parameters)["b.1"][:] = -1e3

    _, findings = examine(Killed(animal), begun=0, reached=180, epochs=[])

    dead = next(each for finding in findings for each in (finding, *finding.consequences) if each.rule == "dead_relu")
    assert dead.step == death
    assert dead.layers[0] == 1
    assert len(dead.units) == 16


def test_rows_that_pull_against_their_class_are_listed() -> None:
    wrong = [3, 50, 111]

    def flip(data):  # type: ignore[no-untyped-def]
        Y = data.Y.copy()
        Y[wrong] = np.roll(Y[wrong], 1, axis=1)
        return replace(data, Y=Y)

    animal = Animal("flipped", "blobs", spec(layers(16), epochs=15), change=flip)
    _, findings = diagnosed(animal)

    found = next(finding for finding in findings if finding.rule == "label_suspects")
    assert set(wrong) <= set(found.rows)


def test_validation_rows_that_are_answered_better_than_training_rows_are_told() -> None:
    def spoil(data):  # type: ignore[no-untyped-def]
        Y = data.Y.copy()
        Y[::4] = np.roll(Y[::4], 1, axis=1)
        return replace(data, Y=Y)

    _, findings = diagnosed(Animal("spoiled", "blobs", spec(layers(16), epochs=15), change=spoil))

    found = next(each for finding in findings for each in (finding, *finding.consequences) if is_easier(each))
    assert found.evidence[0].value > found.evidence[0].threshold
    assert not any(is_easier(each) for each in diagnosed(WELL["healthy: dropout on cancer"])[1])


def test_a_training_that_ends_before_a_line_is_learned_is_told_to_go_on() -> None:
    rate = {"optimizer": "sgd", "rate": 0.02}
    _, later = diagnosed(Animal("longer", "diabetes", spec(layers(16), epochs=60, **rate)))

    assert "worse_than_linear" not in {each.rule for each in later}
    chart = Chart(
        *(getattr(Retraining(WELL["healthy: regression on diabetes"]), name) for name in ("spec", "network", "data"))
    )
    assert 0.3 < chart.linear < 0.6
    assert chart.reach == pytest.approx(chart.linear / 2)
    slow = replace(chart, epochs=[{"train.loss": chart.chance * (1 - 0.01 * epoch)} for epoch in range(10)])
    [found] = [each for each in judge(slow, stages=("end",)) if each.rule == "worse_than_linear"]
    assert found.remedy is not None
    assert found.remedy.patch == {"training": {"epochs": 4 * chart.spec.training.epochs}}


def is_easier(finding: Finding) -> bool:
    return finding.rule == "validation_easier"


@pytest.mark.parametrize(
    ("idle", "seconds", "is_told"),
    [(None, 0.1, False), (59, 0.1, False), (61, 0.1, True), (61, 10, False), (201, 10, True), (1801, 1e4, True)],
)
def test_a_run_under_way_of_which_nothing_is_heard_has_stalled(
    idle: float | None, seconds: float, is_told: bool
) -> None:
    course = Retraining(WELL["healthy: Adam on iris"])
    chart = Chart(course.spec, course.network, course.data, epochs=[{"seconds": seconds}] * 3, idle_seconds=idle)

    assert ("stalled" in {finding.rule for finding in judge(chart, stages=("end",))}) is is_told


def test_the_fair_tests_are_passed_by_a_healthy_run_and_failed_by_one_that_can_not_learn() -> None:
    well = Retraining(WELL["healthy: Adam on iris"])
    ill = Retraining(Animal("still", "iris", spec(layers(16), optimizer="sgd", rate=1e-6)))

    said = [
        {
            each.rule
            for finding in examine(course, begun=0, reached=4, epochs=[], is_fair=True)[1]
            for each in (finding, *finding.consequences)
        }
        for course in (well, ill)
    ]

    assert not said[0] & {"cannot_overfit", "input_ignored"}
    assert "cannot_overfit" in said[1]


def test_thresholds_can_be_set_and_wrong_ones_are_refused() -> None:
    chart = Chart(
        *(getattr(Retraining(WELL["healthy: dropout on cancer"]), name) for name in ("spec", "network", "data"))
    )

    assert [finding.rule for finding in judge(chart, {"high_dropout": {"rate": 0.1}})] == ["high_dropout"]
    assert not judge(chart)
    with pytest.raises(SpecError, match=r"thresholds\.nothing"):
        check_overrides({"nothing": {}})
    with pytest.raises(SpecError, match=r"thresholds\.dead_relu\.nothing"):
        check_overrides({"dead_relu": {"nothing": 1.0}})


def test_consequences_go_under_the_first_cause_and_make_it_as_grave() -> None:
    _, findings = diagnosed(ILL["learning rate 30.0 of SGD on digits"])

    [finding] = [each for each in findings if each.rule == "learning_rate_range"]
    assert finding.severity == "critical"
    assert not {each.rule for each in findings} & {each.rule for each in finding.consequences}
    assert fold([]) == []


@pytest.mark.parametrize(("vanished", "cause"), [(1, "vanishing"), (3, "vanishing"), (4, "lr_high")])
def test_steps_that_are_too_long_explain_nothing_that_was_there_before_them(vanished: int, cause: str) -> None:
    found = [
        Finding("vanishing", "critical", why="", step=vanished),
        Finding("lr_high", "critical", why="", step=3),
    ]

    [only] = fold(found)

    assert only.rule == cause
    assert len(only.consequences) == 1


@pytest.mark.parametrize(("died", "causes"), [(1, {"dead_relu", "lr_high"}), (4, {"lr_high"})])
def test_units_that_were_dead_before_it_are_not_the_learning_rates_doing(died: int, causes: set[str]) -> None:
    found = [Finding("dead_relu", "critical", why="", step=died), Finding("lr_high", "critical", why="", step=3)]

    assert {finding.rule for finding in fold(found)} == causes


def test_the_first_steps_are_looked_at_closely_and_the_last_one_always() -> None:
    steps = steps_of(0, 1000, 14, None)

    assert steps[:3] == [1, 2, 4]
    assert steps[-1] == 1000
    assert steps_of(64, 64, 14, 65) == [65]
    assert min(steps_of(64, 100, 14, None)) == 65


def test_a_gradient_that_is_wrong_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Tanh.backward

    def wrong(self, slot):  # type: ignore[no-untyped-def]
        yield from right(self, slot)
        yield call(np.multiply, slot.dx, 1.01, out=slot.dx)

    animal = Animal("wrong", "iris", spec(layers(8, activation="tanh", init=normal(0.5)), epochs=1))
    course = Retraining(animal)
    monkeypatch.setattr(Tanh, "backward", wrong)

    _, findings = examine(course, begun=0, reached=1, epochs=[])
    assert "gradient_wrong" in {finding.rule for finding in findings}
