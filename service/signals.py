"""Signals: the main thread does nothing but wait for them, while the work goes on in other threads.

A signal's handler runs in the main thread, wherever that is just then: one that sets an Event while the main thread
waits for that very Event, or sets it for another signal, can wait for ever.
"""

import signal
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue

ENDED = None
"""What a thread that came to its end puts into the queue."""


def run_until_signalled(
    work: Mapping[str, Callable[[], None]], *, stop: Callable[[], None], kill: Callable[[], None]
) -> None:
    """Do each part of the work in a thread of its own, until all have ended. For a main thread.

    The first SIGTERM or SIGINT, or the end of any part, calls `stop`; every later signal calls `kill`. Raises what the
    first part to fail raised.
    """
    news: SimpleQueue[int | BaseException | None] = SimpleQueue()  # a handler may put into it at any moment
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: news.put(number))
    for name, part in work.items():
        threading.Thread(target=_do, args=(part, news), name=name, daemon=True).start()
    failure: BaseException | None = None
    is_stopping, under_way = False, len(work)
    while under_way:
        told = news.get()
        if not isinstance(told, int):
            under_way -= 1
            failure = failure or told
        if not is_stopping:
            is_stopping = True
            stop()
        elif isinstance(told, int):
            kill()
    if failure is not None:
        raise failure


def _do(part: Callable[[], None], news: "SimpleQueue[int | BaseException | None]") -> None:
    try:
        part()
    except BaseException as error:  # noqa: BLE001 - the main thread raises it again
        news.put(error)
    else:
        news.put(ENDED)
