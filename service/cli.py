"""The command line. Heavy modules are imported by the commands that need them."""

import errno
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service import looking
from service.options import (
    AsJson,
    At,
    Blanks,
    Data,
    Decimal,
    Delimiter,
    Encoding,
    Header,
    Run,
    Server,
    Types,
    client_of,
    reading,
)

if TYPE_CHECKING:
    from service.client import Client
    from service.schemas.datasets import DatasetBody
    from service.schemas.runs import RunBody
    from service.settings import Settings

app = typer.Typer(
    help="Train neural networks over HTTP, and see every gradient.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _finite(number: float | None) -> float | None:
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"expected a finite number, got {number}")
    return number


PredictionFormat = Literal["csv", "json", "ndjson", "arrow", "npy"]
LearningRate = Annotated[float | None, typer.Option(callback=_finite)]


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from engine import __version__

        typer.echo(f"chainrule {__version__}")
        raise typer.Exit


app.add_typer(looking.app)


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What stands before a command."""


# Serving -----------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="[default: 8000]")] = None,
    data: Data = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Runs at once. [default: one per core]")] = None,
    open_pages: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log only warnings and errors.")] = False,
) -> None:
    """Serve the API, with workers that train."""
    settings = _settings(host=host, port=port, data=data, workers=workers, log_level="warning" if quiet else None)
    _prepare_process(settings)
    from service.server import serve as run_server

    def ready(address: str) -> None:
        if open_pages:
            import webbrowser

            webbrowser.open(address)

    run_server(settings, ready=ready)


@app.command()
def worker(
    data: Data = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once. [default: one per core]")] = None,
) -> None:
    """Train runs of a server whose database and data folder this machine reaches."""
    settings = _settings(data=data, workers=workers)
    _prepare_process(settings)
    from service.worker.alone import work_alone

    work_alone(settings)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop when all has been shown.")] = False,
    data: Annotated[Path | None, typer.Option(help="Keep the demo's data here. [default: a temporary folder]")] = None,
) -> None:
    """Train on two real tables, predict, and look at gradients; then leave the server running."""
    from service.demo import demonstrate

    demonstrate(data, once=once)


# Training ----------------------------------------------------------------------------------------------------------


@app.command()
def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A table in any format.")],
    target: Annotated[list[str], typer.Option(help="The column to predict; again for several.")],
    features: Annotated[list[str] | None, typer.Option(help="A column to learn from; all others if left out.")] = None,
    task: Annotated[str | None, typer.Option(help="classification or regression. [default: by the target]")] = None,
    hidden: Annotated[str | None, typer.Option(help="Widths of the hidden layers, such as 64,32.")] = None,
    activation: Annotated[str | None, typer.Option(help="Of the layers --hidden makes. [default: relu]")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: LearningRate = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, sgd, adamw, …: see /v1/layers.")] = None,
    validation: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share of rows that validate. [default: by the rows]")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A JSON file with more of the run's body; options come before it."
        ),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = None,
    decimal: Decimal = None,
    na: Blanks = None,
    types: Types = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the run to the server, and do not wait.")] = False,
    server: Server = None,
    data: Data = None,
    json_output: AsJson = False,
) -> None:
    """Upload a table, train on it, and show the losses as they fall. Starts a server where none answers."""
    from contextlib import ExitStack

    from service import console
    from service.client import Unreachable
    from service.embedded import server as own_server

    body = _spec_file(spec) | _given(features=features, task=task, seed=seed, name=name)
    layers = _hidden_layers(hidden, activation)
    _merge(body, "network", _given(layers=layers))
    _merge(body, "training", _given(epochs=epochs, batch_size=batch_size))
    _merge(body, "split", _given(validation=validation))
    if optimizer is not None or learning_rate is not None:
        before = (body.get("training") or {}).get("optimizer")
        _merge(body, "training", {"optimizer": _optimizer(before, optimizer, learning_rate)})
    own = None
    with ExitStack() as stack:
        client = stack.enter_context(client_of(server))
        if not client.is_live():
            if detach:
                raise Unreachable(f"no server answers at {client.url} to leave the run to; start one: chainrule serve")
            own = _settings(data=data).data
            absent, client = client.url, stack.enter_context(own_server(own))
            if not json_output:
                console.out.print(f"No server answers at {absent}, so one is started at {client.url} on {own}.")
        dataset = _uploaded(client, file, reading(delimiter, encoding, header, decimal, na, types))
        console.warn(dataset.warnings)
        run = client.create_run(dataset=dataset.id, target=target[0] if len(target) == 1 else target, **body)
        _show_to_its_end(client, run, detach=detach, json_output=json_output, own=own)


@app.command()
def fork(
    run: Run,
    at: At = "last",
    epochs: Annotated[int | None, typer.Option(min=1, help="In all, those before the checkpoint included.")] = None,
    learning_rate: LearningRate = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    name: Annotated[str | None, typer.Option(help="What to call the new run.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the run to the server, and do not wait.")] = False,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Start a new run that goes on from a checkpoint of this one; without changes, to the same bits."""
    with client_of(server) as client:
        training = _given(epochs=epochs)
        if learning_rate is not None:
            before = client.run(run).resolved.training.optimizer.model_dump()
            training["optimizer"] = _optimizer(before, None, learning_rate)
        made = client.fork(run, at=at, training=training, **_given(seed=seed, name=name))
        _show_to_its_end(client, made, detach=detach, json_output=json_output)


