"""Extras: what the doctor measures once, beside its looks: digits, nudges, suspect labels, and two fair tests."""

from collections.abc import Iterator

import numpy as np

from engine.errors import Diverged, EngineError
from engine.inspection.doctor import remedies
from engine.inspection.doctor.chart import Chart, Extras, Fair
from engine.inspection.doctor.findings import Evidence, Finding, Remedy
from engine.inspection.doctor.looks import Course
from engine.inspection.doctor.rules import Rule, Thresholds
from engine.inspection.influence import Survey
from engine.inspection.nudge import check
from engine.inspection.quantities import run_pass
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from engine.training import TrainingData, TrainingState, train

NUDGED_ROWS, SURVEYED_ROWS = 16, 1_000
LARGEST_NETWORK = 2_000_000
"""With more parameters the extras take too long to be asked for at every run's end."""


def measured(course: Course, moment: int, rows: Array) -> Extras | None:
    """Measure at a moment; None of a network that is too large, or whose numbers are not finite."""
    network = course.network
    if network.parameter_count > LARGEST_NETWORK:
        return None
    course.to(moment)
    flat = course.state.parameters.astype(np.float64)
    if not np.isfinite(flat).all():
        return None
    with np.errstate(all="ignore"):
        found = _nudged(network, flat, course.data, rows)
        return Extras(
            moment,
            _digits(network, flat, course.data, rows),
            found[0],
            found[1],
            *_opposed(network, flat, course.data),
        )


def _digits(network: Network, flat: Array, data: TrainingData, rows: Array) -> dict[int, float]:
    gradients = []
    for dtype in (np.float32, np.float64):
        X, Y = (array[rows].astype(dtype) for array in (data.X, data.Y))
        gradients.append(run_pass(network, flat.astype(dtype), X, Y, None).workspace.gradient.astype(np.float64))
    single, double = (network.views(gradient) for gradient in gradients)
    found = {}
    for name, whole in double.items():
        size = float(np.linalg.norm(whole))
        if name.startswith("W.") and size:
            error = float(np.linalg.norm(single[name] - whole)) / size
            found[int(name[2:])] = -np.log10(max(error, 1e-17)) if np.isfinite(error) else 0.0
    return found


def _nudged(network: Network, flat: Array, data: TrainingData, rows: Array) -> tuple[tuple[str, ...], int]:
    X, Y = (array[rows[:NUDGED_ROWS]].astype(np.float64) for array in (data.X, data.Y))
    try:
        found = check(network, flat, X, Y, targets=list(network.shapes), method="direction")
    except EngineError:
        return (), 0
    wrong = [nudge.address for nudge in found.nudges if nudge.verdict == "mismatch"]
    return tuple(wrong), len(found.nudges)


def _opposed(network: Network, flat: Array, data: TrainingData) -> tuple[tuple[int, ...], int]:
    if data.kind != "multiclass" or data.Y.shape[1] < 2:
        return (), 0
    rows = np.unique(np.linspace(0, len(data.X) - 1, min(len(data.X), SURVEYED_ROWS)).round().astype(np.int64))
    X, Y = (array[rows].astype(np.float64) for array in (data.X, data.Y))
    try:
        survey = Survey(network, X, Y, classes=Y.argmax(axis=1))
        survey.add(flat, 1.0)
    except EngineError:
        return (), 0
    chance = np.log(Y.shape[1])
    suspects = [at for at in survey.suspects().tolist() if survey.is_opposed[at] and survey.losses[at] > chance]
    return tuple(int(rows[place]) for place in suspects), len(rows)


