"""Data: from a file to the numbers a network sees, and back to words."""

from engine.data.preprocessing import Encoded, Preprocessing
from engine.data.profile import profile
from engine.data.readers import Bounds, Ingested, csv_rows, ingest_csv, ingest_json, json_rows, open_table
from engine.data.schema import Column, Schema
from engine.data.splits import Split, split_rows
from engine.data.suspicions import suspicions
from engine.data.table import Table
from engine.data.target_profile import target_profile
from engine.data.targets import target_facts

__all__ = [
    "Bounds",
    "Column",
    "Encoded",
    "Ingested",
    "Preprocessing",
    "Schema",
    "Split",
    "Table",
    "csv_rows",
    "ingest_csv",
    "ingest_json",
    "json_rows",
    "open_table",
    "profile",
    "split_rows",
    "suspicions",
    "target_facts",
    "target_profile",
]
