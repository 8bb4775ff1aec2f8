"""The catalogue: everything a spec can name, read from the tables themselves so that it can't fall behind them."""

from collections.abc import Mapping
from inspect import getdoc
from typing import Any, get_args

from pydantic import BaseModel

from engine.initializers import INITIALIZERS
from engine.layers import ACTIVATIONS, LAYERS
from engine.losses import LOSSES
from engine.metrics import METRICS
from engine.optimizers import OPTIMIZERS
from engine.spec import ActivationLayerSpec, ActivationSpec, LayerSpec, OptimizerSpec

Entry = dict[str, Any]


def catalogue() -> dict[str, list[Entry]]:
    """Every layer, activation, loss, initializer, optimizer and metric, with its formula, source and parameters."""
    return {
        "layers": [
            *_entries(LAYERS, _specs(LayerSpec)),
            _entry("activation", getdoc(ActivationLayerSpec), "A = g(Z)", "its activation's", ActivationLayerSpec),
        ],
        "activations": _entries(ACTIVATIONS, _specs(ActivationSpec)),
        "losses": _entries(LOSSES, {}),
        "initializers": [
            _entry(name, getdoc(initializer), initializer.formula, initializer.source)
            for name, initializer in INITIALIZERS.items()
        ],
        "optimizers": _entries(OPTIMIZERS, _specs(OptimizerSpec)),
        "metrics": [
            _entry(name, getdoc(metric.measure), metric.formula, f"scikit-learn's metric, for {metric.task}")
            for name, metric in METRICS.items()
        ],
    }


def _specs(union: Any) -> dict[str, type[BaseModel]]:
    """The classes of a discriminated union, by the `type` that names each."""
    annotated_union, *_ = get_args(union)
    return {kind.model_fields["type"].default: kind for kind in get_args(annotated_union)}


def _entries(table: Mapping[str, Any], specs: Mapping[str, type[BaseModel]]) -> list[Entry]:
    return [
        _entry(name, getdoc(kind), kind.formula, kind.source, specs.get(name), getattr(kind, "derivative", None))
        for name, kind in table.items()
    ]


def _entry(
    name: str,
    doc: str | None,
    formula: str,
    source: str,
    spec: type[BaseModel] | None = None,
    derivative: str | None = None,
) -> Entry:
    schema = spec.model_json_schema() if spec else {}
    properties = {key: value for key, value in schema.get("properties", {}).items() if key != "type"}
    summary = (doc or "").split("\n\n")[0].replace("\n", " ")
    entry = {"name": name, "summary": summary, "formula": formula, "source": source, "parameters": properties}
    return entry if derivative is None else {**entry, "derivative": derivative}
