"""Rules of the curves over epochs, and of what a run has come to."""

from collections.abc import Iterator

import numpy as np

from engine.inspection.doctor import remedies
from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.findings import Evidence, Finding, Remedy
from engine.inspection.doctor.rules import Rule, Thresholds
from engine.parameters import Array


def loss_flat(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A training loss that hardly falls, and is no better than guessing."""
    losses = chart.curve("train.loss")
    if len(losses) < at["epochs"] or not chart.looks:
        return
    began = chart.looks[0].loss
    best = _least(losses)
    drop = 1 - best / began if began else 0.0
    is_guess = chart.chance is None or best > (1 - at["drop"]) * chart.chance
    if is_guess and (drop < at["drop"] or (chart.chance is not None and best > 0.99 * chart.chance)):
        yield Finding(
            "loss_flat",
            "critical",
            why="L hardly falls: either the steps are nothing, or the rows say nothing of the "
            "targets that this network can hear",
            epoch=1,
            evidence=(
                Evidence("share by which the loss fell", float(drop), at["drop"]),
                Evidence("least training loss", best),
                *(() if chart.chance is None else (Evidence("loss of the best constant answer", chart.chance),)),
            ),
        )


def worse_than_linear(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A network that has learned less than a straight line would."""
    losses = chart.curve("train.loss")
    if len(losses) < at["epochs"] or chart.is_learned or chart.linear < at["linear"] or not chart.chance:
        return
    last = float(np.median(losses[-max(1, len(losses) // 5) :]))
    still_falls = len(losses) > 4 and float((np.diff(losses[len(losses) // 2 :]) < 0).mean()) > 0.8
    yield Finding(
        "worse_than_linear",
        "warning",
        why="X·W + b alone, by ridge regression, explains more of the targets than these layers have learned",
        evidence=(
            Evidence("share of the targets' variance that is linear in the inputs", chart.linear, at["linear"]),
            Evidence("share of chance by which the loss fell", 1 - last / chart.chance, chart.reach),
        ),
        remedy=remedies.with_training("the loss still falls", epochs=4 * chart.spec.training.epochs)
        if still_falls
        else remedies.slower(chart.spec),
    )


def diverging(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A loss that climbs far above what it was."""
    losses = chart.curve("train.loss")
    losses = losses[np.isfinite(losses)]
    if len(losses) < 3:
        return
    least = np.minimum.accumulate(losses)
    began = max(float(losses[0]), chart.chance or 0.0)
    above = np.flatnonzero((losses > at["ratio"] * least) & (losses > at["beyond"] * began))
    if above.size and losses[-1] > at["beyond"] * began:
        epoch = int(above[0]) + 1
        yield Finding(
            "diverging",
            "critical",
            why="W ← W − η·dW climbs: every step is longer than the valley is wide",
            epoch=epoch,
            evidence=(
                Evidence("last training loss beside the least", float(losses[-1] / least[-1]), at["ratio"]),
                Evidence("train.loss", float(losses[epoch - 1]), float(at["ratio"] * least[epoch - 1])),
            ),
            remedy=remedies.slower(chart.spec, 3),
        )


def oscillating(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A loss that goes up and down by much of itself to the end."""
    losses = chart.curve("train.loss")
    losses = losses[np.isfinite(losses)][-int(at["epochs"]) :]
    if len(losses) < at["epochs"]:
        return
    steps = np.diff(losses)
    turns = float((np.sign(steps[1:]) != np.sign(steps[:-1])).mean())
    size = float(np.median(np.abs(steps)) / np.median(losses)) if np.median(losses) else 0.0
    floor = 0.05 * (chart.chance or float(chart.curve("train.loss")[0]))
    if turns > at["turns"] and size > at["size"] and float(np.median(losses)) > floor:
        yield Finding(
            "oscillating",
            "warning",
            why="W jumps from one side of the valley to the other: a smaller η would let it come down",
            epoch=len(chart.epochs) - len(losses) + 1,
            evidence=(
                Evidence("share of the epochs at which the loss turns", turns, at["turns"]),
                Evidence("median change beside the loss", size, at["size"]),
            ),
            remedy=remedies.slower(chart.spec, 3),
        )


def overfit(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A validation loss that climbs while the training loss falls."""
    train, validation = chart.curve("train.loss"), chart.curve("validation.loss")
    if len(train) < at["epochs"] or not np.isfinite(validation).all() or not np.isfinite(train).all():
        return
    best = int(validation.argmin())
    tail = validation[-3:]
    rises = float(tail.min() / validation[best]) if validation[best] > 0 else 1.0
    gap = float((tail.mean() - train[-3:].mean()) / max(train[-3:].mean(), 1e-12))
    worth = chart.chance or float(validation[0])
    far = float(tail.min() - validation[best]) > at["worth"] * worth
    if best < 0.7 * len(train) and rises > 1 + at["rise"] and gap > at["gap"] and far:
        yield Finding(
            "overfit",
            "warning",
            why="training rows are learned by heart: L of them falls on, while that of others "
            "climbs since the best epoch",
            epoch=best + 2,
            evidence=(
                Evidence("validation.loss now beside its least", rises, 1 + at["rise"]),
                Evidence("(validation − train)/train", gap, at["gap"]),
            ),
            remedy=remedies.more_penalty(chart.spec),
        )


def overtrained(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Epochs on end in which validation no longer gets better."""
    validation = chart.curve("validation.loss")
    if len(validation) < at["epochs"] or not np.isfinite(validation).all():
        return
    best = int(validation.argmin())
    idle = len(validation) - 1 - best
    if idle > at["share"] * len(validation) and chart.is_learned:
        yield Finding(
            "overtrained",
            "info",
            why="nothing was gained after the best epoch, whose weights are the ones that are served",
            epoch=best + 2,
            evidence=(Evidence("epochs since the best one", float(idle), at["share"] * len(validation)),),
            remedy=remedies.with_training("an end where nothing is gained", early_stopping={"patience": 20}),
        )


def constant_output(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A network that answers every row alike."""
    if len(chart.looks) < 2:
        return
    look = chart.looks[-1]
    if chart.labels is not None:
        most = float(np.bincount(chart.labels).max() / len(chart.labels))
        is_constant = look.largest_class > at["share"] and most < at["labels"]
    else:
        is_constant = bool(look.output_std < at["deviation"] * max(float(chart.data.Y.std()), 1e-300))
    if is_constant:
        yield Finding(
            "constant_output",
            "critical",
            why="the answer is the same for every row: b[L] is all that was learned",
            step=look.step,
            evidence=(
                Evidence("share of rows with the same answer", look.largest_class, at["share"], look.step),
                Evidence("standard deviation of the outputs", look.output_std, None, look.step),
            ),
        )


def unchanged(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Weights that are what they were, though nobody froze them."""
    if len(chart.looks) < 3:
        return
    frozen = set(chart.spec.training.frozen)
    still = [
        name
        for name in chart.looks[0].parameters
        if name.startswith("W.")
        and not any(name == each or name.endswith(f".{each}") for each in map(str, frozen))
        and all(look.parameters[name].update <= at["ratio"] * look.parameters[name].norm for look in chart.looks)
    ]
    if still and not frozen:
        yield Finding(
            "unchanged",
            "warning",
            why="‖update‖ is nothing beside ‖W‖ at every step looked at: dW is 0, or η is",
            step=chart.looks[0].step,
            layers=tuple(int(name[2:]) for name in still),
            evidence=(Evidence(f"update_ratio.{still[0]}", chart.looks[-1].parameters[still[0]].ratio, at["ratio"]),),
        )


def class_ignored(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Balanced accuracy far below accuracy: some class is hardly ever answered."""
    plain, balanced = chart.curve("train.accuracy"), chart.curve("train.balanced_accuracy")
    if not len(plain) or not np.isfinite([plain[-1], balanced[-1]]).all():
        return
    if plain[-1] - balanced[-1] > at["gap"]:
        yield Finding(
            "class_ignored",
            "warning",
            why="a class is so small a part of L = (1/m)Σℓ_i that giving it up costs little",
            epoch=len(plain),
            evidence=(Evidence("accuracy less balanced accuracy", float(plain[-1] - balanced[-1]), at["gap"]),),
            remedy=remedies.with_training("each class weighs alike", class_weight="balanced"),
        )


def validation_easier(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Validation rows that are answered far better than the rows that were trained on."""
    train, validation = chart.curve("train.accuracy"), chart.curve("validation.accuracy")
    held_out = chart.data.X_validation
    if held_out is None or not len(train) or not np.isfinite([train[-1], validation[-1]]).all():
        return
    gap = float(validation[-1] - train[-1])
    chance = float(np.sqrt(max(train[-1] * (1 - train[-1]), 1 / len(held_out)) / len(held_out)))
    bound = max(at["gap"], at["errors"] * chance)
    if gap > bound:
        yield Finding(
            "validation_easier",
            "warning",
            why="rows that were never trained on are answered better than those that were, by more than chance: they "
            "were chosen otherwise, they are known by something that will not be there later, or training rows have "
            "wrong labels",
            epoch=len(train),
            evidence=(
                Evidence("validation.accuracy less train.accuracy", gap, bound),
                Evidence("train.accuracy", float(train[-1])),
            ),
        )


def stalled(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A training under way of which nothing is heard any more."""
    if chart.idle_seconds is None:
        return
    usual = chart.curve("seconds")
    usual = usual[np.isfinite(usual)]
    bound = min(at["most"], max(at["least"], at["epochs"] * float(np.median(usual)))) if usual.size else at["most"]
    if chart.idle_seconds > bound:
        yield Finding(
            "stalled",
            "warning",
            why="no epoch ended and no state was stored for far longer than an epoch takes: its worker hangs, or has "
            "no processor to work on",
            evidence=(
                Evidence("seconds since anything was heard of it", chart.idle_seconds, bound),
                *((Evidence("seconds of an epoch, the median", float(np.median(usual))),) if usual.size else ()),
            ),
            remedy=Remedy(None, "pause and resume it, and another process goes on from the stored state"),
        )


def _least(losses: Array) -> float:
    finite = losses[np.isfinite(losses)]
    return float(finite.min()) if finite.size else np.inf


ENDS = (
    Rule(
        "diverging",
        "critical",
        "end",
        "the last training loss > beyond × the first, and > ratio × the least",
        "TheDeepChecker",
        diverging,
        {"ratio": 2.0, "beyond": 1.2},
        frozenset({"loss_flat", "worse_than_linear", "oscillating", "constant_output", "class_ignored", "overfit"}),
    ),
    Rule(
        "loss_flat",
        "critical",
        "end",
        "the training loss fell by less than drop, and is no less than that of guessing",
        "AUTOTRAINER, TheDeepChecker, SageMaker Debugger (LossNotDecreasing)",
        loss_flat,
        {"drop": 0.05, "epochs": 3},
        frozenset({"worse_than_linear", "constant_output", "unchanged", "class_ignored"}),
    ),
    Rule(
        "worse_than_linear",
        "warning",
        "end",
        "ridge regression explains more than linear of the targets' variance, and the training loss is not below "
        "chance by half of that",
        "own",
        worse_than_linear,
        {"linear": 0.12, "epochs": 3},
        frozenset({"class_ignored"}),
    ),
    Rule(
        "oscillating",
        "warning",
        "end",
        "the loss turns at more than share turns of the last epochs, by more than size of itself",
        "AUTOTRAINER, TheDeepChecker",
        oscillating,
        {"epochs": 12, "turns": 0.5, "size": 0.15},
        frozenset(),
    ),
    Rule(
        "overfit",
        "warning",
        "end",
        "validation loss rose by more than rise (and worth of chance) above its least, and is "
        "more than gap above training's",
        "SageMaker Debugger (Overfit), UMLAUT",
        overfit,
        {"epochs": 10, "rise": 0.25, "gap": 0.5, "worth": 0.1},
        frozenset({"overtrained"}),
    ),
    Rule(
        "overtrained",
        "info",
        "end",
        "no better validation for more than share of the epochs",
        "SageMaker Debugger (Overtraining)",
        overtrained,
        {"epochs": 20, "share": 0.6},
        frozenset(),
    ),
    Rule(
        "constant_output",
        "critical",
        "end",
        "more than share of the rows get one answer while fewer than labels have it; or outputs deviate by less than "
        "deviation of the targets",
        "own",
        constant_output,
        {"share": 0.99, "labels": 0.9, "deviation": 1e-3},
        frozenset({"class_ignored"}),
    ),
    Rule(
        "unchanged",
        "warning",
        "end",
        "‖update‖ ≤ ratio × ‖W‖ at every look",
        "SageMaker Debugger (UnchangedTensor)",
        unchanged,
        {"ratio": 1e-7},
        frozenset(),
    ),
    Rule(
        "class_ignored",
        "warning",
        "end",
        "accuracy − balanced accuracy > gap",
        "SageMaker Debugger (ClassImbalance)",
        class_ignored,
        {"gap": 0.25},
        frozenset(),
    ),
    Rule(
        "validation_easier",
        "warning",
        "end",
        "validation accuracy − train accuracy > gap, and > errors standard errors",
        "UMLAUT, with what chance allows",
        validation_easier,
        {"gap": 0.05, "errors": 4},
        frozenset(),
    ),
    Rule(
        "stalled",
        "warning",
        "end",
        "of a run under way nothing was heard for more than most seconds, or for epochs times what one takes and least "
        "seconds at least",
        "SageMaker Debugger (StalledTrainingRule)",
        stalled,
        {"most": 1800, "epochs": 20, "least": 60},
        frozenset(),
    ),
)
