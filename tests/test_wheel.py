"""The wheel alone is the whole product: installed in an empty environment, away from the checkout, it works."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    (found,) = folder.glob("chainrule-*.whl")
    return found


def test_everything_that_is_no_python_file_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    packaged = [path for package in ("engine", "service", "migrations") for path in (ROOT / package).rglob("*")]
    needed = {str(path.relative_to(ROOT)) for path in packaged if path.is_file() and path.suffix not in (".pyc", ".py")}
    assert {"service/samples/penguins.csv", "migrations/script.py.mako"} <= needed
    assert needed <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_demo_runs_from_the_wheel_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True, capture_output=True, timeout=300)

    shown = subprocess.run(
        [tmp_path / "venv" / "bin" / "chainrule", "demo", "--once"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    ).stdout

    assert "penguins: succeeded" in shown
    assert "digits: succeeded" in shown
    assert "mismatch" not in shown
