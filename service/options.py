"""What several commands of the command line have in common: their options, and the server they ask."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

# How a file is to be read; what is not said is found out.
Delimiter = Annotated[str | None, typer.Option(help="What separates a CSV file's cells.")]
Encoding = Annotated[str | None, typer.Option(help="A CSV file's encoding, such as windows-1252.")]
Header = Annotated[bool | None, typer.Option("--header/--no-header", help="Whether its first row names the columns.")]
Decimal = Annotated[str | None, typer.Option(help="What stands before decimals: . or ,")]
Blanks = Annotated[list[str] | None, typer.Option("--na", help="A further spelling of a blank; again for several.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="COLUMN=TYPE", help="A column's type, such as zip=text.")
]


def reading(
    delimiter: str | None,
    encoding: str | None,
    header: bool | None,
    decimal: str | None,
    na: list[str] | None,
    types: list[str] | None = None,
) -> dict[str, Any]:
    """What was said of how a file is to be read, as a client takes it."""
    pairs = [each.rpartition("=") for each in types or ()]
    if wrong := [f"{name}{sign}{kind}" for name, sign, kind in pairs if not (name and kind)]:
        raise typer.BadParameter(f"expected COLUMN=TYPE, got {wrong[0]!r}", param_hint="--type")
    said = {
        "delimiter": delimiter,
        "encoding": encoding,
        "header": header,
        "decimal": decimal,
        "na": na,
        "types": {name: kind for name, _, kind in pairs} or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def client_of(server: str | None) -> "Client":
    """A client of the server a command names, of the one here where it names none."""
    from service.client import DEFAULT_URL, Client

    return Client(server or DEFAULT_URL, token=os.environ.get("CHAINRULE_TOKEN"))
