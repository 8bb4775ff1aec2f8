"""Data: from a file to the numbers a network sees, and back to words."""

from engine.data.matrices import matrix
from engine.data.notices import Notices
from engine.data.preprocessing import Encoded, Preprocessing
from engine.data.profile import profile
from engine.data.readers import (
    ANY,
    ENCODINGS,
    READERS,
    Bounds,
    Ingested,
    Options,
    Stretch,
    encoding_by_charset,
    ingest,
    open_table,
    stretches_of,
)
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
    "Notices",
    "Options",
    "Preprocessing",
    "Schema",
    "Split",
    "Stretch",
    "Table",
    "encoding_by_charset",
    "ingest",
    "matrix",
    "open_table",
    "profile",
    "split_rows",
    "stretches_of",
    "suspicions",
    "target_facts",
    "target_profile",
]
