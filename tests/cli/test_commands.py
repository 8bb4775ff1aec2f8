"""The command line as a user meets it: real processes, exit codes, what stands on stdout and on stderr."""

import csv
import gzip
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine import __version__
from service.samples import PENGUINS
from tests.support import PATIENCE_SECONDS, TINY, Api, Server, server, until

TOKEN = "open-sesame-open-sesame"
QUICK = ["--hidden", "8", "--epochs", "5", "--validation", "0.15"]


def chainrule(*arguments: object, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=os.environ | environment,
        check=False,
    )
    assert (done.returncode == 0) is ok, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("cli") / "data") as found:
        yield found


@pytest.fixture
def penguins(tmp_path: Path) -> Path:
    path = tmp_path / "penguins.csv"
    path.write_bytes(PENGUINS.content())
    return path


def train(served: Server, file: Path, *options: object) -> str:
    """Train by command, and give the run's id."""
    done = chainrule("train", file, "--target", "species", *QUICK, "--server", served.url, "--json", *options)
    return str(json.loads(done.stdout)["id"])


def test_the_version_is_shown() -> None:
    assert chainrule("--version").stdout == f"chainrule {__version__}\n"


def test_train_shows_losses_and_the_result(served: Server, penguins: Path) -> None:
    shown = chainrule("train", penguins, "--target", "species", *QUICK, "--server", served.url).stdout

    assert re.search(r"epoch +5 of 5  train loss \d\.\d{4}  validation loss", shown)
    assert "succeeded" in shown
    assert "accuracy" in shown
    assert "\x1b" not in shown  # no colour where there is no terminal


def test_train_without_validation_rows_shows_how_well_it_fits(served: Server, penguins: Path) -> None:
    shown = chainrule("train", penguins, "--target", "species", "--epochs", 3, "--server", served.url).stdout

    assert re.search(r"epoch +3 of 3  train loss \d\.\d{4}  train accuracy \d\.\d{4}$", shown, re.MULTILINE)


def test_json_is_for_programs(served: Server, penguins: Path) -> None:
    run = train(served, penguins, "--name", "from the shell", "--seed", 4)

    found = json.loads(chainrule("show", run, "--server", served.url, "--json").stdout)
    listed = json.loads(chainrule("runs", "--server", served.url, "--json").stdout)

    assert (found["name"], found["seed"], found["status"]) == ("from the shell", 4, "succeeded")
    assert listed[0]["id"] == run


def test_every_listing_reads_well(served: Server, penguins: Path) -> None:
    run = train(served, penguins)

    assert run in chainrule("runs", "--server", served.url).stdout
    assert "344" in chainrule("datasets", "--server", served.url).stdout
    assert "8 relu → 3 softmax" in chainrule("show", run, "--server", served.url).stdout
    assert "succeeded" in chainrule("watch", run, "--server", served.url).stdout


def test_predict_answers_for_every_row_of_a_file(served: Server, penguins: Path) -> None:
    run = train(served, penguins)

    plain = chainrule("predict", run, penguins, "--server", served.url).stdout
    answer = json.loads(chainrule("predict", run, penguins, "--server", served.url, "--json").stdout)

    assert len(answer["predictions"]) == 344
    assert plain.count("\n") == 345


