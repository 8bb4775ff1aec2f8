import json
import subprocess
import sys

import numpy as np

from engine import __version__, blas
from engine.fingerprint import fingerprint


def test_a_fingerprint_says_what_changes_bits() -> None:
    found = fingerprint("float32")

    assert set(found) == {"engine", "numpy", "blas", "threads", "dtype", "cpu"}
    assert (found["engine"], found["numpy"], found["dtype"]) == (__version__, np.__version__, "float32")
    assert found["threads"] >= 1
    json.dumps(found, allow_nan=False)


def test_the_thread_count_is_the_blas_librarys_own() -> None:
    code = "from engine.fingerprint import fingerprint; print(fingerprint('float32')['threads'])"

    answer = subprocess.run(
        [sys.executable, "-c", code], env={"OPENBLAS_NUM_THREADS": "1"}, capture_output=True, check=True
    )

    assert answer.stdout.strip() == b"1"


def test_threads_are_asked_for_and_given_back() -> None:
    before = fingerprint("float32")["threads"]

    with blas.using_threads(before + 1):
        inside = fingerprint("float32")["threads"]

    assert (inside, fingerprint("float32")["threads"]) == (before + 1, before)
