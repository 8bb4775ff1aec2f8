"""Remedies: patches of a run's spec, as its client would write them."""

from collections.abc import Callable
from typing import Any

from engine.inspection.doctor.findings import Remedy
from engine.spec import RunSpec

Json = dict[str, Any]
BENT = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign", "exponential")


def learning_rate_of(spec: RunSpec) -> float:
    """What its optimizer begins with."""
    return float(spec.training.optimizer.model_dump().get("learning_rate", 1.0))


def slower(spec: RunSpec, factor: float = 10.0) -> Remedy:
    """A smaller learning rate."""
    rate = learning_rate_of(spec)
    return Remedy(
        _training(optimizer={"learning_rate": _rounded(rate / factor)}), f"a learning rate {factor:g} times smaller"
    )


def faster(spec: RunSpec, factor: float = 10.0) -> Remedy:
    """A larger learning rate."""
    rate = learning_rate_of(spec)
    return Remedy(
        _training(optimizer={"learning_rate": _rounded(rate * factor)}), f"a learning rate {factor:g} times larger"
    )


def usual(spec: RunSpec) -> Remedy:
    """A learning rate that is usual for the optimizer."""
    rate = 0.05 if spec.training.optimizer.type == "sgd" else 0.001
    return Remedy(_training(optimizer={"learning_rate": rate}), f"a learning rate of {rate:g}, as is usual")


def standardised() -> Remedy:
    """Every number brought to mean 0 and deviation 1."""
    return Remedy({"preprocessing": {"numbers": {"scaling": "standard"}}}, "inputs of mean 0 and standard deviation 1")


def rectified(spec: RunSpec, kind: str = "relu") -> Remedy:
    """Hidden activations that do not flatten out, and the weights that suit them."""
    return Remedy(
        _layers(spec, lambda layer: _with(layer, activation=kind, init="auto")), f"{kind} with the start that suits it"
    )


def begun_anew(spec: RunSpec) -> Remedy:
    """Weights that begin as the activations prefer."""
    return Remedy(_layers(spec, lambda layer: _with(layer, init="auto")), "weights drawn as suits each activation")


def dropping(spec: RunSpec, rate: float) -> Remedy:
    """Less dropout."""
    lower = _layers(
        spec, lambda layer: {**layer, "rate": rate} if layer["type"] in ("dropout", "alpha_dropout") else layer
    )
    return Remedy(lower, f"a dropout of {rate:g}")


def clipped(norm: float = 1.0) -> Remedy:
    """Gradients no longer than a norm."""
    return Remedy(_training(clip={"type": "norm", "limit": norm}), f"gradients of norm {norm:g} at most")


def less_penalty(spec: RunSpec) -> Remedy:
    """A tenth of the penalties."""
    training = spec.training
    found = {name: getattr(training, name) / 10 for name in ("l1", "l2") if getattr(training, name)}
    return Remedy(_training(**found), "a tenth of the penalty")


def more_penalty(spec: RunSpec) -> Remedy:
    """Ten times the penalty, and an end where validation no longer gets better."""
    l2 = max(1e-3, 10 * spec.training.l2)
    return Remedy(_training(l2=l2, early_stopping={"patience": 10}), "a larger penalty, and an early stop")


def with_training(rationale: str, **parts: Any) -> Remedy:
    """Other settings of the training."""
    return Remedy(_training(**parts), rationale)


def with_output(kind: str) -> Remedy:
    """Another activation of the output."""
    return Remedy({"network": {"output": {"activation": {"type": kind}}}}, f"an output of {kind}")


def _training(**parts: Any) -> Json:
    return {"training": parts}


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")


def _layers(spec: RunSpec, change: Callable[[Json], Json]) -> Json:
    layers = spec.network.model_dump(mode="json", exclude_unset=False)["layers"]
    return {"network": {"layers": [change(layer) for layer in layers]}}


def _with(layer: Json, **parts: Any) -> Json:
    return {**layer, **{name: {"type": kind} for name, kind in parts.items()}} if layer["type"] == "dense" else layer
