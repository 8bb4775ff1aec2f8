"""The profile of a target: how even its classes are, and how much each other column tells of it."""

from typing import Any

import numpy as np

from engine.data.associations import correlation_ratio, cramers_v, pearson
from engine.data.schema import Column
from engine.data.table import Table, Text
from engine.data.targets import class_target, target_facts
from engine.parameters import Array
from engine.spec import RunSpec

ROWS_PER_LEVEL = 5
"""With fewer rows a text, on average, its strength would be chance."""


def target_profile(table: Table, name: str) -> dict[str, Any]:
    """`{"name", "task", "rows", "classes": [{"name", "count", "share"}], "strengths": {column: {…}}}`.

    The task is the one a run would choose. `rows` are those with a target, and classes, None for numbers, are in the
    order of a network's outputs. A strength is `{"measure", "strength"}`, from 0 to 1: `pearson` is |r| of two numbers,
    `correlation_ratio` η of numbers by class or by text, `cramers_v` V of a text and classes; None where a column does
    not vary or has too many texts. Raises DataError for a target that no run could learn.
    """
    facts = target_facts(table, RunSpec(target=(name,)))
    is_class = facts.task == "classification"
    text = table.text(name) if is_class else None
    y = text.codes if text is not None else table.numbers(name)
    present = y >= 0 if is_class else ~np.isnan(y)
    return {
        "name": name,
        "task": facts.task,
        "rows": int(present.sum()),
        "classes": None if text is None else _classes(text, class_target(table, name).classes),
        "strengths": {
            column.name: _strength(table, column, y, present, is_class=is_class)
            for column in table.schema.columns
            if column.name != name
        },
    }


def _classes(text: Text, names: tuple[str, ...]) -> list[dict[str, Any]]:
    counts = dict(zip(text.levels, np.bincount(text.codes[text.codes >= 0], minlength=len(text.levels)), strict=True))
    whole = sum(counts.values())
    return [{"name": name, "count": int(counts[name]), "share": float(counts[name] / whole)} for name in names]


def _strength(table: Table, column: Column, y: Array, present: Array, *, is_class: bool) -> dict[str, Any]:
    values = table.read(column, slice(None))
    if isinstance(values, Text):
        both = present & (values.codes >= 0)
        levels, target = values.codes[both], y[both]
        measure = "cramers_v" if is_class else "correlation_ratio"
        if ROWS_PER_LEVEL * np.count_nonzero(np.bincount(levels)) > len(levels):
            return {"measure": measure, "strength": None}
        found = cramers_v(levels, target) if is_class else correlation_ratio(target, levels)
        return {"measure": measure, "strength": found}
    both = present & ~np.isnan(values)
    x, target = values[both], y[both]
    if is_class:
        return {"measure": "correlation_ratio", "strength": correlation_ratio(x, target)}
    return {"measure": "pearson", "strength": pearson(x, target)}