# Looking -----------------------------------------------------------------------------------------------------------


@app.command()
def runs(
    status: Annotated[list[str] | None, typer.Option(help="Only in this status; again for several.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """List runs, newest first."""
    from service import console

    with client_of(server) as client:
        page = client.runs(status=status or (), tag=tag or (), limit=limit)
    console.as_json(list(page.items)) if json_output else console.runs(page.items)


@app.command()
def datasets(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """List datasets, newest first."""
    from service import console

    with client_of(server) as client:
        page = client.datasets(limit=limit)
    console.as_json(list(page.items)) if json_output else console.datasets(page.items)


@app.command()
def show(run: Run, server: Server = None, json_output: AsJson = False) -> None:
    """Show a run."""
    from service import console

    with client_of(server) as client:
        found = client.run(run)
    console.as_json(found) if json_output else console.run(found)


@app.command()
def watch(run: Run, server: Server = None) -> None:
    """Follow a run to its end."""
    with client_of(server) as client:
        _show_to_its_end(client, client.run(run))


@app.command()
def losses(
    run: Run,
    keys: Annotated[str | None, typer.Option(help="Which series, such as train.loss,grad_norm. [default: all]")] = None,
    points: Annotated[int | None, typer.Option(min=2, help="About so many epochs, extremes among them.")] = None,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show a run's losses and metrics, epoch by epoch."""
    from service import console

    with client_of(server) as client:
        columns = client.losses(run, keys=_listed(keys), points=points)
    console.as_json(columns) if json_output else console.losses(columns)


@app.command()
def predict(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Rows in any format.")],
    at: At = "best",
    format: Annotated[
        PredictionFormat | None, typer.Option("--format", help="Write this. [default: a table to read]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file. [default: standard output]")
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    header: Header = None,
    decimal: Decimal = None,
    na: Blanks = None,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Predict the rows of a file."""
    from service import console

    said = reading(delimiter, encoding, header, decimal, na)
    if output is not None and format is None:
        raise typer.BadParameter("expected --format, which says what to write", param_hint="--output")
    with client_of(server) as client:
        if format is not None:
            _write(client.predict_stream(run, file, format=format, checkpoint=at, **said), output)
            return
        answer = client.predict_file(run, file, checkpoint=at, **said)
    console.as_json(answer) if json_output else console.predictions(answer)


def _write(blocks: Iterable[bytes], output: Path | None) -> None:
    """Write bytes as they come: to a file that is there once it is whole, or to standard output."""
    if output is None:
        for block in blocks:
            sys.stdout.buffer.write(block)
        return
    partial = output.with_name(f"{output.name}.part")
    try:
        with partial.open("wb") as file:
            file.writelines(blocks)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@app.command()
def evaluate(
    run: Run,
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    worst: Annotated[int, typer.Option(min=0, max=1000, help="So many rows with the largest losses.")] = 10,
    at: At = "best",
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show how good a run's network is on a part of its dataset: metrics, classes, the worst rows."""
    from service import console

    with client_of(server) as client:
        found = client.evaluation(run, part=part, checkpoint=at, worst=worst)
    console.as_json(found) if json_output else console.evaluation(found)


@app.command()
def inspect(
    run: Run,
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    limit: Annotated[int, typer.Option(min=1, help="So many rows of the part.")] = 32,
    quantities: Annotated[
        str, typer.Option(help="Such as Z, dW or example_norm, of /v1/inspection/quantities; dW.1 is one layer's.")
    ] = "dW,db",
    reduce: Annotated[str, typer.Option(help="norm or stats; hist, topk, slice and full for --json.")] = "norm",
    at: At = "best",
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Run rows of the dataset forward and back through a run's network, and show its gradients."""
    from service import console

    if reduce not in ("norm", "stats") and not json_output:
        raise typer.BadParameter(f"expected norm or stats, for {reduce} is for --json", param_hint="--reduce")
    with client_of(server) as client:
        rows = {"part": part, "limit": limit}
        found = client.inspect(run, at=at, dataset_rows=rows, quantities=_listed(quantities), reduce=reduce)
    console.as_json(found) if json_output else console.inspection(found)


@app.command()
def weights(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file. [default: standard output]")
    ] = None,
    format: Annotated[str, typer.Option("--format", help="safetensors, npz or json.")] = "safetensors",
    at: Annotated[str, typer.Option("--at", "--checkpoint", help="best, last or checkpoint:ckpt_…")] = "best",
    server: Server = None,
) -> None:
    """Write W and b of every layer to a file."""
    from service import console

    if output is None and format != "json" and sys.stdout.isatty():
        raise typer.BadParameter(f"expected a file, for {format} is nothing to read", param_hint="--output")
    with client_of(server) as client:
        content = client.weights(run, checkpoint=at.removeprefix("checkpoint:"), format=format)
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)
        console.out.print(f"{output}: {len(content):,} bytes")


# Steering ----------------------------------------------------------------------------------------------------------


@app.command()
def cancel(run: Run, server: Server = None) -> None:
    """Stop a run."""
    _steer("cancel", run, server)


@app.command()
def pause(run: Run, server: Server = None) -> None:
    """Let a run wait, with its state stored."""
    _steer("pause", run, server)


@app.command()
def resume(run: Run, server: Server = None) -> None:
    """Let a paused run go on."""
    _steer("resume", run, server)


@app.command()
def delete(run: Run, server: Server = None) -> None:
    """Delete a finished run with its losses, events and checkpoints."""
    from service import console

    with client_of(server) as client:
        client.delete_run(run)
    console.out.print(f"{run}: deleted")


# Keeping -----------------------------------------------------------------------------------------------------------


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    data: Data = None,
) -> None:
    """Copy the database and the datasets, also while a server works on them."""
    from service import console
    from service.backup import back_up

    settings = _settings(data=data)
    made = back_up(settings.data, settings.database, target)
    console.warn(f"dataset {each} is left out: its file was gone when its turn came" for each in made.left_out)
    console.out.print(f"Backed up {settings.data} to {target}: {made.size:,} bytes.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="A backup's folder.")],
    data: Data = None,
) -> None:
    """Copy a backup into a new data folder, every hash checked."""
    from service import console
    from service.backup import restore as restore_from

    settings = _settings(data=data)
    size = restore_from(source, settings.data)
    console.out.print(f"Restored {source} to {settings.data}: {size:,} bytes.")
    if settings.database_url is not None:
        console.warn(["CHAINRULE_DATABASE_URL is set; a server uses the restored database only without it"])


# Inside ------------------------------------------------------------------------------------------------------------


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _settings(**options: Any) -> "Settings":
    from service.settings import settings_of

    return settings_of(**_given(**options))


def _prepare_process(settings: "Settings") -> None:
    """Before NumPy and pyarrow are loaded: how they work; then the log."""
    from service.processes import set_up_libraries

    set_up_libraries(threads=settings.worker_threads)
    from service import logs

    logs.configure(settings)


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def _spec_file(path: Path | None) -> dict[str, Any]:
    """What a spec file holds: a run's body but for what the command says itself."""
    if path is None:
        return {}
    import json

    def refused(why: str) -> typer.BadParameter:
        return typer.BadParameter(f"{path}: expected {why}", param_hint="--spec")

    try:
        body = json.loads(path.read_bytes())
        json.dumps(body, allow_nan=False)
    except UnicodeDecodeError as error:
        raise refused(f"text in UTF-8, got the byte 0x{error.object[error.start]:02x} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise refused(f"JSON, which it is not at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:
        raise refused("finite numbers") from error
    except RecursionError as error:
        raise refused("a run's body, got values nested too deep") from error
    if not isinstance(body, dict):
        raise refused("an object with parts of a run's body")
    if taken := [name for name in ("dataset", "target", "key") if name in body]:
        raise refused(f"no {' or '.join(taken)}: FILE and --target say what to learn")
    return body


def _merge(body: dict[str, Any], part: str, options: dict[str, Any]) -> None:
    """Put options over what a spec file says of this part."""
    if not options:
        return
    before = body.get(part) or {}
    if not isinstance(before, dict):
        raise typer.BadParameter(f"{part}: expected an object", param_hint="--spec")
    body[part] = before | options


def _optimizer(before: Any, name: str | None, learning_rate: float | None) -> dict[str, Any]:
    """An optimizer's fields with options over them; those of another optimizer are left behind."""
    fields = {"type": before} if isinstance(before, str) else dict(before or {"type": "adam"})
    if name is not None and name != fields.get("type"):
        fields = {"type": name}
    return fields | _given(learning_rate=learning_rate)


def _hidden_layers(widths: str | None, activation: str | None) -> list[dict[str, Any]] | None:
    if widths is None:
        if activation is not None:
            raise typer.BadParameter("expected --hidden beside it", param_hint="--activation")
        return None
    if not all(width.isdecimal() and int(width) for width in _listed(widths)):
        raise typer.BadParameter(f"expected widths such as 64,32, got {widths!r}", param_hint="--hidden")
    return [{"type": "dense", "units": int(width), "activation": activation or "relu"} for width in _listed(widths)]


def _uploaded(client: "Client", file: Path, options: dict[str, Any]) -> "DatasetBody":
    """A table's dataset. Ctrl-C meanwhile ends the command with a sentence."""
    from service import console

    try:
        return client.upload(file, **options)
    except KeyboardInterrupt:
        console.say("\nStopped during the upload: no run was started.")
        raise typer.Exit(130) from None


def _show_to_its_end(
    client: "Client",
    run: "RunBody",
    *,
    detach: bool = False,
    json_output: bool = False,
    own: Path | None = None,
) -> None:
    """Follow a run, then show it; exit code 1 if it failed. `own` is the folder of a server that ends with us."""
    from service import console

    if not detach:
        try:
            run = client.wait(run.id) if json_output else console.follow(client, run)
        except KeyboardInterrupt:
            console.say(
                f"\nThe run goes on. See it again with: chainrule watch {run.id}"
                if own is None
                else f"\nIts server stops and stores the run's state. It goes on with: chainrule serve --data {own}"
            )
            raise typer.Exit(130) from None
    console.as_json(run) if json_output else console.run(run)
    if run.status == "failed":
        raise typer.Exit(1)


def _steer(action: str, run: str, server: str | None) -> None:
    from service import console

    with client_of(server) as client:
        found = getattr(client, action)(run)
    wish = f", asked to {action}" if found.status == "running" and action != "resume" else ""
    console.out.print(f"{found.id}: {found.status}{wish}")


def _sentence(error: BaseException) -> str | None:
    """What a foreseen failure is in one sentence; None for one that nobody foresaw."""
    if type(error).__name__ in FORESEEN:
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full: nothing more was kept, and what was accepted before stays"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


FORESEEN = frozenset(
    {
        "ProblemError",
        "Unreachable",
        "CouldNotStart",
        "CannotServe",
        "FolderUnusable",
        "DatabaseTooNew",
        "DatabaseUnusable",
        "BackupFailed",
        "BadSettings",
    }
)
"""Errors whose text is a sentence for the user; by name, so that no command loads the modules of another."""


def main() -> None:
    """Run a command; every foreseen failure is one sentence on stderr and exit code 1."""
    try:
        app()
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        sys.stderr.write(f"chainrule: {sentence}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
