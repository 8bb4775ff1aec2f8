"""The catalogue: everything a spec can name, read from the tables themselves so that it can't fall behind them."""

from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from engine.clipping import CLIPS
from engine.initializers import INITIALIZERS
from engine.layers import ACTIVATIONS, LAYERS
from engine.losses import LOSSES
from engine.metrics import METRICS
from engine.optimizers import OPTIMIZERS
from engine.schedules import SCHEDULES

Entry = dict[str, Any]


def catalogue() -> dict[str, list[Entry]]:
    """Every entry of every table a spec can name, with its formula, source and parameters."""
    return {
        "layers": _entries(LAYERS),
        "activations": _entries(ACTIVATIONS),
        "losses": _entries(LOSSES),
        "initializers": _entries(INITIALIZERS),
        "optimizers": _entries(OPTIMIZERS),
        "schedules": _entries(SCHEDULES),
        "clips": _entries(CLIPS),
        "metrics": [
            {
                "name": name,
                "summary": _summary(metric.measure),
                "formula": metric.formula,
                "source": metric.source,
                "parameters": {},
            }
            for name, metric in METRICS.items()
        ],
    }


def _entries(table: Mapping[str, Any]) -> list[Entry]:
    return [_entry(name, kind) for name, kind in table.items()]


def _entry(name: str, kind: Any) -> Entry:
    properties = kind.spec.model_json_schema().get("properties", {})
    entry = {
        "name": name,
        "summary": _summary(kind),
        "formula": kind.formula,
        "source": kind.source,
        "parameters": {key: value for key, value in properties.items() if key != "type"},
    }
    derivatives = ("derivative", "second_derivative")
    return {**entry, **{name: getattr(kind, name) for name in derivatives if hasattr(kind, name)}}


def _summary(described: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return (getdoc(described) or "").split("\n\n")[0].replace("\n", " ")
