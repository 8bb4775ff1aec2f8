"""Splits: which rows of its dataset a run trains on, is validated and is tested with."""

from pathlib import Path

from engine.data import Preprocessing, Split
from service.domain import datasets


def split_of(data: Path, dataset_id: str, preprocessing: Preprocessing) -> tuple[Split, int]:
    """The row numbers of each part, and how many rows the dataset has. Conflict where its file is gone."""
    table = datasets.table_at_hand(data, dataset_id)
    return preprocessing.split(table), table.row_count
