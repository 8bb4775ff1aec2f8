"""Rules that need no step: of the spec, and of the encoded rows."""

from collections.abc import Iterator

import numpy as np

from engine.inspection.doctor import remedies
from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.findings import Evidence, Finding
from engine.inspection.doctor.rules import Rule, Thresholds
from engine.layers import Activation
from engine.layers.dense import Dense

RELUS = ("relu", "relu6")
SIGNED = ("half_squared_error", "squared_error", "absolute_error", "huber", "log_cosh", "quantile")


def input_scale(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Columns far from 0, or far wider than the others: their weights' gradients are as much larger."""
    X = chart.data.X
    if X.ndim != 2 or not isinstance(chart.network.layers[0], Dense):
        return
    with np.errstate(all="ignore"):
        X = X[:: max(1, len(X) // 10_000)].astype(np.float64)
        mean, std, largest = X.mean(axis=0), X.std(axis=0), np.abs(X).max(axis=0)
    typical = float(np.median(std[std > 0])) if (std > 0).any() else 0.0
    scale = max(1.0, typical)
    off = (np.abs(mean) > at["offset"] * np.maximum(std, 1.0)) & (largest > 1)
    wide = std > at["ratio"] * max(typical, 1e-300) if typical else np.zeros(len(std), bool)
    huge = largest > at["largest"]
    places = np.flatnonzero((off & (np.abs(mean) > at["offset"])) | wide | huge)
    if not places.size:
        return
    worst = int(places[np.argmax(largest[places])])
    is_critical = largest[worst] > at["critical"] or std[worst] > at["ratio"] * scale
    yield Finding(
        "input_scale",
        "critical" if is_critical else "warning",
        why="dW[1] = (1/m)·A[0]ᵀ·dZ[1]: a column of A[0] that is so large, or so far from 0, "
        "makes its weights' gradients "
        "as much larger than the others', and Z[1] leaves the range in which activations bend",
        layers=(1,),
        units=tuple(_name(chart, place) for place in places[:20]),
        evidence=(
            Evidence(f"largest |{_name(chart, worst)}|", float(largest[worst]), at["largest"]),
            Evidence(f"mean of {_name(chart, worst)}", float(mean[worst]), at["offset"]),
            Evidence(f"standard deviation of {_name(chart, worst)}", float(std[worst])),
        ),
        remedy=remedies.standardised(),
    )


def _name(chart: Chart, place: int) -> str:
    return chart.input_names[place] if place < len(chart.input_names) else f"A.0[:,{place}]"


def constant_input(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Columns that are the same in every row teach nothing but a bias."""
    X = chart.data.X
    if X.ndim != 2 or len(X) < at["rows"]:
        return
    places = np.flatnonzero((X[:1] == X).all(axis=0))
    if places.size > at["share"] * X.shape[1]:
        yield Finding(
            "constant_input",
            "warning",
            why="a constant column of A[0] acts as a second bias: W[1] of it and b[1] have proportional gradients",
            layers=(1,),
            units=tuple(_name(chart, place) for place in places[:20]),
            evidence=(Evidence("constant columns", float(places.size)),),
        )


def class_imbalance(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Classes of which some have many times the rows of others."""
    if chart.labels is None:
        return
    counts = np.bincount(chart.labels, minlength=chart.class_count)
    present = counts[counts > 0]
    if present.size > 1 and present.max() > at["ratio"] * present.min():
        yield Finding(
            "class_imbalance",
            "warning",
            why="L = (1/m)Σℓ_i: the rare class is a small part of the sum, so the gradient hardly knows it",
            evidence=(
                Evidence("largest class beside the smallest", float(present.max() / present.min()), at["ratio"]),
            ),
            remedy=remedies.with_training("each class weighs alike", class_weight="balanced")
            if chart.spec.training.class_weight is None
            else None,
        )


def unseen_class(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A class, or an output, of which no training row is; a target that does not vary."""
    Y = chart.data.Y
    missing = np.flatnonzero((Y[:1] == Y).all(axis=0))
    if missing.size and len(Y) > 1:
        yield Finding(
            "constant_target",
            "critical" if missing.size == Y.shape[1] else "warning",
            why="an output whose target never changes has nothing to tell rows apart by: only its bias is learned",
            layers=_last(chart),
            units=tuple(f"Y[:,{place}]" for place in missing[:20]),
            evidence=(Evidence("outputs whose target never changes", float(missing.size)),),
        )


def known_rows(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Validation rows that training has, features and target."""
    data = chart.data
    if data.X_validation is None or data.Y_validation is None or data.X.ndim != 2 or data.X.shape[1] < 2:
        return
    seen = {row.tobytes() for row in np.hstack([data.X, data.Y])}
    again = [row.tobytes() in seen for row in np.hstack([data.X_validation, data.Y_validation])]
    distinct = len(seen) / len(data.X)
    share = float(np.mean(again)) if again else 0.0
    if share > at["share"] and distinct > 0.5:
        yield Finding(
            "leakage",
            "warning",
            why="rows that training knows say nothing of new ones: validation loss is training loss in part",
            rows=tuple(np.flatnonzero(again)[:20].tolist()),
            evidence=(Evidence("share of validation rows that training has", share, at["share"]),),
        )


def no_nonlinearity(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Dense layers one behind the other with nothing that bends between them are one linear map."""
    place, straight = 0, []
    layers = chart.network.layers
    previous: int | None = None
    for place, layer in enumerate(layers):
        kind = layer.spec.model_fields["type"].default
        if isinstance(layer, Dense):
            number = chart.network.numbers[place]
            if previous is not None and number is not None:
                straight.append(number)
            previous = number
        elif (isinstance(layer, Activation) and kind != "identity") or kind not in (
            "identity",
            "dropout",
            "gaussian_noise",
            "flatten",
            "reshape",
        ):
            previous = None
    if straight:
        yield Finding(
            "no_nonlinearity",
            "warning",
            why="Z[l] = (A[l−2]·W[l−1] + b[l−1])·W[l] + b[l] is linear in A[l−2]: both layers "
            "together do what one could",
            layers=tuple(straight),
            evidence=(Evidence("layers with nothing that bends before them", float(len(straight))),),
            remedy=remedies.rectified(chart.spec),
        )


def high_dropout(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """Dropout that leaves less than half."""
    rates = [rate for layer in chart.spec.network.layers if (rate := getattr(layer, "rate", None)) is not None]
    if rates and max(rates) > at["rate"]:
        yield Finding(
            "high_dropout",
            "warning",
            why="Y = X ⊙ M/(1 − rate): most of what a layer says is dropped, and the rest is blown up as much",
            evidence=(Evidence("dropout rate", float(max(rates)), at["rate"]),),
            remedy=remedies.dropping(chart.spec, 0.2),
        )


def output_range(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """An output that can't reach the targets."""
    last = chart.network.layers[-1]
    kind = last.spec.model_fields["type"].default
    loss = chart.network.loss.spec.model_fields["type"].default
    low, high = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1)}.get(kind, (-np.inf, np.inf))
    low = 0 if kind in (*RELUS, "softplus", "exponential") else low
    if not isinstance(last, Activation) or loss not in SIGNED:
        return
    Y = chart.data.Y
    share = float(((low > Y) | (high < Y)).mean())
    if share > at["share"]:
        yield Finding(
            "output_range",
            "critical" if share > 0.2 else "warning",
            why=f"A[L] = {kind}(Z[L]) lies between {low:g} and {high:g}: targets beyond can't be "
            "met, and where Z[L] is at "
            "the end g′(Z[L]) is 0, so nothing is learned from these rows",
            layers=_last(chart),
            evidence=(Evidence("share of targets out of the output's range", share, at["share"]),),
            remedy=remedies.with_output("identity"),
        )


def learning_rate_range(chart: Chart, at: Thresholds) -> Iterator[Finding]:
    """A learning rate with which hardly any network of its optimizer learns."""
    optimizer = chart.spec.training.optimizer
    rate = remedies.learning_rate_of(chart.spec)
    largest = at["largest"] if optimizer.type in ("sgd", "lbfgs", "adadelta") else at["largest_adaptive"]
    if rate > largest or rate < at["smallest"]:
        yield Finding(
            "learning_rate_range",
            "warning",
            why="W ← W − η·(a step of about the gradient's size, or of about 1 for adaptive optimizers)",
            evidence=(Evidence("learning rate", rate, largest if rate > largest else at["smallest"]),),
            remedy=remedies.usual(chart.spec),
        )


def _last(chart: Chart) -> tuple[int, ...]:
    numbers = [number for number in chart.network.numbers if number is not None]
    return (numbers[-1],) if numbers else ()


BEFORE = (
    Rule(
        "input_scale",
        "critical",
        "before",
        "an input's |mean| > offset·max(1, its deviation) beyond [−1, 1], or its deviation > "
        "ratio × the median one, or |x| > "
        "largest",
        "SageMaker Debugger (CheckInputImages), UMLAUT, TheDeepChecker; thresholds our own",
        input_scale,
        {"offset": 2.0, "ratio": 100.0, "largest": 100.0, "critical": 1000.0},
        frozenset(
            {
                "initial_loss",
                "poor_init",
                "vanishing",
                "exploding",
                "dead_relu",
                "saturated",
                "loss_flat",
                "lr_high",
                "lr_low",
                "oscillating",
                "worse_than_linear",
                "diverging",
                "nonfinite",
                "constant_output",
                "unchanged",
                "few_rows",
                "precision",
                "class_ignored",
                "noise_dominated",
                "penalty_rules",
            }
        ),
    ),
    Rule(
        "constant_input",
        "warning",
        "before",
        "more than share of the columns never change, of at least so many rows",
        "UMLAUT",
        constant_input,
        {"rows": 20.0, "share": 0.2},
    ),
    Rule(
        "constant_target",
        "critical",
        "before",
        "an output's target never changes",
        "own",
        unseen_class,
        {},
        frozenset({"constant_output", "loss_flat", "initial_loss", "lr_low", "vanishing", "class_ignored"}),
    ),
    Rule(
        "class_imbalance",
        "warning",
        "before",
        "largest class > ratio × the smallest",
        "SageMaker Debugger (ClassImbalance)",
        class_imbalance,
        {"ratio": 10.0},
        frozenset({"constant_output", "class_ignored", "few_rows", "loss_flat"}),
    ),
    Rule(
        "leakage",
        "warning",
        "before",
        "share of validation rows that are training rows too",
        "own",
        known_rows,
        {"share": 0.05},
    ),
    Rule(
        "no_nonlinearity",
        "warning",
        "before",
        "two dense layers with nothing that bends between them",
        "UMLAUT",
        no_nonlinearity,
        {},
        frozenset({"loss_flat"}),
    ),
    Rule(
        "high_dropout",
        "warning",
        "before",
        "dropout > rate",
        "UMLAUT",
        high_dropout,
        {"rate": 0.5},
        frozenset({"loss_flat", "noise_dominated", "oscillating", "constant_output"}),
    ),
    Rule(
        "output_range",
        "critical",
        "before",
        "more than share of the targets lie where the output can't reach",
        "own",
        output_range,
        {"share": 0.01},
        frozenset({"constant_output", "loss_flat", "dead_relu", "saturated", "initial_loss", "vanishing"}),
    ),
    Rule(
        "learning_rate_range",
        "warning",
        "before",
        "learning rate beyond smallest and largest of its kind of optimizer",
        "UMLAUT",
        learning_rate_range,
        {"smallest": 1e-7, "largest": 10.0, "largest_adaptive": 0.3},
        frozenset(
            {
                "lr_high",
                "lr_low",
                "diverging",
                "nonfinite",
                "exploding",
                "dead_relu",
                "saturated",
                "oscillating",
                "worse_than_linear",
                "loss_flat",
                "unchanged",
                "constant_output",
                "class_ignored",
                "cannot_overfit",
                "input_ignored",
                "precision",
            }
        ),
    ),
)
"""In the order of judgement."""
