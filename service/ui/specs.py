"""How specs are said in words, and where some differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

LAYERS = "layers"


def layer(spec: Mapping[str, Any], *, is_whole: bool = False) -> str:
    """A layer in a few words: dense of 64, relu. A whole one has all else that is said of it."""
    units = spec.get("units") or spec.get("filters")
    words = [spec["type"].replace("_", " ") + (f" of {units}" if units else "")]
    if spec["type"] != "activation":
        words += [_kind(spec["activation"])] if spec.get("activation") else []
    rest = {name: value for name, value in spec.items() if name not in ("type", "units", "filters", "activation")}
    if is_whole or spec["type"] == "activation":
        words += [_said(name, value) for name, value in rest.items() if value not in (None, True)]
    return ", ".join(words)


def _kind(value: Any) -> str:
    """relu, or normal std 0.3."""
    if not isinstance(value, Mapping):
        return str(value)
    more = [f" {name} {inner:g}" for name, inner in value.items() if isinstance(inner, int | float)]
    return str(value.get("type", "")) + "".join(more)


def _said(name: str, value: Any) -> str:
    if name == "init":
        return _kind(value)
    if name == LAYERS:
        return layers(value)
    return f"{name.replace('_', ' ')} {value if not isinstance(value, Mapping) else _kind(value)}"


def layers(specs: Sequence[Mapping[str, Any]]) -> str:
    """Layers in words, like ones together: 8 × dense of 24, sigmoid."""
    alike = [(words, len(list(group))) for words, group in groupby(layer(each, is_whole=True) for each in specs)]
    return "; ".join(f"{count} × {words}" if count > 1 else words for words, count in alike) or "none"


def differences(specs: Sequence[Mapping[str, Any]], *, without: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """What is not the same in all, by its path, and what each says; – where one says nothing."""
    flat = [dict(_leaves(spec)) for spec in specs]
    paths = dict.fromkeys(path for each in flat for path in each if path not in without)
    found = [(path, [each.get(path, "–") for each in flat]) for path in paths]
    return [(path, values) for path, values in found if len(set(values)) > 1]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if path.rpartition(".")[2] == LAYERS:
        yield path, layers(value)
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value, ensure_ascii=False).strip('"')
