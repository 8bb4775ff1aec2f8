"""How processes are started: from a small server process that has loaded NumPy and the engine but opened nothing.

A child then starts in milliseconds, with no thread, lock or database handle of its parent in it. Where there is no
fork, a fresh interpreter is started instead.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read by the BLAS libraries once, when NumPy is loaded."""

UNKNOWN_EXIT = 255
"""The exit code that is read where the process that started a child, and alone knows its end, is itself gone."""

PRELOADED = ["service.preload", "service.worker.process", "service.domain.ingestion"]


def set_up_libraries(*, threads: int) -> None:
    """Tell the libraries of this process and its children how to work. Call before NumPy and pyarrow are imported.

    Every BLAS uses so many threads. Arrow takes its memory from the system's allocator: its own would map a whole
    gibibyte at its first use, which counts against a process's limit though nearly all of it stays empty.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"


def limit_memory(room: int) -> None:
    """Bound what this process may still allocate, where the system can; files mapped into memory do not count."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = in_use + room
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def context() -> ForkServerContext | SpawnContext:
    """The way processes are started on this system."""
    if sys.platform == "win32" or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)  # without effect once it runs
    return found


def let_signals_in() -> None:
    """In a process just started: from now on signals reach it. Call once their handlers are set."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


def warm_up() -> None:
    """Start the small server process ahead of the first child, so that no request waits for it."""
    if isinstance(context(), ForkServerContext):
        forkserver.ensure_running()
