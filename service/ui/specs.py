"""How specs and encodings are said in words, and where specs differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from engine.data import Preprocessing
from engine.data.features import Feature
from service.ui.numbers import number

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


def encodings(preprocessing: Preprocessing) -> list[tuple[str, str, str]]:
    """Of each column learned from its name, what it becomes, and what a blank in it is read as, in words."""
    return [(feature.name, *_encoding(feature)) for feature in preprocessing.features]


def _encoding(feature: Feature) -> tuple[str, str]:
    """What a column becomes, and what a blank in it, in words."""
    blank = "refused" if feature.refuses_blanks else f"read as {feature.fill}"
    blank += ", and told by an input of its own" if feature.indicator else ""
    if feature.encoding == "number":
        transform = "" if feature.transform == "none" else f"{feature.transform}, then "
        return f"{transform}(x − {number(feature.mean)})/{number(feature.scale)}", blank
    if feature.encoding == "datetime":
        return f"numbers for {', '.join(feature.parts)}", blank
    known = f"{len(feature.levels)} levels" + (" and one for all others" if feature.has_other else "")
    words = {"one_hot": "an input for each of", "ordinal": "the place among", "embedding": "an id among"}
    return f"{words[feature.encoding]} {known}", blank
