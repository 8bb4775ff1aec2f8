"""Matrices made a stretch at a time, and how much memory a large table takes while it is fitted and encoded."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from engine.data import Column, Preprocessing, Schema, Table, matrix
from engine.data import matrices as module
from engine.data.table import STRETCH_ROWS
from engine.parameters import Array
from tests.engine.data.factories import spec


def wide(rows: int, columns: int) -> Table:
    """A table of numbers that are made when they are read, the first column the target."""
    names = [f"x{number}" for number in range(columns)]

    def read(column: Column, some: slice) -> Array:
        numbers = np.arange(*some.indices(rows), dtype=np.float64)
        return np.sin(numbers * (names.index(column.name) + 1))

    return Table(Schema(tuple(Column(name, "number", 0) for name in names)), rows, read)


@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 2501])
def test_a_matrix_in_a_file_has_the_bits_of_one_in_memory(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRETCH_NUMBERS", 3000)
    numbers = np.arange(rows) * 2

    def encode(some: Array) -> Array:
        return np.stack([some, some / 3, np.sqrt(some)], axis=1).astype("float32")

    kept = matrix(encode, numbers, 3, dtype="float32")
    mapped = matrix(encode, numbers, 3, dtype="float32", folder=tmp_path)

    assert kept.shape == mapped.shape == (rows, 3)
    assert kept.tobytes() == mapped.tobytes() == encode(numbers).tobytes()


def test_a_matrix_in_a_file_leaves_no_name_in_the_folder_and_can_not_be_written_to(tmp_path: Path) -> None:
    mapped = matrix(lambda some: some[:, np.newaxis], np.arange(5.0), 1, dtype="float64", folder=tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert not mapped.flags.writeable
    assert type(mapped) is np.ndarray


def test_a_stretch_that_can_not_be_encoded_leaves_nothing_behind(tmp_path: Path) -> None:
    def encode(some: Array) -> Array:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        matrix(encode, np.arange(5), 1, dtype="float64", folder=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_encoding_a_stretch_reads_no_more_of_a_large_table() -> None:
    table = wide(1000, 3)
    preprocessing = Preprocessing.fit(table, spec("x0"))
    read = list[slice]()
    watched = Table(
        table.schema, table.row_count, lambda column, some: read.append(some) or table.read(column, some), kept_bytes=0
    )

    X = preprocessing.encode_features(watched, np.array([500, 503, 510]), dtype="float64")

    assert read == [slice(500, 511)] * 2
    np.testing.assert_array_equal(
        X, preprocessing.encode_features(table, dtype="float64")[[500, 503, 510]], strict=True
    )


def test_a_large_table_is_fitted_checked_and_encoded_in_less_memory_than_its_columns_take(tmp_path: Path) -> None:
    table = wide(200_000, 100)
    tracemalloc.start()

    preprocessing = Preprocessing.fit(table, spec("x0"))
    split = preprocessing.split(table)
    preprocessing.check(table, split, dtype="float32")
    X = matrix(
        lambda some: preprocessing.encode_features(table, some, dtype="float32"),
        split.train,
        preprocessing.n_in,
        dtype="float32",
        folder=tmp_path,
    )

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    columns = 100 * 200_000 * 8
    assert X.shape == (len(split.train), 99)
    assert peak < columns


def test_many_rows_of_a_large_table_are_read_a_stretch_at_a_time_and_no_further_than_they_go() -> None:
    table, read = wide(4 * STRETCH_ROWS, 1), list[slice]()
    watched = Table(
        table.schema,
        table.row_count,
        lambda column, some: read.append(some) or table.read(column, some),
        kept_bytes=0,
    )
    rows = np.arange(10, 2 * STRETCH_ROWS + 20, 1)

    found = watched.numbers("x0", rows)

    np.testing.assert_array_equal(found, np.sin(rows.astype(float)), strict=True)
    assert (read[0].start, read[-1].stop) == (10, 2 * STRETCH_ROWS + 20)
    assert max(some.stop - some.start for some in read) == STRETCH_ROWS