@pytest.fixture(scope="module")
def trained(served: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run with numbers x and yes, a text word and classes in brackets."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    lines = [f"{i}, {('TRUE', 'False')[i % 2]}, w{i % 3}, [{'ab'[i % 2]}]" for i in range(60)]
    path.write_text("\n".join(["x, yes, word, label", *lines]))
    options = [
        "--target",
        "label",
        "--epochs",
        4,
        "--validation",
        0.15,
        "--name",
        "[bold]",
        "--server",
        served.url,
        "--json",
    ]
    return str(json.loads(chainrule("train", path, *options).stdout)["id"])


ROWS = {
    "csv": "word,x,yes\n w1,nan,true\n NA, 7 ,FALSE\n",
    "tsv": "word\tx\tyes\n w1\tnan\ttrue\n NA\t7,0\tFALSE\n",
    "txt": "word;x;yes\n w1;nan;true\n NA;7,0;FALSE\n",
    "jsonl": '{"x": null, "yes": true, "word": " w1"}\n{"x": 7, "yes": "False", "word": "NA"}\n',
    "json": '[{"x": null, "yes": true, "word": " w1"}, {"x": 7, "yes": "False", "word": "NA"}]',
    "rows.json": '{"rows": [{"x": null, "yes": 1, "word": " w1"}, {"x": 7, "yes": 0, "word": null}]}',
    "columns.json": '{"columns": {"x": ["NaN", 7], "yes": ["TRUE", false], "word": [" w1", ""]}}',
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_a_file_mean_the_same_in_every_form(served: Server, trained: str, tmp_path: Path, kind: str) -> None:
    (tmp_path / f"rows.{kind}").write_text(ROWS[kind])
    plain = [{"x": None, "yes": True, "word": " w1"}, {"x": 7, "yes": False, "word": None}]

    done = chainrule("predict", trained, tmp_path / f"rows.{kind}", "--server", served.url, "--json")

    answer = json.loads(done.stdout)
    assert answer == served.client.predict(trained, plain).model_dump(mode="json")
    assert answer["warnings"] == []


def test_typed_and_compressed_rows_mean_the_same(served: Server, trained: str, tmp_path: Path) -> None:
    plain = [{"x": None, "yes": True, "word": " w1"}, {"x": 7, "yes": False, "word": None}]
    pq.write_table(pa.Table.from_pylist(plain), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(ROWS["csv"].encode()))

    for name in ("rows.parquet", "rows.csv.gz"):
        done = chainrule("predict", trained, tmp_path / name, "--server", served.url, "--json")

        assert json.loads(done.stdout) == served.client.predict(trained, plain).model_dump(mode="json")


def test_a_file_in_another_encoding_is_predicted_with_a_warning(served: Server, trained: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(b"x,yes,word\n1,true,caf\xe9\n")

    done = chainrule("predict", trained, tmp_path / "rows.csv", "--server", served.url)

    assert "was read as Windows-1252" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("rows.csv", "x,yes,word\n1_000,true,w1\n", "rows[0].x: expected a number, got a text"),
        ("rows.csv", "x,yes,word\n1,true,w1\ninf,true,w1\n", "rows[1].x: expected a finite number, got inf"),
        ("rows.csv", "x,yes,word\n", "expected at least one row, got none"),
        ("rows.csv", "x,yes,word\n1,2\n", "rows[0]: expected 3 cells as in the header, got 2"),
        ("rows.csv", "x:yes:word\n1:true:w1\n", "columns.x: expected this column, found none"),
        ("rows.json", '{"x": [1]}', "got the keys 'x'"),
        ("rows.json", "[1", "expected JSON"),
        ("rows.csv", "x,yes,word\n1,true,caf\x81\n", "got the byte 0x81 at byte 21, line 2"),
        ("rows.json", '[{"word": "caf\xe9"}]', "expected text in UTF-8, got the byte 0xe9 at byte 14, line 1"),
        ("rows.json", '[{"x": 1e999, "yes": true, "word": "w"}]', "rows[0].x: expected a finite number"),
    ],
)
def test_rows_that_can_not_be_predicted_are_a_sentence(
    served: Server, trained: str, tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))

    done = chainrule("predict", trained, tmp_path / name, "--server", served.url, ok=False)

    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_predictions_are_written_as_csv_ndjson_or_json(served: Server, trained: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS["csv"])
    options = ["predict", trained, tmp_path / "rows.csv", "--server", served.url]
    wanted = json.loads(chainrule(*options, "--json").stdout)["predictions"]

    chainrule(*options, "--format", "csv", "-o", tmp_path / "found.csv")
    in_lines = chainrule(*options, "--format", "ndjson").stdout
    in_json = chainrule(*options, "--format", "json").stdout

    with (tmp_path / "found.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [each["label"] for each in wanted]
    in_words = [{name: cell for name, cell in each.items() if cell is not None} for each in wanted]
    assert [json.loads(line) for line in in_lines.splitlines()] == in_words
    assert json.loads(in_json)["predictions"] == in_words


def test_a_file_of_predictions_is_there_once_it_is_whole(served: Server, trained: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,yes,word\n" + "1,true,w1\n" * 9000 + "1_000,true,w1\n")
    options = ["predict", trained, tmp_path / "rows.csv", "--server", served.url]

    done = chainrule(*options, "--format", "csv", "-o", tmp_path / "found.csv", ok=False)
    said = chainrule(*options, "--json", ok=False)

    assert "gave no whole answer" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert "rows[9000].x: expected a number, got a text" in said.stderr


def test_a_file_to_write_needs_a_format(served: Server, trained: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS["csv"])

    done = chainrule(
        "predict", trained, tmp_path / "rows.csv", "-o", tmp_path / "found", "--server", served.url, ok=False
    )

    assert done.returncode == 2
    assert "--format" in done.stderr


def test_what_users_call_things_is_shown_as_it_is(served: Server, trained: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS["csv"])

    predicted = chainrule("predict", trained, tmp_path / "rows.csv", "--server", served.url).stdout

    assert re.search(r"^0 +\[[ab]\] ", predicted, re.MULTILINE)
    assert "[bold]" in chainrule("show", trained, "--server", served.url).stdout
    assert not re.search(r" $", predicted, re.MULTILINE)


def test_losses_are_a_table_an_epoch_a_line(served: Server, trained: str) -> None:
    shown = chainrule("losses", trained, "--server", served.url).stdout
    chosen = chainrule("losses", trained, "--keys", "train.loss,grad_norm", "--points", 2, "--server", served.url)
    found = json.loads(chainrule("losses", trained, "--server", served.url, "--json").stdout)

    assert [line.split()[0] for line in shown.splitlines()] == ["epoch", "1", "2", "3", "4"]
    assert chosen.stdout.split()[:3] == ["epoch", "train.loss", "grad_norm"]
    assert found == served.client.losses(trained)


def test_inspect_shows_the_norms_of_every_gradient(served: Server, trained: str) -> None:
    options = ["--part", "validation", "--limit", 5, "--server", served.url]

    shown = chainrule("inspect", trained, *options).stdout
    found = json.loads(
        chainrule("inspect", trained, *options, "--quantities", "dW.1", "--reduce", "full", "--json").stdout
    )

    assert re.findall(r"^(d[Wb]\.\d) ", shown, re.MULTILINE) == ["dW.1", "dW.2", "db.1", "db.2"]
    assert "over 5 rows" in shown
    assert list(found["tensors"]) == ["dW.1"]
    assert len(found["tensors"]["dW.1"]["values"]) == 5


def test_inspect_shows_what_is_computed_of_a_pass(served: Server, trained: str) -> None:
    options = ["--limit", 5, "--server", served.url]

    shown = chainrule("inspect", trained, *options, "--quantities", "example_norm.W,norm_test").stdout
    refused = chainrule("inspect", trained, *options, "--reduce", "topk", ok=False).stderr

    assert re.findall(r"^(\S+) +\S*", shown, re.MULTILINE)[-3:] == ["example_norm.W.1", "example_norm.W.2", "norm_test"]
    assert "expected norm or stats, for topk is for --json" in re.sub(r"[\s│]+", " ", refused)


def test_the_client_lists_quantities_and_fetches_them_as_a_file(served: Server, trained: str) -> None:
    names = [entry.name for entry in served.client.quantities()]
    rows = {"part": "train", "limit": 4}

    content = served.client.inspect_file(trained, dataset_rows=rows, quantities=["gram", "dW.1"])

    assert {"dW", "gram"} <= set(names)
    found = np.load(io.BytesIO(content), allow_pickle=False)
    assert {name: found[name].shape[0] for name in found} == {"dW.1": 5, "gram": 4}


def test_evaluate_shows_metrics_classes_and_the_worst_rows(served: Server, penguins: Path) -> None:
    run = train(served, penguins)
    options = ["--part", "validation", "--worst", 3, "--server", served.url]

    shown = chainrule("evaluate", run, *options).stdout
    found = json.loads(chainrule("evaluate", run, *options, "--json").stdout)

    cells = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    assert f"{run}: {found['rows']} validation rows at epoch {found['epoch']}" in shown
    assert {name: float(cells[name][0]) for name in found["metrics"]} == pytest.approx(found["metrics"], abs=1e-4)
    for each in found["targets"][0]["classes"]:
        numbers = [each[name] for name in ("precision", "recall", "f1", "support")]
        assert [float(cell) for cell in cells[each["name"]][:4]] == pytest.approx(numbers, abs=1e-4)
    for each, line in zip(found["worst"], shown.splitlines()[-3:], strict=True):
        row, _, *words = line.split()
        assert int(row) == each["row"]
        assert words[::2] == [each["true"]["label"], each["predicted"]["label"]]


MIXED = "x,z,yes,letter\n" + "".join(f"{i}.5,{i % 7},{i % 2 == 0},{'ab'[i % 3 > 0]}\n" for i in range(60))


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        (["x"], [r"rmse +\d", r"x +min +q05 +q25", r"true − predicted +-?\d", r"\d+ +\d\S+ +\d+\.5 +-?\d"]),
        (
            ["yes", "letter"],
            [r"metric +all +yes +letter", r"yes +precision", r"letter +precision", r"\d+ .*letter: [ab] 0"],
        ),
    ],
    ids=["numbers", "labels"],
)
def test_evaluate_shows_residuals_and_each_of_several_targets(
    served: Server, tmp_path: Path, target: list[str], lines: list[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(MIXED)
    named = [option for name in target for option in ("--target", name)]
    run = json.loads(chainrule("train", path, *named, *QUICK, "--server", served.url, "--json").stdout)["id"]

    shown = chainrule("evaluate", run, "--server", served.url).stdout

    assert [line for line in lines if not re.search(f"^{line}", shown, re.MULTILINE)] == []


def test_a_part_that_can_not_be_evaluated_is_a_sentence(served: Server, trained: str) -> None:
    done = chainrule("evaluate", trained, "--part", "all", "--server", served.url, ok=False)

    assert done.stderr.startswith("chainrule: part: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["npz", "safetensors", "json"])
def test_weights_are_written_to_a_file_or_to_a_pipe(served: Server, trained: str, tmp_path: Path, form: str) -> None:
    command = [sys.executable, "-m", "service.cli", "weights", trained, "--format", form, "--server", served.url]

    piped = subprocess.run(command, capture_output=True, check=True).stdout
    chainrule("weights", trained, "--format", form, "-o", tmp_path / "weights", "--server", served.url)

    assert (tmp_path / "weights").read_bytes() == piped == served.client.weights(trained, format=form)


def test_the_client_pages_through_checkpoints(served: Server, trained: str) -> None:
    training = {"epochs": 3, "checkpoints": {"every": 1}, "early_stopping": None}
    dataset = served.client.run(trained).dataset.id
    run = served.client.wait(served.client.create_run(dataset=dataset, target="label", training=training).id)
    whole = served.client.checkpoints(run.id)

    first = served.client.checkpoints(run.id, limit=1)
    rest = served.client.checkpoints(run.id, cursor=first.next_cursor)

    assert len(whole.items) > 1
    assert [*first.items, *rest.items] == whole.items


def test_a_file_that_can_not_be_written_is_a_sentence(served: Server, trained: str, tmp_path: Path) -> None:
    done = chainrule("weights", trained, "-o", tmp_path / "none" / "w", "--server", served.url, ok=False)

    assert done.stderr == f"chainrule: {tmp_path}/none/w: No such file or directory\n"


def test_a_run_is_forked_and_deleted(served: Server, trained: str) -> None:
    options = ["--epochs", 6, "--learning-rate", 0.01, "--name", "longer", "--server", served.url]

    made = json.loads(chainrule("fork", trained, *options, "--json").stdout)
    shown = chainrule("fork", trained, "--detach", "--server", served.url).stdout
    gone = chainrule("delete", made["id"], "--server", served.url).stdout

    assert (made["status"], made["name"], made["parent"]["run"]) == ("succeeded", "longer", trained)
    assert made["resolved"]["training"]["optimizer"]["learning_rate"] == 0.01
    assert made["epochs"] == 6
    assert "[bold] (fork)" in shown
    assert gone == f"{made['id']}: deleted\n"
    assert "There is no run" in chainrule("show", made["id"], "--server", served.url, ok=False).stderr


def test_options_come_before_a_spec_file_and_keep_the_rest_of_it(
    served: Server, penguins: Path, tmp_path: Path
) -> None:
    momentum = {"type": "sgd", "momentum": 0.8, "learning_rate": 0.5}
    spec = {"training": {"optimizer": momentum, "epochs": 9, "l2": 0.5}, "seed": 3, "network": {"layers": []}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    options = ["--spec", tmp_path / "spec.json", "--learning-rate", 0.01, "--epochs", 2, "--server", served.url]

    run = json.loads(chainrule("train", penguins, "--target", "species", *options, "--json").stdout)
    other = json.loads(
        chainrule("train", penguins, "--target", "species", *options, "--optimizer", "adam", "--json").stdout
    )

    assert run["spec"]["training"] == {"optimizer": momentum | {"learning_rate": 0.01}, "epochs": 2, "l2": 0.5}
    assert (run["seed"], run["spec"]["network"]) == (3, {"layers": []})
    assert other["spec"]["training"]["optimizer"] == {"type": "adam", "learning_rate": 0.01}


@pytest.mark.parametrize(
    ("options", "content", "sentence"),
    [
        (["--hidden", "a,b"], "{}", "expected widths such as 64,32, got 'a,b'"),
        (["--hidden", "8,-1"], "{}", "expected widths such as 64,32, got '8,-1'"),
        (["--activation", "tanh"], "{}", "expected --hidden beside it"),
        ([], '{"dataset": "ds_1"}', "expected no dataset: FILE and --target say what to learn"),
        ([], '{"target": "x", "dataset": "ds_1"}', "expected no dataset or target"),
        ([], "[1]", "expected an object with parts of a run's body"),
        ([], "{", "spec.json: expected JSON, which it is not at line 1, column 2"),
        ([], "epochs: 5\n", "spec.json: expected JSON, which it is not at line 1, column 1"),
        ([], '{"name": "caf\xe9"}', "spec.json: expected text in UTF-8, got the byte 0xe9 at byte 13"),
        ([], '{"training": {"l2": NaN}}', "spec.json: expected finite numbers"),
        ([], '{"training": {"l2": 1e999}}', "spec.json: expected finite numbers"),
        pytest.param([], "[" * 100_000, "spec.json: expected a run's body, got values nested too deep", id="deep"),
        (["--learning-rate", "nan"], "{}", "expected a finite number, got nan"),
        (["--epochs", "2"], '{"training": [1]}', "training: expected an object"),
    ],
)
def test_options_that_can_not_be_are_a_sentence(
    penguins: Path, tmp_path: Path, options: list[str], content: str, sentence: str
) -> None:
    (tmp_path / "spec.json").write_bytes(content.encode("latin-1"))

    done = chainrule("train", penguins, "--target", "species", "--spec", tmp_path / "spec.json", *options, ok=False)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_run_ends_train_and_watch_with_exit_code_1(served: Server, penguins: Path) -> None:
    options = ["--target", "species", "--learning-rate", "1e30", "--epochs", 3, "--server", served.url, "--json"]

    trained = chainrule("train", penguins, *options, ok=False)
    run = json.loads(trained.stdout)["id"]
    watched = chainrule("watch", run, "--server", served.url, ok=False)

    assert (trained.returncode, watched.returncode) == (1, 1)
    assert "failed (diverged" in watched.stdout


def test_what_a_file_makes_doubtful_is_said_beside_the_result(served: Server, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(",y\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))

    done = chainrule("train", tmp_path / "table.csv", "--target", "y", *QUICK, "--server", served.url, "--json")

    assert done.stderr == "warning: column 1 has no name in the header and is called column_1\n"
    assert json.loads(done.stdout)["status"] == "succeeded"


def test_a_run_is_steered_by_command(served: Server, penguins: Path) -> None:
    endless = penguins.with_name("endless.json")
    endless.write_text('{"training": {"epochs": 100000, "early_stopping": null}}')
    options = ["--target", "species", "--spec", endless, "--detach", "--json", "--server", served.url]
    run = json.loads(chainrule("train", penguins, *options).stdout)["id"]

    assert "pause" in chainrule("pause", run, "--server", served.url).stdout
    until(lambda: served.client.run(run).status == "paused", what="the pause")
    assert "queued" in chainrule("resume", run, "--server", served.url).stdout
    chainrule("cancel", run, "--server", served.url)
    until(lambda: served.client.run(run).status == "cancelled", what="the cancel")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "run_none"], "There is no run run_none"),
        (["train", "FILE", "--target", "colour"], "there is no column 'colour'"),
        (["train", "FILE", "--target", "species", "--epochs", "200000"], "epochs"),
    ],
)
def test_what_the_server_refuses_is_a_sentence(
    served: Server, penguins: Path, arguments: list[str], sentence: str
) -> None:
    asked = [str(penguins) if argument == "FILE" else argument for argument in arguments]

    done = chainrule(*asked, "--server", served.url, ok=False)

    assert done.returncode == 1
    assert done.stderr.startswith("chainrule: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_is_a_sentence() -> None:
    done = chainrule("runs", "--server", "http://127.0.0.1:9", ok=False)

    assert "no server answers at http://127.0.0.1:9" in done.stderr


def test_without_a_server_train_starts_one_and_stops_it(tmp_path: Path, penguins: Path) -> None:
    done = chainrule(
        "train", penguins, "--target", "species", *QUICK, "--server", "http://127.0.0.1:9", "--data", tmp_path / "data"
    )

    first, url = done.stdout.splitlines()[0], re.search(r"http://127\.0\.0\.1:\d{2,}", done.stdout.splitlines()[0])
    assert first.startswith("No server answers at http://127.0.0.1:9, so one is started at")
    assert url is not None
    assert "succeeded" in done.stdout
    assert (tmp_path / "data" / "chainrule.sqlite3").exists()


def test_a_server_of_ones_own_knows_the_token_and_stays_on_loopback(tmp_path: Path, penguins: Path) -> None:
    options = ["--target", "species", *QUICK, "--server", "http://127.0.0.1:9", "--data", tmp_path / "data", "--json"]

    done = chainrule("train", penguins, *options, CHAINRULE_TOKEN=TOKEN, CHAINRULE_HOST="0.0.0.0")

    assert json.loads(done.stdout)["status"] == "succeeded"


def test_nothing_can_be_left_to_a_server_that_ends_with_the_command(tmp_path: Path, penguins: Path) -> None:
    options = ["--target", "species", "--detach", "--server", "http://127.0.0.1:9", "--data", tmp_path / "data"]

    done = chainrule("train", penguins, *options, ok=False)

    assert "no server answers at http://127.0.0.1:9 to leave the run to; start one: chainrule serve" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("has_own", [True, False], ids=["its own server", "another server"])
def test_ctrl_c_says_where_the_run_goes_on(served: Server, tmp_path: Path, penguins: Path, has_own: bool) -> None:
    (tmp_path / "endless.json").write_text('{"training": {"epochs": 100000, "early_stopping": null}}')
    options = ["--spec", str(tmp_path / "endless.json"), "--data", str(tmp_path / "data")]
    options += ["--server", "http://127.0.0.1:9" if has_own else served.url]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "service.cli", "train", str(penguins), "--target", "species", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    next(line for line in iter(process.stdout.readline, "") if "epoch" in line)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]

    assert process.returncode == 130
    assert (f"It goes on with: chainrule serve --data {tmp_path / 'data'}" in said) is has_own
    assert ("The run goes on." in said) is not has_own
    with Api(tmp_path / "data") if has_own else nullcontext() as api:
        if api is not None:
            [run] = api.get("/v1/runs").json()["items"]
            assert (run["status"], run["reason"]["code"]) == ("queued", "worker_stopped")
    for each in served.client.runs(status=["running", "queued"]).items:  # it would take a core from all that comes
        served.client.cancel(each.id)


def test_ctrl_c_during_an_upload_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "table.csv").write_bytes(TINY)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "service.cli",
                "train",
                str(tmp_path / "table.csv"),
                "--target",
                "y",
                "--server",
                url,
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        live, _ = silent.accept()
        with live:
            live.recv(1000)
            live.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert b"POST /v1/datasets" in live.recv(1000)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=PATIENCE_SECONDS)[1]

    assert process.returncode == 130
    assert said == "\nStopped during the upload: no run was started.\n"


