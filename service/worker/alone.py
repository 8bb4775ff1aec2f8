"""A worker on its own: a supervisor in the main thread of a process, for a database and data folder it can reach."""

import logging
import signal
from types import FrameType

from service import folder
from service.settings import Settings
from service.store.database import Database, migrate
from service.worker.supervisor import Supervisor

log = logging.getLogger(__name__)


def work_alone(settings: Settings) -> None:
    """Claim and train until a signal ends it; the first in order, the second at once. Raises FolderUnusable."""
    folder.id_of(settings.data)  # before a database is made in a folder that no server uses
    database = Database(settings.database)
    migrate(database)
    folder.check(settings.data, database)
    supervisor = Supervisor(settings, database, slots=max(1, settings.workers), server_id=None)
    signals = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            supervisor.stop()
        else:
            supervisor.kill()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("worker %s claims runs from %s", supervisor.worker_id, database.url.render_as_string())
    try:
        supervisor.run()
    finally:
        database.dispose()
