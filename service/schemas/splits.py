"""Splits of a run's rows."""

from service.schemas.base import Body, example


class SplitBody(Body):
    """Row numbers, counted from 0 in the dataset's order, of each part."""

    model_config = example({"train": [0, 1, 3, 4, 6], "validation": [2], "test": [5], "left_out": 0, "total": 7})

    train: list[int]
    validation: list[int]
    test: list[int]
    left_out: int
    """Rows without a target, and those the split leaves out."""
    total: int
