"""Writers: columns of answers as CSV and as an Arrow stream, in stretches or at once; the header of an NPY array."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine.data.outputs import Output


class Writer(Protocol):
    """Columns as the bytes of a file: those of its beginning come with the first stretch."""

    def write(self, outputs: Sequence[Output]) -> bytes:
        """The bytes of some more rows. Every stretch has the same columns."""

    def end(self) -> bytes:
        """The bytes that close the file."""


class CsvWriter:
    """RFC 4180: a header line, texts in quotes, numbers as the shortest text that is the same float64."""

    def __init__(self) -> None:
        self._has_header = False

    def write(self, outputs: Sequence[Output]) -> bytes:
        sink = io.BytesIO()
        options = pa.csv.WriteOptions(include_header=not self._has_header)
        pa.csv.write_csv(_batch(outputs), sink, options)
        self._has_header = True
        return sink.getvalue()

    def end(self) -> bytes:
        return b""


class ArrowWriter:
    """An Arrow IPC stream of float64 columns and dictionaries of texts."""

    def __init__(self) -> None:
        self._sink = io.BytesIO()
        self._stream: Any = None

    def write(self, outputs: Sequence[Output]) -> bytes:
        batch = _batch(outputs)
        if self._stream is None:
            self._stream = pa.ipc.new_stream(self._sink, batch.schema)
        self._stream.write_batch(batch)
        return self._taken()

    def end(self) -> bytes:
        if self._stream is not None:
            self._stream.close()
        return self._taken()

    def _taken(self) -> bytes:
        found = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return found


def arrow_stream(columns: Mapping[str, Sequence[Any]], about: Mapping[str, Any]) -> bytes:
    """An Arrow IPC stream of columns of one length, with what is said beside them as JSON in the schema's metadata.

    `shape` holds integers, also where it is empty throughout.
    """
    integers = pa.list_(pa.int64())
    arrays = {name: pa.array(values, integers if name == "shape" else None) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata({"chainrule": json.dumps(about)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def npy_header(shape: tuple[int, ...]) -> bytes:
    """What stands before the float64 numbers, row by row, of an array of this shape."""
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(sink, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return sink.getvalue()


def _batch(outputs: Sequence[Output]) -> Any:
    return pa.record_batch([_array(each) for each in outputs], names=[each.name for each in outputs])


def _array(output: Output) -> Any:
    if not output.labels:
        return pa.array(output.values, pa.float64())
    return pa.DictionaryArray.from_arrays(pa.array(output.values, pa.int32()), pa.array(output.labels, pa.string()))
