"""What the command line prints. Colours and live bars only on a terminal."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from service.client import Client
from service.schemas.datasets import DatasetBody
from service.schemas.diagnoses import DiagnosisBody, FindingBody, TrialBody
from service.schemas.evaluations import EvaluationBody, SaidBody, TargetBody
from service.schemas.explanations import GainsBody
from service.schemas.influences import InfluenceBody
from service.schemas.inspections import CheckBody, InspectionBody, ReplayBody
from service.schemas.predictions import PredictionsBody
from service.schemas.rankings import RankingBody
from service.schemas.runs import RunBody, RunSummary
from service.schemas.steps import StepBody
from service.schemas.timelines import TimelineBody

WIDE = 1000
"""Columns where no terminal cuts lines off."""

out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
"""What it prints are names and labels of others: brackets and colons in them mean nothing to us."""


def say(text: str) -> None:
    """Print beside the result, which others may read."""
    sys.stderr.write(text + "\n")


def warn(warnings: Iterable[str]) -> None:
    """Print warnings beside the result."""
    for warning in warnings:
        say(f"warning: {warning}")


def as_json(value: BaseModel | Sequence[BaseModel] | Any) -> None:
    """Print for programs."""
    if isinstance(value, BaseModel):
        plain: Any = value.model_dump(mode="json")
    elif isinstance(value, list):
        plain = [item.model_dump(mode="json") if isinstance(item, BaseModel) else item for item in value]
    else:
        plain = value
    sys.stdout.write(json.dumps(plain, indent=1) + "\n")


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Sequence[str] = (), show_header: bool = True
) -> None:
    """Print a table, the cells of the first column and those in `whole` on one line each; nothing is cut off."""
    shown = Table(box=None, pad_edge=False, header_style="bold", show_header=show_header)
    for place, header in enumerate(headers):
        shown.add_column(header, no_wrap=place == 0 or header in whole, overflow="fold")
    for row in rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    with out.capture() as text:
        out.print(shown)
    out.file.writelines(f"{line.rstrip()}\n" for line in text.get().splitlines())


def runs(items: Sequence[RunSummary]) -> None:
    """Print a list of runs."""
    table(
        ("run", "name", "status", "epoch", "best", "created"),
        (
            (
                run.id,
                run.name,
                run.status,
                f"{run.epoch}/{run.epochs}",
                f"{run.best['value']:.4g}" if run.best else "",
                f"{run.created_at:%Y-%m-%d %H:%M}",
            )
            for run in items
        ),
        whole=("status", "epoch"),
    )


def datasets(items: Sequence[DatasetBody]) -> None:
    """Print a list of datasets."""
    table(
        ("dataset", "name", "rows", "columns", "bytes"),
        ((item.id, item.name, item.rows, len(item.columns), item.received_bytes) for item in items),
    )


def run(item: RunBody) -> None:
    """Print one run."""
    reason = f" ({item.reason['code']}: {item.reason['detail']})" if item.reason else ""
    lines = [
        ("run", item.id),
        ("name", item.name),
        ("status", item.status + reason),
        ("target", f"{', '.join(item.resolved.target)} ({item.resolved.task})"),
        ("network", _network(item)),
        ("parameters", item.parameter_count),
        ("epoch", f"{item.epoch} of {item.epochs}"),
        ("best", _best(item)),
        ("validation", _metrics(item, "validation")),
        ("test", _metrics(item, "test")),
        ("weights", item.weights_digest),
    ]
    lines += [("warning", warning) for warning in item.warnings]
    table(("field", "value"), [line for line in lines if line[1] not in (None, "")], show_header=False)


def _network(item: RunBody) -> str:
    output = item.resolved.network.output
    head = [] if output == "auto" else [output.model_dump()]
    return " → ".join(
        _layer(options) for options in [*(each.model_dump() for each in item.resolved.network.layers), *head]
    )


def _layer(options: dict[str, Any]) -> str:
    """A layer in a word or two: "64 relu", "32 gru", "dropout"."""
    kind = str(options["activation"]["type"] if "activation" in options else options["type"])
    return f"{options['units']} {kind}" if "units" in options else kind


def _best(item: RunSummary) -> str:
    return f"{item.best['metric']} {item.best['value']:.4g} at epoch {item.best['epoch']}" if item.best else ""


def _metrics(item: RunBody, part: str) -> str:
    values = (item.metrics or {}).get(part) or {}
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)


def follow(client: Client, item: RunBody) -> RunBody:
    """Show a run's epochs as they end: a live bar on a terminal, now and then a line elsewhere. Gives the ended run."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        bar = progress.add_task(item.name, total=item.epochs, losses="waiting")
        every, shown = max(1, item.epochs // 10), 0
        for event in client.events(item.id):
            if event.kind == "epoch":
                epoch, losses = event.data["epoch"], _losses(event.data)
                progress.update(bar, completed=epoch, losses=f"epoch {epoch}  {losses}")
                if not out.is_terminal and epoch >= shown + every:
                    shown = epoch
                    out.print(f"  epoch {epoch:>4} of {item.epochs}  {losses}")
            elif event.kind in ("warning", "rescued", "paused"):
                progress.console.print(f"  {event.kind}: {event.data.get('detail', '')}")
    return client.run(item.id)


def _losses(values: dict[str, Any]) -> str:
    names = {"train.loss": "train loss", "validation.loss": "validation loss", "validation.accuracy": "accuracy"}
    names |= {"validation.r2": "r2"}
    if "validation.loss" not in values:
        names = {"train.loss": "train loss", "train.accuracy": "train accuracy", "train.r2": "train r2"}
    return "  ".join(f"{shown} {values[name]:.4f}" for name, shown in names.items() if values.get(name) is not None)


def predictions(answer: PredictionsBody) -> None:
    """Print predictions, one a line."""
    rows = []
    for number, each in enumerate(answer.predictions):
        if each.label is not None:
            probability = f"{each.probabilities[each.label]:.4f}" if each.probabilities else ""
            rows.append((number, each.label, probability))
        elif each.value is not None:
            rows.append((number, f"{each.value:.6g}", ""))
        else:
            rows.append((number, json.dumps(each.targets), ""))
    table(("row", "prediction", "probability"), rows)
    warn(answer.warnings)


def evaluation(found: EvaluationBody) -> None:
    """Print the metrics, each target's classes or residuals, and the rows with the largest losses."""
    out.print(f"{found.run}: {found.rows} {found.part} rows at epoch {found.epoch}, {found.checkpoint}\n")
    several = len(found.targets) > 1
    columns = [("all" if several else "value", found.metrics)]
    columns += [(each.name, each.metrics) for each in found.targets if several]
    table(
        ("metric", *(header for header, _ in columns)),
        ((name, *(_number(metrics.get(name)) for _, metrics in columns)) for name in found.metrics),
    )
    for target in found.targets:
        _target(target)
    if found.worst:
        out.print()
        table(
            ("row", "loss", "true", "predicted"),
            ((each.row, _number(each.loss), _words(each.true), _words(each.predicted)) for each in found.worst),
        )


def _target(target: TargetBody) -> None:
    """Print how well its classes are told apart, or how far its values are off."""
    out.print()
    if target.classes is not None and target.confusion is not None:
        table(
            (target.name, "precision", "recall", "f1", "rows", "taken for"),
            (
                (each.name, *map(_number, (each.precision, each.recall, each.f1)), each.support, _taken(target, place))
                for place, each in enumerate(target.classes)
            ),
        )
    if target.residuals is not None:
        table((target.name, *target.residuals), [("true − predicted", *map(_number, target.residuals.values()))])


def _taken(target: TargetBody, place: int) -> str:
    """What other classes the rows of one are taken for, most often first: "Gentoo 3, Adelie 1"."""
    counts = zip((each.name for each in target.classes or ()), (target.confusion or [])[place], strict=True)
    others = [(count, name) for number, (name, count) in enumerate(counts) if count and number != place]
    shown = sorted(others, key=lambda other: -other[0])[:5]
    return ", ".join(f"{name} {count}" for count, name in shown) + (", …" if len(others) > len(shown) else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if abs(value) >= 1 else f"{value:.4f}"


def _words(said: SaidBody) -> str:
    """ "Gentoo 0.9871", "37.5", or both of several targets by name."""
    if said.targets is not None:
        return ", ".join(f"{name}: {_words(each)}" for name, each in said.targets.items())
    if said.label is None:
        return _number(said.value)
    sure = said.score if said.probability is None else said.probability
    return said.label if sure is None else f"{said.label} {sure:.4f}"


def losses(columns: Mapping[str, Sequence[float | None]]) -> None:
    """Print curves, an epoch a line."""
    table(
        tuple(columns),
        (
            tuple("" if value is None else f"{value:.4g}" for value in values)
            for values in zip(*columns.values(), strict=True)
        ),
    )


def inspection(found: InspectionBody) -> None:
    """Print what is said of each tensor as a whole."""
    if found.loss is not None:
        out.print(f"loss {found.loss:.6g} over {len(found.example_losses)} rows; {found.units}\n")
    said = {name: tensor.model_extra or {} for name, tensor in found.tensors.items()}
    columns = list(dict.fromkeys(column for extra in said.values() for column in extra))
    table(
        ("tensor", "shape", *columns),
        (
            (
                name,
                _shape(tensor.shape),
                *("" if said[name].get(c) is None else f"{said[name][c]:.4g}" for c in columns),
            )
            for name, tensor in found.tensors.items()
        ),
    )
    warn(found.warnings)


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def gradients(found: InspectionBody, check: CheckBody) -> None:
    """Print gradients' norms, and the numbers measured by nudging beside backpropagation's."""
    tensors = [(name, tensor.shape, tensor.model_extra or {}) for name, tensor in found.tensors.items()]
    table(
        ("gradient", "shape", "norm"),
        ((name, _shape(shape), f"{extra['norm']:.6f}") for name, shape, extra in tensors),
    )
    out.print()
    table(
        ("nudged", "backpropagation", "nudging", "agreeing digits", "verdict"),
        (
            (
                each.address,
                f"{each.analytic:+.10f}",
                f"{each.numeric:+.10f}",
                f"{each.digits:.1f}",
                each.verdict,
            )
            for each in check.nudges
        ),
    )


def _number_of(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def replayed(replay: ReplayBody | None) -> str:
    """How a step came about, in a few words."""
    if replay is None or replay.status == "stored":
        return "as it was stored"
    return f"{replay.steps} steps computed again, {replay.status}"


def step(found: StepBody) -> None:
    """Print what a step of a training did to each parameter, and what stood between the layers."""
    out.print(
        f"step {found.number} (epoch {found.epoch}, step {found.step} of {found.steps_per_epoch}): loss "
        f"{_number_of(found.loss)}, learning rate {found.learning_rate:.4g}; {replayed(found.replay)}\n"
    )
    changes = ((e.name, e.norm, e.gradient_norm, e.update_norm, e.update_ratio) for e in found.parameters)
    table(
        ("parameter", "norm", "gradient", "update", "update/norm"),
        ((name, *map(_number_of, norms)) for name, *norms in changes),
    )
    out.print()
    boundaries = ((e.name, e.norm, e.derivative_norm, e.zero_share) for e in found.boundaries)
    table(
        ("tensor", "norm", "derivative", "share of zeros"),
        ((name, *map(_number_of, norms)) for name, *norms in boundaries),
    )


def timeline(found: TimelineBody) -> None:
    """Print numbers over steps."""
    out.print(f"{replayed(found.replay)}\n")
    losses(found.columns)


def gains(found: GainsBody) -> None:
    """Print what each operation makes of the gradient's norm."""
    table(
        ("operation", "gives", "norm", "log₁₀ gain"),
        ((each.operation, each.after, _number_of(each.norm), _number_of(each.gain)) for each in found.gains),
    )
    worst = "" if found.largest_loss is None else f"; {found.largest_loss} loses most"
    out.print(f"\nfrom {found.start} to {found.end}: {_number_of(found.total)}{worst}")
    warn(found.warnings)


def influence(found: InfluenceBody) -> None:
    """Print the rows that did most to each loss."""
    for query in found.queries:
        what = f"row {query.row}" if query.row is not None else f"{query.rows} rows"
        fall = "" if query.fall is None else f": fell by {query.fall:.6g}"
        out.print(f"{what}{fall}; all training rows {_number_of(query.total)}\n")
        rows = [("lowered it", each) for each in query.proponents] + [("raised it", each) for each in query.opponents]
        table(("", "row", "by"), ((kind, str(each.row), _number_of(each.value)) for kind, each in rows))
    warn(found.warnings)


def ranking(found: RankingBody) -> None:
    """Print a part's rows in order."""
    has_labels = any(row.label is not None for row in found.ranked)
    names = ("row", "loss", "gradient", "self-influence", *(("label", "pulled to") if has_labels else ()))
    table(
        names,
        (
            (
                str(row.row),
                *map(_number_of, (row.loss, row.gradient_norm, row.self_influence)),
                *((row.label or "", row.opposing or "") if has_labels else ()),
            )
            for row in found.ranked
        ),
    )


def diagnosis(found: DiagnosisBody) -> None:
    """Print what the doctor says, the worst first."""
    if not found.findings:
        out.print(f"nothing wrong up to step {found.moment}")
    for finding in found.findings:
        _finding(finding)


def _finding(finding: FindingBody) -> None:
    since = "" if finding.first_step is None else f", since step {finding.first_step}"
    since = f", since epoch {finding.first_epoch}" if finding.first_epoch is not None else since
    layers = "" if not finding.layers else f", layer {', '.join(map(str, finding.layers))}"
    out.print(f"{finding.severity}: {finding.rule}{layers}{since}")
    out.print(f"  why     {finding.why}")
    for each in finding.evidence:
        limit = "" if each.threshold is None else f" (threshold {each.threshold:.4g})"
        out.print(f"  seen    {each.quantity}: {_number_of(each.value)}{limit}")
    if finding.consequences:
        out.print(f"  so too  {', '.join(each.rule for each in finding.consequences)}")
    if finding.remedy is not None:
        patch = "" if finding.remedy.patch is None else f": {json.dumps(finding.remedy.patch)}"
        out.print(f"  remedy  {finding.remedy.rationale}{patch}")
    if finding.tested is not None:
        out.print(f"  tested  {_trial(finding.tested)}")
    out.print()


def _trial(trial: TrialBody) -> str:
    if trial.without is None or trial.with_remedy is None:
        return f"not possible: {trial.error}"
    losses = (trial.without.train_loss, trial.with_remedy.train_loss)
    without, with_it = ("diverged" if loss is None else f"{loss:.4g}" for loss in losses)
    verdict = "it helps" if trial.helped else "it does not help"
    begun = f"{trial.epochs} epochs from moment {trial.moment}"
    return f"{begun}: training loss {without} without it, {with_it} with it: {verdict}"
