"""Commands that look into a run: any of its steps, numbers over its steps, one number explained, and which rows."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.options import AsJson, At, Run, Server, client_of

app = typer.Typer()

StepName = Annotated[str, typer.Argument(metavar="STEP", help="Its number, first, last, best or epoch:3.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", dir_okay=False, help="A file. [default: the terminal]")]
Rows = Annotated[str | None, typer.Option(help="Rows of the dataset, as 17,4. [default: the first 8 for training]")]
By = Literal["loss", "gradient_norm", "self_influence", "suspicion"]
Part = Annotated[Literal["train", "validation", "test"], typer.Option(help="Of the run's split.")]
Document = Literal["markdown", "latex", "html", "json"]


@app.command()
def step(run: Run, step: StepName = "last", server: Server = None, json_output: AsJson = False) -> None:
    """Show a step of the training, computed again: its loss, its gradients, and what it changed."""
    from service import console

    with client_of(server) as client:
        found = client.step(run, step)
    console.as_json(found) if json_output else console.step(found)


@app.command()
def evidence(
    run: Run,
    output: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The zip to write.")],
    step: StepName = "last",
    server: Server = None,
) -> None:
    """Write a step as a zip with a script of NumPy alone that recomputes and compares every value."""
    from service import console

    with client_of(server) as client:
        content = client.evidence(run, step)
    output.write_bytes(content)
    console.out.print(f"{output}: {len(content):,} bytes; unpack it, and run python verify_step.py step.npz")


@app.command()
def timeline(
    run: Run,
    quantities: Annotated[
        list[str] | None,
        typer.Argument(help="Such as loss, dW.1.norm, 'dW.*.norm', 'A.1[:,7].zero_share', update_ratio.W.1."),
    ] = None,
    points: Annotated[int, typer.Option(min=1, help="At most so many steps.")] = 20,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show any numbers of a run over its steps, though nobody logged them."""
    from service import console

    with client_of(server) as client:
        found = client.timeline(run, *(quantities or ["loss", "learning_rate", "gradient_norm"]), points=points)
    console.as_json(found) if json_output else console.timeline(found)


@app.command()
def explain(
    run: Run,
    address: Annotated[str, typer.Argument(help="Such as 'dW.1[0,3]', 'Z.2[0,1]', 'loss[0]' or loss.")],
    rows: Rows = None,
    at: At = "best",
    format: Annotated[Document, typer.Option(help="How it is written.")] = "markdown",
    output: Output = None,
    server: Server = None,
) -> None:
    """Write out how one number comes about: the equation, its shapes, its numbers, the sum really performed."""
    from service import console

    with client_of(server) as client:
        text = client.explanation(run, address, format=format, at=at, rows=rows)
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text, encoding="utf-8")
        console.out.print(f"{output}: {len(text):,} characters")


@app.command()
def gains(run: Run, part: Part = "train", limit: int = 128, at: At = "best", server: Server = None) -> None:
    """Show which operation makes the gradient vanish, or explode, on its way from the loss to the input."""
    from service import console

    with client_of(server) as client:
        console.gains(client.gains(run, at=at, dataset_rows={"part": part, "limit": limit}))


@app.command()
def doctor(
    run: Run,
    test: Annotated[bool, typer.Option("--test", help="Train a little with each remedy and without it.")] = False,
    fail_on: Annotated[
        Literal["critical", "warning"] | None, typer.Option(help="Exit with code 3 for a finding as severe as this.")
    ] = None,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show what is wrong with a run: where, since which step, why, and what would mend it."""
    from service import console

    with client_of(server) as client:
        found = client.consult(run, test=True) if test else client.doctor(run)
    console.as_json(found) if json_output else console.diagnosis(found)
    failing = ("critical",) if fail_on == "critical" else ("critical", "warning")
    if fail_on is not None and any(finding.severity in failing for finding in found.findings):
        raise typer.Exit(3)


@app.command()
def influence(
    run: Run,
    rows: Annotated[str, typer.Argument(help="Rows of the dataset whose loss is asked about, as 17,4.")],
    method: Annotated[Literal["ledger", "tracin"], typer.Option(help="An exact account, or cheaper.")] = "tracin",
    top: Annotated[int, typer.Option(min=1, max=1000, help="At most so many of each kind.")] = 10,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show which training rows lowered a loss most, and which raised it."""
    from service import console

    numbers = [int(number) for number in rows.split(",") if number.strip().isdecimal()]
    if not numbers:
        raise typer.BadParameter(f"expected numbers with commas between, got {rows}", param_hint="ROWS")
    with client_of(server) as client:
        found = client.influence(run, of={"numbers": numbers}, method=method, top=top)
    console.as_json(found) if json_output else console.influence(found)


@app.command()
def ranking(
    run: Run,
    by: Annotated[By, typer.Option(help="suspicion puts wrong labels first.")] = "loss",
    part: Part = "train",
    top: Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows.")] = 10,
    server: Server = None,
    json_output: AsJson = False,
) -> None:
    """Show a part's rows with the largest losses, gradients or self-influences, or the most suspect labels."""
    from service import console

    with client_of(server) as client:
        found = client.ranking(run, by=by, part=part, top=top)
    console.as_json(found) if json_output else console.ranking(found)