def gradient_wrong(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A gradient that moving the weights contradicts: the engine would be wrong."""
    extras = chart.extras
    if extras is not None and len(extras.mismatches) > at["mismatches"]:
        yield Finding(
            "gradient_wrong",
            "critical",
            why="(L(θ + hv) − L(θ − hv))/2h is not g·v by more than the error bar, and no kink was crossed: report it",
            step=extras.moment,
            units=extras.mismatches,
            evidence=(Evidence("directions that contradict", float(len(extras.mismatches)), at["mismatches"]),),
        )


def precision(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A gradient of which float32 keeps hardly a digit, though the run trains in it."""
    extras = chart.extras
    if extras is None or chart.spec.training.dtype != "float32" or not extras.digits:
        return
    poor = {layer: digits for layer, digits in extras.digits.items() if digits < at["digits"]}
    if poor and not chart.is_learned:
        worst = min(poor, key=lambda layer: poor[layer])
        yield Finding(
            "precision",
            "warning",
            why="a float32 keeps 7 digits; where large terms cancel, few of them are left in dW",
            step=extras.moment,
            layers=tuple(poor),
            evidence=(Evidence(f"digits of dW.{worst} that float64 agrees in", poor[worst], at["digits"]),),
            remedy=remedies.with_training("numbers of 16 digits", dtype="float64"),
        )


def label_suspects(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Rows that pull against their own class: often their label is wrong."""
    extras = chart.extras
    if extras is None or not extras.surveyed or not chart.is_learned:
        return
    share = len(extras.opposed) / extras.surveyed
    if at["least"] < share < at["most"] and len(extras.opposed) >= at["rows"]:
        yield Finding(
            "label_suspects",
            "info",
            why="g_i of these rows points against those of their own class: the label, or the row, may be wrong",
            step=extras.moment,
            rows=extras.opposed[:50],
            evidence=(Evidence("share of rows opposed to their class", share, at["least"]),),
            remedy=Remedy(None, "look at these rows, mend their labels, or train without them"),
        )


EXTRAS = (
    Rule(
        "gradient_wrong",
        "critical",
        "end",
        "more than mismatches directions, one for each parameter, whose measured derivative lies beyond its error bar",
        "cs231n, own",
        gradient_wrong,
        {"mismatches": 0.0},
    ),
    Rule(
        "precision",
        "warning",
        "end",
        "fewer than digits decimal digits of a dW agree between float32 and float64, and nothing is learned",
        "own",
        precision,
        {"digits": 3.0},
    ),
    Rule(
        "label_suspects",
        "info",
        "end",
        "between a share of least and of most of the rows, and so many at least, lose more than by guessing and are "
        "opposed to their own class",
        "Pruthi, Liu, Kale & Sundararajan 2020, own",
        label_suspects,
        {"least": 0.002, "most": 0.15, "rows": 3.0},
    ),
)


# Fair tests, which train -------------------------------------------------------------------------------------------

FEW, FEW_STEPS, FAIR_STEPS = 16, 1_000, 400


def fair_tests(spec: RunSpec, network: Network, data: TrainingData) -> Fair:
    """Train on 16 rows alone, and on all with zeros for inputs: from TheDeepChecker's and cs231n's checks."""
    rows = np.linspace(0, len(data.X) - 1, min(FEW, len(data.X))).round().astype(np.int64)
    few = TrainingData(data.X[rows], data.Y[rows], kind=data.kind, units=data.units)
    plain = TrainingData(data.X, data.Y, kind=data.kind, units=data.units)
    blank = TrainingData(np.zeros_like(data.X), data.Y, kind=data.kind, units=data.units)
    before, after = _short(spec, network, few, steps=FEW_STEPS)
    return Fair(before, after, *(_short(spec, network, each, steps=FAIR_STEPS)[1] for each in (plain, blank)))


def _short(spec: RunSpec, network: Network, data: TrainingData, *, steps: int) -> tuple[float, float]:
    batch = min(spec.training.batch_size, len(data.X))
    epochs = max(1, steps * batch // len(data.X))
    changes = {"epochs": epochs, "early_stopping": None, "l1": 0.0, "l2": 0.0, "batch_size": batch}
    training = spec.training.model_copy(update=changes)
    state = TrainingState.of(spec.model_copy(update={"training": training}), network, data)
    before = network.evaluate(state.parameters, data.X, data.Y).loss
    try:
        for _ in train(network, data, training, state, seed=spec.seed):
            pass
    except Diverged:
        return before, np.inf
    return before, network.evaluate(state.parameters, data.X, data.Y).loss


def cannot_overfit(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """16 rows that are not learned by heart."""
    fair = chart.fair
    if fair is not None and fair.few_after > at["share"] * fair.few_before:
        yield Finding(
            "cannot_overfit",
            "critical",
            why="a network with more weights than 16 rows can bring their L to 0: if it does not, its steps are wrong",
            evidence=(
                Evidence("loss on 16 rows trained on alone", fair.few_after, at["share"] * fair.few_before),
                Evidence("the same before", fair.few_before),
            ),
        )


def input_ignored(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Rows without inputs that are learned as well as those with."""
    fair = chart.fair
    if fair is not None and fair.blank <= at["share"] * fair.plain and np.isfinite(fair.blank):
        yield Finding(
            "input_ignored",
            "warning",
            why="with zeros for A[0] the loss becomes as small: what is learned is the bias of the output alone",
            evidence=(
                Evidence("loss with zeros for inputs", fair.blank, at["share"] * fair.plain),
                Evidence("loss with the inputs", fair.plain),
            ),
        )


FAIR = (
    Rule(
        "cannot_overfit",
        "critical",
        "end",
        "after 1000 steps on 16 rows alone the loss is more than share of what it was; where remedies are tried",
        "cs231n, TheDeepChecker",
        cannot_overfit,
        {"share": 0.3},
    ),
    Rule(
        "input_ignored",
        "warning",
        "end",
        "a training with zeros for inputs ends at no more than share of the loss with them; where remedies are tried",
        "TheDeepChecker",
        input_ignored,
        {"share": 1.02},
    ),
)
