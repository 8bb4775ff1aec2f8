"""What the client gives, as notebooks show it: the same charts as the pages, self-contained and without scripts."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from markupsafe import Markup
from pydantic import PrivateAttr

from service.schemas.datasets import DatasetBody
from service.schemas.diagnoses import DiagnosisBody
from service.schemas.evaluations import EvaluationBody
from service.schemas.histograms import HistogramsBody
from service.schemas.runs import RunBody
from service.schemas.timelines import TimelineBody
from service.ui import charts
from service.ui.charts import Cell, Series
from service.ui.numbers import number

LISTED = 60
DRAWN_LINES = charts.COLOURS


class Losses(dict[str, list[Any]]):
    """The curves of a run, by name."""

    def _repr_html_(self) -> str:
        names = [name for name in ("train.loss", "validation.loss") if self.get(name)]
        return _picture(_lines(self["epoch"], {name: self[name] for name in names}, "loss", "epoch"))


class Run(RunBody):
    """A run, with its curves."""

    _losses: Callable[[], dict[str, list[Any]]] | None = PrivateAttr(default=None)

    def curves_from(self, losses: Callable[[], dict[str, list[Any]]]) -> "Run":
        """The same run, which asks for its curves when it is shown."""
        self._losses = losses
        return self

    def _repr_html_(self) -> str:
        best = ""
        if self.best:
            best = f", best {self.best['metric']} {number(self.best['value'])} at epoch {self.best['epoch']}"
        told = Markup("<p><b>{}</b> {}: {}, epoch {} of {}{}</p>").format(
            self.name, self.id, self.status, self.epoch, self.epochs, best
        )
        losses = Losses(self._losses() if self._losses else {})
        return told + (losses._repr_html_() if losses.get("epoch") else Markup(""))


class Dataset(DatasetBody):
    """A table, with its columns."""

    def _repr_html_(self) -> str:
        told = Markup("<p><b>{}</b> {}: {} rows, {} columns</p>").format(
            self.name, self.id, number(self.rows), len(self.columns)
        )
        return told + _table(("column", "type", "blank"), [(c.name, c.type, c.missing) for c in self.columns[:LISTED]])


class Diagnosis(DiagnosisBody):
    """What is wrong with a run."""

    def _repr_html_(self) -> str:
        if not self.findings:
            return "<p>The doctor finds nothing wrong with this run.</p>"
        rows = [
            (each.severity, each.rule.replace("_", " "), each.why, each.remedy.rationale if each.remedy else "")
            for each in self.findings
        ]
        return _table(("severity", "finding", "why", "try"), rows)


class Timeline(TimelineBody):
    """Numbers of a run over its steps."""

    def _repr_html_(self) -> str:
        columns = {name: values for name, values in self.columns.items() if name not in ("step", "epoch")}
        known = [value for values in columns.values() for value in values if value is not None and isfinite(value)]
        is_log = bool(known) and min(known) > 0 and max(known) > 100 * min(known)
        return _picture(_lines(self.columns["step"], columns, "value", "step", is_log=is_log))


class Histograms(HistogramsBody):
    """How tensors are spread over a run's steps."""

    def _repr_html_(self) -> str:
        names = [f"{step}" for step in self.steps]
        drawn = [
            charts.ridges(names, each.counts, (each.edges[0], each.edges[-1]), title=name, x_label=name)
            for name, each in self.histograms.items()
        ]
        return Markup("").join(map(_picture, drawn))


class Evaluation(EvaluationBody):
    """How good a run is on a part of its dataset."""

    def _repr_html_(self) -> str:
        found = _table(("metric", "value"), [(name, number(value)) for name, value in self.metrics.items()])
        for target in self.targets:
            if target.confusion and target.classes:
                names = [each.name for each in target.classes]
                cells = [[Cell(count / max(1, sum(row)), text=str(count)) for count in row] for row in target.confusion]
                title = f"confusion of {target.name}"
                found += _picture(
                    charts.heat_map(names, names, cells, title=title, x_label="said", unit="of the true class")
                )
        return found


def _lines(
    x: Sequence[Any], columns: dict[str, list[Any]], y_label: str, x_label: str, *, is_log: bool = False
) -> Markup:
    series = [Series(name, values) for name, values in list(columns.items())[:DRAWN_LINES]]
    return charts.lines(x, series, title=", ".join(columns), x_label=x_label, y_label=y_label, is_log=is_log)


def _picture(chart: Markup) -> Markup:
    """A chart as an image that holds its own colours, so that it changes nothing around it."""
    if not chart.startswith("<svg"):
        return chart
    content = b64encode(charts.alone(chart).encode()).decode()
    title = chart.split('aria-label="', 1)[1].split('"', 1)[0]
    return Markup('<img alt="{}" width="560" src="data:image/svg+xml;base64,{}">').format(Markup(title), content)  # noqa: S704 - escaped there


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    cell, head = Markup("<td>{}</td>"), Markup("<th>{}</th>")
    lines = [Markup("<tr>{}</tr>").format(Markup("").join(cell.format(value) for value in row)) for row in rows]
    heads = Markup("").join(head.format(name) for name in names)
    return Markup("<table><tr>{}</tr>{}</table>").format(heads, Markup("").join(lines))
