"""The arrows between the packages point down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARIES = {
    "engine/spec.py": {"pydantic"},
    "engine/options.py": {"pydantic"},
    "engine/checkpoints.py": {"safetensors"},
    "engine/data/writers.py": {"pyarrow"},
    **{
        f"engine/data/readers/{name}.py": {"pyarrow"}
        for name in ("arrow", "columns", "csv", "json", "npy", "parquet", "stretches", "tables")
    },
}
"""What the engine may import beside NumPy, by file."""
ARROWS = {
    "engine": {"engine"},
    "service.schemas": {"service.schemas", "engine"},
    "service.store": {"service.store", "service.ids", "engine", "migrations"},
    "service.domain": {
        "service.domain",
        "service.store",
        "service.settings",
        "service.errors",
        "service.ids",
        "service.processes",
        "engine",
    },
    "service.routes": {
        "service.routes",
        "service.schemas",
        "service.domain",
        "service.store",
        "service.dependencies",
        "service.errors",
        "service.forms",
        "service.negotiation",
        "service.uploads",
        "service.problems",
        "service.settings",
        "service.metrics",
        "service.ids",
        "engine",
    },
    "service.worker": {
        "service.worker",
        "service.answering",
        "service.folder",
        "service.signals",
        "service.domain",
        "service.store",
        "service.settings",
        "service.logs",
        "service.ids",
        "service.processes",
        "engine",
    },
    "service.ui": {
        "service.ui",
        "service.routes.datasets",
        "service.samples",
        "service.schemas",
        "service.domain",
        "service.store",
        "service.dependencies",
        "service.errors",
        "service.problems",
        "service.security",
        "service.settings",
        "engine",
    },
    "service.client": {"service.schemas", "service.notebook"},
    "service.notebook": {"service.schemas", "service.ui.charts", "service.ui.numbers"},
    "service.console": {"service.client", "service.schemas", "service.console"},
}
"""Which of our own modules each part may import when it runs."""


def imports(path: Path) -> set[str]:
    """The modules a file imports when it runs: not those it needs for types alone."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(part: str) -> list[Path]:
    path = ROOT / part.replace(".", "/")
    return [path.with_suffix(".py")] if path.with_suffix(".py").exists() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("part", ARROWS)
def test_arrows_point_down_only(part: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)} → {module}"
        for path in files(part)
        for module in imports(path)
        if module.partition(".")[0] in ("engine", "service", "migrations", "tests")
        and not any(f"{module}.".startswith(f"{allowed}.") for allowed in ARROWS[part])
    }

    assert files(part)
    assert wrong == set()


def test_the_engine_needs_numpy_and_little_else() -> None:
    found: dict[str, set[str]] = {}
    for path in files("engine"):
        outside = {module.partition(".")[0] for module in imports(path)} & {
            "pydantic",
            "safetensors",
            "pyarrow",
            "sqlalchemy",
            "fastapi",
            "starlette",
            "httpx",
            "orjson",
        }
        if outside:
            found[str(path.relative_to(ROOT))] = outside

    assert found == LIBRARIES


def test_the_same_resource_has_the_same_file_name_in_each_layer() -> None:
    routes = {path.stem for path in files("service.routes")} - {"__init__"}

    alone = {"answers", "training", "inputs", "ingestion", "idempotency", "warm_starts"}
    alone |= {"amendments", "courses", "estimates", "evidence", "forks", "journeys", "overrides", "replays", "tensors"}
    alone |= {"database", "digests", "folder", "pages", "tables", "epochs", "workers"}
    for layer in ("domain", "store"):
        strays = {path.stem for path in files(f"service.{layer}")} - {"__init__"} - routes
        assert strays <= alone


def test_the_client_loads_none_of_the_readers() -> None:
    """They take a second, at each command of the command line."""
    command = (
        "import sys, service.client, service.console; print([name for name in ('pyarrow',) if name in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)

    assert loaded.stdout == "[]\n"
