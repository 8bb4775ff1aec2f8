"""What several commands of the command line have in common: their options, and the server they ask."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.client import Client

Server = Annotated[
    str | None,
    typer.Option("--server", envvar="CHAINRULE_URL", help="The server's address. [default: port 8000 of this machine]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder. [default: ./chainrule-data]")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")]
At = Annotated[str, typer.Option("--at", "--checkpoint", help="best, last, epoch:3 or checkpoint:ckpt_…")]


def client_of(server: str | None) -> "Client":
    """A client of the server a command names, of the one here where it names none."""
    from service.client import DEFAULT_URL, Client

    return Client(server or DEFAULT_URL, token=os.environ.get("CHAINRULE_TOKEN"))
