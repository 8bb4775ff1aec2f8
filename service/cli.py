"""The command line. Heavy modules are imported by the commands that need them."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Train neural networks over HTTP, and see every gradient.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Server = Annotated[
    str, typer.Option("--server", envvar="CHAINRULE_URL", help="The server's address.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder. [default: ./chainrule-data]")]
DEFAULT_SERVER = "http://127.0.0.1:8000"


# Serving -----------------------------------------------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="[default: 8000]")] = None,
    data: Data = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Runs at once. [default: one per core]")] = None,
    open_docs: Annotated[bool, typer.Option("--open", help="Open the API's documentation in a browser.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Log only warnings and errors.")] = False,
) -> None:
    """Serve the API, with workers that train."""
    settings = _settings(host=host, port=port, data=data, workers=workers, log_level="warning" if quiet else None)
    _prepare_process(settings)
    from service.server import serve as run_server

    def ready(address: str) -> None:
        if open_docs:
            import webbrowser

            webbrowser.open(f"{address}/docs")

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
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV or JSON table.")],
    target: Annotated[list[str], typer.Option(help="The column to predict; again for several.")],
    features: Annotated[list[str] | None, typer.Option(help="A column to learn from; all others if left out.")] = None,
    task: Annotated[str | None, typer.Option(help="classification or regression. [default: by the target]")] = None,
    hidden: Annotated[str | None, typer.Option(help="Widths of the hidden layers, such as 64,32.")] = None,
    activation: Annotated[str, typer.Option(help="Of the hidden layers.")] = "relu",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam or sgd.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    name: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
    spec: Annotated[Path | None, typer.Option(exists=True, help="A JSON file with the rest of the run's body.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    server: Server = DEFAULT_SERVER,
    data: Data = None,
    json_output: AsJson = False,
) -> None:
    """Upload a table, train on it, and show the losses as they fall. Starts a server where none answers."""
    import json
    from contextlib import ExitStack

    from service import console
    from service.client import Client
    from service.embedded import server as own_server

    body: dict[str, Any] = json.loads(spec.read_text()) if spec else {}
    body |= _given(features=features, task=task, seed=seed, name=name)
    body["training"] = {**body.get("training", {}), **_given(epochs=epochs, batch_size=batch_size)}
    if optimizer or learning_rate is not None:
        body["training"]["optimizer"] = {"type": optimizer or "adam", **_given(learning_rate=learning_rate)}
    if hidden is not None:
        widths = [int(width) for width in hidden.split(",") if width.strip()]
        layers = [{"type": "dense", "units": width, "activation": activation} for width in widths]
        body["network"] = {**body.get("network", {}), "layers": layers}
    with ExitStack() as stack:
        client = stack.enter_context(_client(server))
        if not client.is_live():
            folder = _settings(data=data).data
            url = stack.enter_context(own_server(folder))
            client = stack.enter_context(Client(url))
            if not json_output:
                console.out.print(f"No server answers at {server}, so one is started at {url} on {folder}.")
        dataset = client.upload(file)
        run = client.create_run(dataset=dataset.id, target=target[0] if len(target) == 1 else target, **body)
        if not detach:
            run = _followed(client, run, quiet=json_output)
        console.as_json(run) if json_output else console.run(run)
    if run.status == "failed":
        raise typer.Exit(1)


# Looking -----------------------------------------------------------------------------------------------------------


@app.command()
def runs(
    status: Annotated[list[str] | None, typer.Option(help="Only in this status; again for several.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    server: Server = DEFAULT_SERVER,
    json_output: AsJson = False,
) -> None:
    """List runs, newest first."""
    from service import console

    with _client(server) as client:
        page = client.runs(status=status or (), tag=tag or (), limit=limit)
    console.as_json(list(page.items)) if json_output else console.runs(page.items)


@app.command()
def datasets(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    server: Server = DEFAULT_SERVER,
    json_output: AsJson = False,
) -> None:
    """List datasets, newest first."""
    from service import console

    with _client(server) as client:
        page = client.datasets(limit=limit)
    console.as_json(list(page.items)) if json_output else console.datasets(page.items)


@app.command()
def show(run: str, server: Server = DEFAULT_SERVER, json_output: AsJson = False) -> None:
    """Show a run."""
    from service import console

    with _client(server) as client:
        found = client.run(run)
    console.as_json(found) if json_output else console.run(found)


@app.command()
def watch(run: str, server: Server = DEFAULT_SERVER) -> None:
    """Follow a run to its end."""
    from service import console

    with _client(server) as client:
        console.run(_followed(client, client.run(run)))


@app.command()
def predict(
    run: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Rows as CSV, or as a JSON list.")],
    checkpoint: Annotated[str, typer.Option(help="best, last, epoch:3 or checkpoint:ckpt_…")] = "best",
    server: Server = DEFAULT_SERVER,
    json_output: AsJson = False,
) -> None:
    """Predict the rows of a file."""
    from service import console
    from service.rows import rows_in

    with _client(server) as client:
        text_columns = {each["name"] for each in client.run(run).preprocessing["features"] if each["type"] == "text"}
        answer = client.predict(run, rows_in(file, text_columns), checkpoint=checkpoint)
    console.as_json(answer) if json_output else console.predictions(answer)


# Steering ----------------------------------------------------------------------------------------------------------


@app.command()
def cancel(run: str, server: Server = DEFAULT_SERVER) -> None:
    """Stop a run."""
    _steer("cancel", run, server)


@app.command()
def pause(run: str, server: Server = DEFAULT_SERVER) -> None:
    """Let a run wait, with its state stored."""
    _steer("pause", run, server)


@app.command()
def resume(run: str, server: Server = DEFAULT_SERVER) -> None:
    """Let a paused run go on."""
    _steer("resume", run, server)


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


def _settings(**options: Any) -> Any:
    from service.settings import settings_of

    return settings_of(**_given(**options))


def _prepare_process(settings: Any) -> None:
    """Before NumPy is loaded: its threads; then the log."""
    from service.processes import set_threads

    set_threads(settings.worker_threads)
    from service import logs

    logs.configure(settings)


def _client(server: str) -> Any:
    from service.client import Client

    return Client(server, token=os.environ.get("CHAINRULE_TOKEN"))


def _followed(client: Any, run: Any, *, quiet: bool = False) -> Any:
    """Wait for a run's end; Ctrl-C leaves it running."""
    from service import console

    try:
        return client.wait(run.id) if quiet else console.follow(client, run)
    except KeyboardInterrupt:
        console.out.print(f"\nThe run goes on. See it again with: chainrule watch {run.id}")
        raise typer.Exit(130) from None


def _steer(action: str, run: str, server: str) -> None:
    from service import console

    with _client(server) as client:
        found = getattr(client, action)(run)
    wish = f", asked to {action}" if found.status == "running" and action != "resume" else ""
    console.out.print(f"{found.id}: {found.status}{wish}")


def _sentence(error: BaseException) -> str | None:
    """What a foreseen failure is in one sentence; None for one that nobody foresaw."""
    if type(error).__name__ in FORESEEN:
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "the disk is full: nothing more was kept, and what was accepted before stays"
    if isinstance(error, ValueError):
        return str(error)
    return None


FORESEEN = frozenset(
    {
        "ProblemError",
        "Unreachable",
        "CouldNotStart",
        "CannotServe",
        "FolderUnusable",
        "DatabaseTooNew",
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