# Serving -----------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = chainrule("serve", "--port", port, "--data", tmp_path / "data", ok=False)

    assert f"port {port} on 127.0.0.1 can't be used: Address already in use; choose another with --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_in_use_is_a_sentence(served: Server) -> None:
    done = chainrule("serve", "--port", 0, "--data", served.folder, ok=False)

    assert f"is in use by a server with process id {served.process.pid}" in done.stderr


def test_a_folder_of_a_newer_release_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "chainrule.json").write_text('{"format": 99, "id": "folder_1"}')

    done = chainrule("serve", "--port", 0, "--data", tmp_path, ok=False)

    assert "has format 99, which a newer release of Chainrule wrote; this one reads format 1" in done.stderr


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json"])
def test_a_folder_with_a_broken_mark_is_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "chainrule.json").write_text(content)

    done = chainrule("serve", "--port", 0, "--data", tmp_path, ok=False)

    assert "is not readable as the mark of a Chainrule data folder" in done.stderr


def test_a_folder_may_hold_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with server(tmp_path) as found:
        assert found.client.is_live()

    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_killed_servers_folder_is_free_again(tmp_path: Path) -> None:
    with server(tmp_path / "data") as found:
        found.kill()
        found.start()

        assert found.client.is_live()


@pytest.mark.parametrize("settings", [{}, {"CHAINRULE_TOKEN": ""}], ids=["none", "an empty one"])
def test_an_open_address_without_a_token_is_refused(tmp_path: Path, settings: dict[str, str]) -> None:
    done = chainrule("serve", "--host", "0.0.0.0", "--port", 0, "--data", tmp_path, ok=False, **settings)

    assert "0.0.0.0 can be reached from other machines: set CHAINRULE_TOKEN" in done.stderr


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    done = chainrule("serve", "--data", tmp_path, ok=False, CHAINRULE_TOKEN="secret")

    assert "CHAINRULE_TOKEN: " in done.stderr
    assert "at least 16 characters" in done.stderr
    assert "secret" not in done.stderr


