"""Data: from a file to the numbers a network sees, and back to words."""

from engine.data.matrices import matrix
from engine.data.preprocessing import Encoded, Preprocessing
from engine.data.profile import profile
from engine.data.readers import ANY, ENCODINGS, READERS, Bounds, Ingested, Options, ingest, open_table, rows_of
from engine.data.schema import Column, Schema
from engine.data.splits import Split, split_rows
from engine.data.suspicions import suspicions
from engine.data.table import Table
from engine.data.target_profile import target_profile
from engine.data.targets import target_facts

__all__ = [
    "ANY",
    "ENCODINGS",
    "READERS",
    "Bounds",
    "Column",
    "Encoded",
    "Ingested",
    "Options",
    "Preprocessing",
    "Schema",
    "Split",
    "Table",
    "ingest",
    "matrix",
    "open_table",
    "profile",
    "rows_of",
    "split_rows",
    "suspicions",
    "target_facts",
    "target_profile",
]
