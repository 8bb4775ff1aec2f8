"""Ids: a prefix that says what it is, the time in milliseconds, and 64 random bits. Later ones sort after earlier."""

import secrets
import time


def new_id(prefix: str) -> str:
    """An id such as run_0193d2f4c1a09f86d081884c7d65."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
