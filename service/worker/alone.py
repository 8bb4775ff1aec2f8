"""A worker on its own: a supervisor in a process without an API, for a database and data folder it can reach."""

import logging

from service import folder
from service.settings import Settings
from service.signals import run_until_signalled
from service.store.database import Database, migrate
from service.worker.supervisor import Supervisor

log = logging.getLogger(__name__)


def work_alone(settings: Settings) -> None:
    """Claim and train until a signal ends it; the first in order, the second at once. Raises FolderUnusable."""
    folder.id_of(settings.data)  # before a database is made in a folder that no server uses
    database = Database(settings.database)
    try:
        migrate(database)
        folder.check(settings.data, database)
        supervisor = Supervisor(settings, database, slots=max(1, settings.workers), server_id=None)
        log.info("worker %s claims runs from %s", supervisor.worker_id, database.url.render_as_string())
        run_until_signalled({"supervisor": supervisor.run}, stop=supervisor.stop, kill=supervisor.kill)
    finally:
        database.dispose()
