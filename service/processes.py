"""How processes are started: from a small server process that has loaded NumPy and the engine but opened nothing.

A child then starts in milliseconds, with no thread, lock or database handle of its parent in it. Where there is no
fork, a fresh interpreter is started instead.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read by the BLAS libraries once, when NumPy is loaded."""

UNKNOWN_EXIT = 255
"""The exit code that is read where the process that started a child, and alone knows its end, is itself gone."""

PRELOADED = ["service.preload", "service.worker.process", "service.domain.ingestion", "service.domain.journeys"]


_starting = threading.Lock()


class NotStarted(Exception):  # noqa: N818 - what happened
    """No process could be started: the one that starts others is gone, and the next start brings it back."""


class Lost(Exception):  # noqa: N818 - what happened
    """The process was ended from outside before it had an answer."""


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


def start(process: BaseProcess) -> None:
    """Start a process that does not run this program's main file again, as Python would: nothing of it is needed."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main


def let_signals_in() -> None:
    """In a process just started: from now on signals reach it. Call once their handlers are set."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


def warm_up() -> None:
    """Start the small server process ahead of the first child, so that no request waits for it."""
    if isinstance(context(), ForkServerContext):
        forkserver.ensure_running()


def apart(
    work: Callable[..., Any], *arguments: Any, memory_bytes: int, seconds: float, expected: type[Exception]
) -> Any:
    """What `work` gives, done in a process of its own, which is gone when this returns.

    Raises what it raises of the `expected` kind, MemoryError where it takes more than `memory_bytes`, TimeoutError
    after so many seconds, NotStarted, and Lost; RuntimeError for an error nobody foresaw, which the process printed.
    """
    started = context()
    receiver, sender = started.Pipe(duplex=False)
    process = started.Process(target=_answer, args=(sender, memory_bytes, expected, work, arguments), daemon=True)
    try:
        start(process)
    except (EOFError, ConnectionError) as error:
        receiver.close()
        raise NotStarted from error
    finally:
        sender.close()
    try:
        if not receiver.poll(seconds):
            raise TimeoutError
        is_answer, found = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode is not None and process.exitcode > 0:
            raise RuntimeError("a process ended with an error; its traceback stands above") from None
        raise Lost from None
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if is_answer:
        return found
    raise found


def _answer(
    sender: Connection,
    memory_bytes: int,
    expected: type[Exception],
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    let_signals_in()
    limit_memory(memory_bytes)
    try:
        sender.send((True, work(*arguments)))
    except MemoryError:
        sender.send((False, MemoryError()))
    except expected as error:
        sender.send((False, error))
