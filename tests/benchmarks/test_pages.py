"""The pages benchmark runs; in a file of its own, so that it need not wait for the others."""

import json
import subprocess
import sys


def test_the_pages_benchmark_asks_for_every_page_idle_busy_and_of_many_runs() -> None:
    options = ["--requests", "1", "--epochs", "3", "--runs", "60", "--json"]
    command = [sys.executable, "-m", "tests.benchmarks", "pages", *options]

    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["rows"]

    assert {row["load"] for row in rows} == {"idle", "two runs train"}
    assert [row["page"] for row in rows[-3:]] == ["runs, of 60 more", "by their best", "that failed"]
    assert all(row["gzipped_kilobytes"] < 100 for row in rows if row["page"] == "a run")
