"""Rules of single steps: at the beginning, and at any later one."""

from collections.abc import Callable, Iterator

import numpy as np

from engine.inspection.doctor import remedies
from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.findings import Evidence, Finding
from engine.inspection.doctor.looks import Look, Units
from engine.inspection.doctor.rules import Rule, Thresholds

RELUS = ("relu", "relu6", "leaky_relu", "prelu")
FLAT = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")


def initial_loss(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A first loss far above that of guessing: the start is wrong, not only ignorant."""
    if not chart.early or not chart.chance or chart.early[0].step != 1:
        return
    look = chart.early[0]
    if look.loss > (1 + at["excess"]) * chart.chance:
        yield Finding(
            "initial_loss",
            "warning",
            why="a network that knows nothing should lose what guessing does; this one is sure of wrong answers",
            step=1,
            evidence=(
                Evidence("loss", look.loss, (1 + at["excess"]) * chart.chance, 1),
                Evidence("loss of the best constant answer", chart.chance),
            ),
            remedy=remedies.begun_anew(chart.spec),
        )


def symmetry(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Units of a layer that are alike and stay so."""
    look = next((each for each in chart.looks if each.twins), None)
    if look is None or len(look.units) < 2:
        return
    yield Finding(
        "symmetry",
        "critical",
        why="dW[l] = (1/m)·A[l−1]ᵀ·dZ[l]: units with equal weights in W[l] and W[l+1] have equal "
        "columns of dZ[l], so they get "
        "equal gradients and never differ: the layer is as one unit",
        step=look.step,
        layers=look.twins,
        evidence=(Evidence("layers whose units are all alike", float(len(look.twins)), 0.0, look.step),),
        remedy=remedies.begun_anew(chart.spec),
    )


def poor_init(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Z that grows or shrinks from layer to layer before anything is learned."""
    if not chart.early:
        return
    look = chart.early[0]
    spread = [(units.layer or 0, units.z_std) for units in look.units if not units.is_output]
    sizes = [size for _, size in spread]
    if len(sizes) < 2 or not all(np.isfinite(sizes)) or not max(sizes):
        return
    ratio = (max(sizes) / max(min(sizes), 1e-150 * max(sizes))) ** 2
    if ratio > at["ratio"]:
        yield Finding(
            "poor_init",
            "warning",
            why="Var Z[l] = n·Var W[l]·E(A[l−1]²): weights of another size than 1/n make it grow "
            "or shrink at every layer",
            step=look.step,
            layers=tuple(layer for layer, size in spread if size in (max(sizes), min(sizes))),
            evidence=(Evidence("largest beside smallest variance of Z", float(ratio), at["ratio"], look.step),),
            remedy=remedies.begun_anew(chart.spec),
        )


def penalty_rules(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A penalty whose gradient is larger than the data's from the beginning."""
    if not chart.early:
        return
    look = chart.early[0]
    if look.penalty_ratio > at["ratio"] and np.isfinite(look.penalty_ratio):
        yield Finding(
            "penalty_rules",
            "critical" if not chart.is_learned and chart.epochs else "warning",
            why="dW = (1/m)·Aᵀ·dZ + λ·W: the second term is the larger one, so weights go to 0 whatever the rows say",
            step=look.step,
            evidence=(Evidence("‖λW‖ beside ‖(1/m)AᵀdZ‖", look.penalty_ratio, at["ratio"], look.step),),
            remedy=remedies.less_penalty(chart.spec),
        )


def few_rows(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A hundredth of the rows that makes half of the gradient."""
    for look in chart.early[:1] if chart.is_learned else chart.early:
        if look.top_share > at["share"] and len(chart.data.X) >= at["rows"]:
            yield Finding(
                "few_rows",
                "warning",
                why="g = (1/m)Σg_i: a few g_i are so long that the others hardly count; often rows with a wrong target",
                step=look.step,
                evidence=(
                    Evidence("share of Σ‖g_i‖² in a hundredth of the rows", look.top_share, at["share"], look.step),
                ),
                remedy=remedies.clipped(),
                holds=lambda look: look.top_share > at["share"],
            )
            return


def vanishing(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A gradient that is gone before it reaches the first layers, while there is still something to learn."""
    is_learned = chart.is_learned

    def holds(look: Look) -> bool:
        weights = look.weights
        if len(weights) < 2 or look.ledger is None or not look.gradient_norm:
            return False
        first, last = weights[min(weights)], weights[max(weights)]
        is_gone = first.gradient < at["ratio"] * last.gradient and first.gradient < at["first"]
        is_missed = not is_learned and first.gradient < at["unlearned"] * last.gradient and last.ratio > at["moved"]
        return bool((is_gone or is_missed) and last.gradient > at["last"])

    found = _mostly(chart, holds, at["share"])
    if found is None:
        return
    ledger = found.ledger
    guilty = None if ledger is None else ledger.largest_loss
    is_slope = guilty is not None and guilty.operation.startswith("g′")
    weights = found.weights
    bound = at["unlearned"] * weights[max(weights)].gradient if not is_learned else at["first"]
    yield Finding(
        "vanishing",
        "critical",
        why="dZ[l−1] = (dZ[l]·W[l]ᵀ) ⊙ g′(Z[l−1]): at each layer the gradient is made smaller"
        + ("" if guilty is None else f", most of all by {guilty.operation}, which takes {-guilty.gain:.2f} of log₁₀"),
        step=found.step,
        layers=tuple(number for number, sizes in weights.items() if sizes.gradient < bound),
        evidence=(
            Evidence("‖dW[1]‖/‖dW[L]‖", _ratio(found), at["ratio" if is_learned else "unlearned"], found.step),
            Evidence(f"dW.{min(weights)}.norm", weights[min(weights)].gradient, bound, found.step),
        ),
        remedy=remedies.rectified(chart.spec) if is_slope else remedies.begun_anew(chart.spec),
        holds=holds,
    )


def _ratio(look: Look) -> float:
    weights = look.weights
    return weights[min(weights)].gradient / (weights[max(weights)].gradient or np.nan)


def exploding(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A gradient that grows from layer to layer, or is beyond all measure."""

    def holds(look: Look) -> bool:
        sizes = list(look.weights.values())
        huge = any(not np.isfinite(each.mean_gradient) or each.mean_gradient > at["mean"] for each in sizes)
        grows = (
            look.ledger is not None and np.isfinite(look.ledger.total) and look.ledger.total > np.log10(at["growth"])
        )
        return bool(huge or (grows and look.gradient_norm > at["norm"]))

    found = next((look for look in chart.looks if holds(look)), None)
    if found is None:
        return
    gain = None if found.ledger is None else found.ledger.largest_gain
    yield Finding(
        "exploding",
        "warning" if chart.is_learned and chart.diverged is None else "critical",
        why="dZ[l−1] = (dZ[l]·W[l]ᵀ) ⊙ g′(Z[l−1]): weights larger than they should be make it longer at each layer"
        + ("" if gain is None else f", most of all {gain.operation}, which adds {gain.gain:.2f} to log₁₀"),
        step=found.step,
        layers=tuple(number for number, sizes in found.weights.items() if not sizes.gradient < at["norm"]),
        evidence=(Evidence("gradient_norm", found.gradient_norm, at["norm"], found.step),),
        remedy=remedies.begun_anew(chart.spec) if found.step <= 3 else remedies.clipped(),
        holds=holds,
    )


def dead_relu(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Units that answer no row any more: nothing reaches the weights in front of them."""

    def dead(look: Look) -> list[Units]:
        return [
            each for each in look.units if each.kind in RELUS and not each.is_output and each.dead_share > at["share"]
        ]

    found = next((look for look in chart.looks if dead(look)), None)
    if found is None or not (last := dead(chart.looks[-1]) or dead(found)):
        return
    worst = max(last, key=lambda each: each.dead_share)
    yield Finding(
        "dead_relu",
        "critical" if worst.dead_share > at["critical"] and not chart.is_learned else "warning",
        why="A = max(0, Z) and Z ≤ 0 for every row: g′ = 0, so dZ, dW and db of the unit are 0 and it stays as it is",
        step=found.step,
        layers=tuple(each.layer for each in last if each.layer is not None),
        units=tuple(f"{each.name}[:,{unit}]" for each in last for unit in each.dead[:20]),
        evidence=(Evidence(f"share of dead units in {worst.name}", worst.dead_share, at["share"], found.step),),
        remedy=remedies.slower(chart.spec) if found.step > 1 else remedies.begun_anew(chart.spec),
        holds=lambda look: bool(dead(look)),
    )


def saturated(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Units that are flat wherever the rows are."""

    def flat(look: Look) -> list[Units]:
        return [
            each for each in look.units if each.kind in FLAT and not each.is_output and each.saturated > at["share"]
        ]

    found = next((look for look in chart.looks if flat(look)), None)
    if found is None or (chart.is_learned and found.step > 10):
        return
    worst = max(flat(found), key=lambda each: each.saturated)
    yield Finding(
        "saturated",
        "critical" if not chart.is_learned and worst.saturated > at["critical"] and chart.epochs else "warning",
        why="dZ = dA ⊙ g′(Z), and g′ is next to 0 where |Z| is large: these units pass nothing back",
        step=found.step,
        layers=tuple(each.layer for each in flat(found) if each.layer is not None),
        units=tuple(each.name for each in flat(found)),
        evidence=(
            Evidence(f"share of saturated units in {worst.name}", worst.saturated, at["share"], found.step),
            Evidence(f"standard deviation of Z behind {worst.name}", worst.z_std, None, found.step),
        ),
        remedy=remedies.begun_anew(chart.spec) if found.step <= 3 else remedies.slower(chart.spec),
        holds=lambda look: bool(flat(look)),
    )


def lr_high(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Steps that throw the weights about."""
    later = [look for look in chart.looks if look.step > 1]
    if not later:
        return
    jumps = [look for look in later if look.ratios and max(look.ratios) > at["ratio"]]
    alphas = np.array([look.alpha for look in later if np.isfinite(look.alpha)])
    past = float(np.median(alphas)) if alphas.size else -1.0
    spoilt = not chart.is_learned or chart.diverged is not None
    if not spoilt or not (len(jumps) > at["share"] * len(later) or past > at["alpha"]):
        return
    found = jumps[0] if jumps else later[0]
    yield Finding(
        "lr_high",
        "critical",
        why="W ← W − η·dW: the step is so long that it passes the valley and climbs the other side",
        step=found.step,
        evidence=(
            Evidence("largest ‖update‖/‖W‖", max(found.ratios, default=np.nan), at["ratio"], found.step),
            Evidence("median alpha (0: the floor of the valley, 1: as high on the other side)", past, at["alpha"]),
        ),
        remedy=remedies.slower(chart.spec, 100 if found.ratios and max(found.ratios) > 10 * at["ratio"] else 10),
        holds=(lambda look: bool(look.ratios) and max(look.ratios) > at["ratio"]) if jumps else None,
    )


def lr_low(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Steps so short that nothing changes."""
    if not chart.looks or chart.is_learned or chart.diverged is not None:
        return
    ratios = [max(look.ratios) for look in chart.looks if look.ratios]
    alphas = [look.alpha for look in chart.looks if np.isfinite(look.alpha)]
    losses = chart.curve("train.loss")
    falls = float((np.diff(losses) < 0).mean()) if len(losses) > at["epochs"] else 0.0
    alpha = float(np.median(alphas)) if alphas else np.nan
    is_short = falls >= at["falls"] and alpha < at["alpha"]
    if not ratios or not (float(np.median(ratios)) < at["ratio"] or is_short):
        return
    look = chart.looks[0]
    yield Finding(
        "lr_low",
        "critical" if float(np.median(ratios)) < at["critical"] else "warning",
        why="W ← W − η·dW: the gradient is there, but η makes of it a step that is nothing beside W",
        step=look.step,
        evidence=(
            Evidence("median of the largest ‖update‖/‖W‖", float(np.median(ratios)), at["ratio"]),
            Evidence("median alpha (−1: no step, 0: the floor of the valley)", alpha, at["alpha"]),
            Evidence("share of the epochs at which the loss still falls", falls, at["falls"]),
            Evidence("gradient_norm", look.gradient_norm, None, look.step),
        ),
        remedy=remedies.faster(chart.spec, min(1e4, max(10.0, 1e-3 / max(1e-12, float(np.median(ratios)))))),
    )


def noise_dominated(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Batches so small that what they disagree on is larger than what they agree on, and nothing is learned."""
    tests = [look.norm_test for look in chart.looks if np.isfinite(look.norm_test)]
    if not tests or chart.is_learned or float(np.median(tests)) <= at["norm_test"] or chart.diverged is not None:
        return
    size = chart.spec.training.batch_size
    if size >= len(chart.data.X) / 2:
        return
    yield Finding(
        "noise_dominated",
        "info",
        why="Var ḡ = Σ/m: the batch's gradient is mostly chance; a batch k times larger has a noise √k times smaller",
        evidence=(Evidence("median norm test", float(np.median(tests)), at["norm_test"]),),
        remedy=remedies.with_training("larger batches", batch_size=min(len(chart.data.X), 4 * size)),
    )


def nonfinite(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Numbers that are no numbers any more."""
    step = chart.diverged
    if step is None:
        return
    bad = next((look.bad for look in chart.looks if look.step == step), None)
    yield Finding(
        "nonfinite",
        "critical",
        why="the training ended, for its numbers left what one can learn from"
        if bad is None
        else f"{bad.unit} is {bad.value}, of example {bad.example} of the batch; {bad.before}, just before it, reaches "
        f"{bad.largest:.3g}",
        step=step,
        units=() if bad is None else (bad.unit,),
        evidence=() if bad is None else (Evidence(f"{bad.before}.largest", bad.largest, None, step),),
        remedy=remedies.slower(chart.spec),
    )


def _mostly(chart: Chart, holds: Callable[[Look], bool], share: float) -> Look | None:
    """The first look where it holds, if it holds at more than a share of those before the run had learned."""
    looks = chart.looks
    seen = [look for look in looks if holds(look)]
    return seen[0] if seen and len(seen) > share * len(looks) else None


_DOWN = frozenset(
    {
        "cannot_overfit",
        "input_ignored",
        "loss_flat",
        "worse_than_linear",
        "unchanged",
        "constant_output",
        "lr_low",
        "noise_dominated",
        "class_ignored",
        "precision",
    }
)

STEPS = (
    Rule(
        "symmetry",
        "critical",
        "start",
        "all units of a hidden layer have equal columns in W and in dW",
        "own",
        symmetry,
        {},
        _DOWN | {"vanishing", "poor_init", "saturated", "dead_relu", "initial_loss", "few_rows"},
    ),
    Rule(
        "poor_init",
        "warning",
        "start",
        "the largest variance of a hidden Z > ratio × the smallest at the first step",
        "SageMaker Debugger (PoorWeightInitialization)",
        poor_init,
        {"ratio": 100.0},
        _DOWN
        | {
            "vanishing",
            "exploding",
            "saturated",
            "dead_relu",
            "initial_loss",
            "nonfinite",
            "diverging",
            "lr_high",
            "penalty_rules",
            "few_rows",
            "oscillating",
        },
    ),
    Rule(
        "exploding",
        "critical",
        "training",
        "mean |dW| > mean or not finite; or ‖dZ[1]‖ > growth × ‖dZ[L]‖ with a gradient longer than norm",
        "AUTOTRAINER, TheDeepChecker",
        exploding,
        {"mean": 1e3, "growth": 70.0, "norm": 100.0},
        _DOWN
        | {"nonfinite", "diverging", "lr_high", "saturated", "dead_relu", "few_rows", "oscillating", "initial_loss"},
    ),
    Rule(
        "saturated",
        "warning",
        "training",
        "more than share of a hidden layer's units have a mean |g′| below a twentieth",
        "SageMaker Debugger (SaturatedActivation)",
        saturated,
        {"share": 0.5, "critical": 0.5},
        _DOWN | {"vanishing", "few_rows", "penalty_rules"},
    ),
    Rule(
        "vanishing",
        "critical",
        "training",
        "‖dW[1]‖ < ratio × ‖dW[L]‖ and < first, or nothing is learned and ‖dW[1]‖ < unlearned × ‖dW[L]‖ though W[L] "
        "moves by more than moved of itself; while ‖dW[L]‖ > last, at more than share of the looks",
        "AUTOTRAINER, SageMaker Debugger; where nothing is learned our own",
        vanishing,
        {"ratio": 1e-3, "first": 1e-4, "unlearned": 0.02, "moved": 3e-4, "last": 1e-6, "share": 0.3},
        _DOWN | {"lr_high"},
    ),
    Rule(
        "lr_high",
        "critical",
        "training",
        "‖update‖/‖W‖ > ratio at more than share of the looks, or a median alpha > alpha, and nothing is learned",
        "Cockpit, cs231n",
        lr_high,
        {"ratio": 0.1, "alpha": 1.0, "share": 0.3},
        _DOWN
        | {"diverging", "nonfinite", "exploding", "dead_relu", "saturated", "oscillating", "vanishing", "few_rows"},
    ),
    Rule(
        "dead_relu",
        "critical",
        "training",
        "more than share of a hidden layer's units have Z ≤ 0 on all rows looked at",
        "SageMaker Debugger (DeadRelu)",
        dead_relu,
        {"share": 0.5, "critical": 0.9},
        _DOWN | {"vanishing"},
    ),
    Rule(
        "penalty_rules",
        "critical",
        "start",
        "‖the penalty's gradient‖ > ratio × ‖the data's‖ at the first step",
        "TheDeepChecker",
        penalty_rules,
        {"ratio": 1.0},
        _DOWN | {"vanishing", "dead_relu", "few_rows", "overtrained"},
    ),
    Rule(
        "lr_low",
        "critical",
        "training",
        "nothing is learned, and the median of the largest ‖update‖/‖W‖ < ratio; or the median alpha < alpha while the "
        "loss still falls at more than falls of more than epochs epochs",
        "Cockpit, SageMaker Debugger (WeightUpdateRatio)",
        lr_low,
        {"ratio": 3e-5, "critical": 1e-6, "alpha": -0.9, "falls": 0.9, "epochs": 5},
        frozenset({"loss_flat", "worse_than_linear", "unchanged", "constant_output", "class_ignored"}),
    ),
    Rule(
        "initial_loss",
        "warning",
        "start",
        "the first loss > (1 + excess) × that of the best constant answer",
        "cs231n, TheDeepChecker",
        initial_loss,
        {"excess": 4.0},
        frozenset({"few_rows"}),
    ),
    Rule(
        "few_rows",
        "warning",
        "start",
        "a hundredth of the rows has more than share of Σ‖g_i‖² in the first steps",
        "own",
        few_rows,
        {"share": 0.5, "rows": 100.0},
    ),
    Rule(
        "nonfinite",
        "critical",
        "training",
        "a NaN or an infinity, the first in the order of evaluation",
        "SageMaker Debugger (ExplodingTensor), tfdbg",
        nonfinite,
        {},
        _DOWN | {"diverging"},
    ),
    Rule(
        "noise_dominated",
        "info",
        "training",
        "median norm test > norm_test, and nothing is learned",
        "Cockpit",
        noise_dominated,
        {"norm_test": 3.0},
    ),
)
"""Causes before what they cause."""
