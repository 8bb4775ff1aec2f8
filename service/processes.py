"""How processes are started: from a small server process that has loaded NumPy and the engine but opened nothing.

A child then starts in milliseconds, with no thread, lock or database handle of its parent in it. Where there is no
fork, a fresh interpreter is started instead.
"""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read by the BLAS libraries once, when NumPy is loaded."""

PRELOADED = ["service.worker.loop", "service.domain.ingestion"]


def set_threads(count: int) -> None:
    """Let every BLAS in this process and its children use so many threads. Call before NumPy is imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(count)


def context() -> ForkServerContext | SpawnContext:
    """The way processes are started on this system."""
    if sys.platform == "win32" or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)  # without effect once it runs
    return found


def warm_up() -> None:
    """Start the small server process ahead of the first child, so that no request waits for it."""
    if isinstance(context(), ForkServerContext):
        forkserver.ensure_running()