def test_a_setting_that_can_not_be_is_a_sentence(tmp_path: Path) -> None:
    done = chainrule("serve", "--data", tmp_path, ok=False, CHAINRULE_WORKERS="many")

    assert "chainrule: CHAINRULE_WORKERS: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("CHAINRULE_LIMIT_EPOCH", "CHAINRULE_LIMIT_EPOCHS"), ("CHAINRULE_WORKER", "CHAINRULE_WORKERS")],
)
def test_a_setting_that_is_not_there_is_a_sentence(tmp_path: Path, name: str, nearest: str) -> None:
    done = chainrule("serve", "--data", tmp_path / "data", ok=False, **{name: "5"})

    assert done.returncode == 1
    assert done.stderr == f"chainrule: {name}: there is no such setting; the nearest is {nearest}\n"


def test_a_file_for_a_data_folder_is_a_sentence(penguins: Path) -> None:
    done = chainrule("serve", "--data", penguins, "--port", 0, ok=False)

    assert done.stderr == f"chainrule: {penguins} is a file: name a folder for the data, which may be a new one\n"


def test_logs_go_to_stderr_as_json_where_asked(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_LOG_JSON="true") as found:
        assert found.client.is_live()

    lines = [json.loads(line) for line in (tmp_path / "data.log").read_text().splitlines()]
    assert {"at", "level", "logger", "message"} <= set(lines[0])
    assert any("Chainrule answers at" in line["message"] for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with server(tmp_path / "data") as found:
        found.process.send_signal(number)

        assert found.process.wait(PATIENCE_SECONDS) == 0


def test_a_token_is_asked_for_and_given(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_TOKEN=TOKEN) as found:
        refused = chainrule("runs", "--server", found.url, ok=False)
        listed = chainrule("runs", "--server", found.url, "--json", CHAINRULE_TOKEN=TOKEN)

    assert "Authorization" in refused.stderr
    assert json.loads(listed.stdout) == []


def test_a_database_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    done = chainrule("serve", "--data", tmp_path / "data", ok=False, CHAINRULE_DATABASE_URL="mysql://host/name")

    assert done.returncode == 1
    assert done.stderr.startswith("chainrule: CHAINRULE_DATABASE_URL: expected sqlite:")
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_a_sentence_and_what_was_accepted_stays(tmp_path: Path) -> None:
    with server(tmp_path / "data", "--workers", "0") as found:
        kept = found.client.upload_bytes(TINY, name="kept")
        limit = 64 * 1024
        subprocess.run(["prlimit", "--pid", str(found.process.pid), f"--fsize={limit}"], check=True)
        big = write(tmp_path / "big.csv", limit)
        refused = chainrule("train", big, "--target", "y", "--server", found.url, ok=False)

        assert "disk" in refused.stderr
        assert found.client.dataset(kept.id).rows == 40


def write(path: Path, size: int) -> Path:
    path.write_text("x,y\n" + "1,2\n3,4\n" * (size // 4))
    return path


# Keeping -----------------------------------------------------------------------------------------------------------


def test_a_backup_of_a_working_server_restores_to_the_same_runs(served: Server, penguins: Path, tmp_path: Path) -> None:
    run = train(served, penguins)

    chainrule("backup", tmp_path / "backup", "--data", served.folder)
    chainrule("restore", tmp_path / "backup", "--data", tmp_path / "restored")

    with server(tmp_path / "restored") as found:
        again = found.client.run(run)
        assert again.weights_digest == served.client.run(run).weights_digest
        assert found.client.weights(run) == served.client.weights(run)
        assert found.client.inspect(run, dataset_rows={"part": "train"}).loss is not None


def test_a_damaged_backup_is_not_restored(served: Server, penguins: Path, tmp_path: Path) -> None:
    train(served, penguins)
    chainrule("backup", tmp_path / "backup", "--data", served.folder)
    dataset = next((tmp_path / "backup" / "datasets").iterdir())
    dataset.write_bytes(dataset.read_bytes()[:-1] + b"x")

    done = chainrule("restore", tmp_path / "backup", "--data", tmp_path / "restored", ok=False)

    assert "is not what was backed up: expected SHA-256" in done.stderr
    assert not (tmp_path / "restored").exists()


def test_a_backup_takes_the_database_from_where_it_is(tmp_path: Path, penguins: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"
    with server(tmp_path / "data", CHAINRULE_DATABASE_URL=url) as found:
        run = train(found, penguins)
        chainrule("backup", tmp_path / "backup", "--data", found.folder, CHAINRULE_DATABASE_URL=url)
    chainrule("restore", tmp_path / "backup", "--data", tmp_path / "restored")

    with server(tmp_path / "restored") as found:
        assert found.client.run(run).status == "succeeded"


def test_a_backup_of_nothing_is_a_sentence(tmp_path: Path) -> None:
    done = chainrule("backup", tmp_path / "backup", "--data", tmp_path / "none", ok=False)

    assert done.stderr == f"chainrule: {tmp_path}/none/chainrule.json is not there: nothing to back up\n"
    assert not (tmp_path / "backup").exists()


def test_a_dataset_deleted_during_a_backup_is_left_out(tmp_path: Path) -> None:
    with Api(tmp_path / "data") as api:
        kept, gone = api.upload(TINY), api.upload(TINY + b"1,2,odd\n")
    (tmp_path / "data" / "chainrule.json").write_text('{"format": 1, "id": "folder_1"}')
    (tmp_path / "data" / "datasets" / f"{gone}.arrow").unlink()

    done = chainrule("backup", tmp_path / "backup", "--data", tmp_path / "data")
    chainrule("restore", tmp_path / "backup", "--data", tmp_path / "restored")

    assert f"warning: dataset {gone} is left out" in done.stderr
    assert [path.stem for path in (tmp_path / "restored" / "datasets").iterdir()] == [kept]


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_folder_with_something_in_it_is_never_written_over(served: Server, tmp_path: Path, command: str) -> None:
    chainrule("backup", tmp_path / "backup", "--data", served.folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")

    done = (
        chainrule("backup", tmp_path / "mine", "--data", served.folder, ok=False)
        if command == "backup"
        else chainrule("restore", tmp_path / "backup", "--data", tmp_path / "mine", ok=False)
    )

    assert "is not empty" in done.stderr


# The demonstration -------------------------------------------------------------------------------------------------


def test_the_demo_shows_the_whole_job_and_ends(tmp_path: Path) -> None:
    shown = chainrule("demo", "--once", "--data", tmp_path / "data").stdout

    accuracies = [float(found) for found in re.findall(r"test accuracy (\d\.\d+)", shown)]
    assert len(accuracies) == 2
    assert accuracies[0] >= 0.95
    assert accuracies[1] >= 0.96
    assert "Gentoo: " in shown
    assert "mismatch" not in shown
    assert len(re.findall(r"[Wb]\.\d\[.*  ok *$", shown, re.MULTILINE)) >= 5


def test_the_demo_knows_the_token(tmp_path: Path) -> None:
    shown = chainrule("demo", "--once", "--data", tmp_path / "data", CHAINRULE_TOKEN=TOKEN).stdout

    assert "Gentoo: " in shown


def test_a_demo_that_is_ended_takes_its_server_with_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "service.cli", "demo", "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    url = re.search(r"http://127\.0\.0\.1:\d+", next(lines))
    shown = "".join(iter(lambda: next(lines), "Ctrl-C stops it.\n"))
    process.terminate()
    process.stdout.close()

    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
    assert url is not None
    assert re.findall(r"curl (.)http.*(.)", shown) == [("'", "'")] * 2  # a shell leaves what is quoted as it is
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url[0].rpartition(":")[2])))


def test_how_a_file_is_read_can_be_said(served: Server, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    lines = [
        f"{place:05d}#{place},5#{'?' if place % 9 == 0 else place % 7}#{'höher' if place > 40 else 'tief'}\n"
        for place in range(80)
    ]
    path.write_bytes("".join(lines).encode("iso-8859-15"))
    said = ["--delimiter", "#", "--encoding", "iso-8859-15", "--no-header", "--decimal", ",", "--na", "?"]

    done = chainrule(
        "train",
        path,
        "--target",
        "column_4",
        *said,
        "--type",
        "column_1=text",
        *QUICK,
        "--server",
        served.url,
        "--json",
    )

    run = json.loads(done.stdout)
    dataset = served.client.dataset(run["dataset"]["id"])
    found = {name: dataset.format[name] for name in ("delimiter", "encoding", "header", "decimal")}
    assert found == {"delimiter": "#", "encoding": "iso-8859-15", "header": False, "decimal": ","}
    assert {column.name: (column.type, column.missing) for column in dataset.columns} == {
        "column_1": ("text", 0), "column_2": ("number", 0), "column_3": ("integer", 9), "column_4": ("text", 0),
    }  # fmt: skip
    answered = chainrule("predict", run["id"], path, *said, "--server", served.url, "--json")
    assert {row["label"] for row in json.loads(answered.stdout)["predictions"]} <= {"höher", "tief"}
    wrong = chainrule("train", path, "--target", "column_4", "--type", "zip", "--server", served.url, ok=False)
    assert "expected COLUMN=TYPE, got 'zip'" in wrong.stderr
