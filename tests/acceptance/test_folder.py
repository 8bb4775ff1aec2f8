"""A data folder and its database belong together: a slip in the settings costs nothing."""

from pathlib import Path

import pytest

from service import folder
from service.folder import FolderUnusable
from service.store.database import Database
from tests.cli.test_commands import chainrule
from tests.store import factories
from tests.support import QUICK, TINY, Api, server


def sqlite(path: Path) -> dict[str, str]:
    return {"CHAINRULE_DATABASE_URL": f"sqlite:///{path}"}


def test_a_start_with_another_database_is_refused_and_every_dataset_stays(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other.sqlite3"
    with server(data) as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        served.stop()
        refused = chainrule("serve", "--data", data, "--port", 0, ok=False, **sqlite(other))
        served.start()

        assert "do not belong together" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert served.client.create_run(dataset=dataset.id, target="label", **QUICK)


def test_a_worker_with_another_servers_folder_is_refused(tmp_path: Path) -> None:
    with server(tmp_path / "one", "--workers", "0"), server(tmp_path / "two", "--workers", "0"):
        database = sqlite(tmp_path / "one" / "chainrule.sqlite3")
        refused = chainrule("worker", "--data", tmp_path / "two", ok=False, **database)

    assert refused.stderr.startswith("chainrule: ")
    assert "do not belong together" in refused.stderr


def test_a_worker_makes_no_folder_of_its_own(tmp_path: Path) -> None:
    refused = chainrule("worker", "--data", tmp_path / "typo", ok=False)

    assert "is not the data folder of a server" in refused.stderr
    assert not (tmp_path / "typo").exists()


def test_a_restored_backup_is_served_as_the_folder_it_was(tmp_path: Path) -> None:
    with server(tmp_path / "data") as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        chainrule("backup", tmp_path / "backup", "--data", tmp_path / "data")
    chainrule("restore", tmp_path / "backup", "--data", tmp_path / "restored")

    with server(tmp_path / "restored") as served:
        assert served.client.create_run(dataset=dataset.id, target="label", **QUICK)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    data = tmp_path / "what? 50% & #1"

    with server(data, "--workers", "0") as served:
        assert served.client.upload_bytes(TINY, name="tiny")

    assert (data / "chainrule.sqlite3").exists()


def test_a_file_that_the_database_does_not_name_is_moved_aside(tmp_path: Path) -> None:
    stray = tmp_path / "data" / "datasets" / "ds_of_another_time.arrow"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"rows")

    with Api(tmp_path / "data"):
        assert not stray.exists()
        assert (tmp_path / "data" / "lost" / stray.name).read_bytes() == b"rows"


# Which belong together ---------------------------------------------------------------------------------------------


def test_a_new_folder_and_a_new_database_belong_together_from_then_on(tmp_path: Path, database: Database) -> None:
    first = folder.bind(tmp_path, database)

    assert folder.bind(tmp_path, database) == first == folder.id_of(tmp_path)
    folder.check(tmp_path, database)


def test_a_new_database_does_not_take_a_folder_that_has_one(tmp_path: Path, database: Database) -> None:
    (tmp_path / folder.MARKER).write_text('{"format": 1, "id": "folder_of_another"}')

    with pytest.raises(FolderUnusable, match="do not belong together"):
        folder.bind(tmp_path, database)


def test_a_database_with_datasets_does_not_take_a_new_folder(tmp_path: Path, database: Database) -> None:
    with database.write() as session:
        factories.dataset(session)

    with pytest.raises(FolderUnusable, match="do not belong together"):
        folder.bind(tmp_path / "new", database)


def test_a_crash_between_database_and_mark_leaves_both_as_new(tmp_path: Path, database: Database) -> None:
    folder.bind(tmp_path, database)
    (tmp_path / folder.MARKER).unlink()

    folder.bind(tmp_path, database)

    folder.check(tmp_path, database)
