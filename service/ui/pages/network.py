"""The page of the network: every layer at a moment, its units and its weights, as a diagram."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.inspection.names import kind_of
from engine.network import Network
from engine.parameters import Array
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import inspections, replays, runs
from service.domain.checkpoints import Moment
from service.settings import Settings
from service.ui import charts
from service.ui.charts import Column, Unit
from service.ui.figures import Figure
from service.ui.numbers import number
from service.ui.pages.common import WithFigures
from service.ui.rendering import address, render

router = APIRouter(include_in_schema=False)

LOOKED_ROWS = 512
"""A unit is called dead where it is so for so many rows of the training part."""
DRAWN_UNITS = 12


@router.get("/runs/{run_id}/network", dependencies=[InspectTurn, WithFigures])
def network_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    at: Annotated[str, Query(max_length=80)] = "best",
    epoch: Annotated[int | None, Query(ge=0, le=10**9)] = None,
) -> Response:
    """Every layer at a moment: its units by what they give on average, the dead ones crossed out, its weights."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    moment = replays.moment(database, settings, run_id, at if epoch is None else f"epoch:{epoch}")
    found = answering(moment, row.dataset_id, settings)
    columns = list(_columns(request, run_id, moment, found))
    told: dict[str, list[Any]] = {
        "layer": [column.name for column in columns for _ in column.units],
        "unit": [place for column in columns for place in range(len(column.units))],
        "mean": [value for means in _means(moment.network, found) for value in means[:DRAWN_UNITS].tolist()],
        "is dead": [unit.is_dead for column in columns for unit in column.units],
    }
    figure = Figure(
        "network",
        f"The network after epoch {moment.epoch}",
        charts.network(columns, title=f"the network of {row.name}"),
        told,
        "A unit's colour is what it gives on average beside the others of its layer, blue above 0 and orange below; a "
        "cross is a unit that no row gets through. A line's width is the weight's size, a broken one is below 0.",
    )
    return render(
        request,
        "network.html",
        here="",
        tab="network_page",
        row=row,
        moment=moment,
        rows=found.rows,
        parameter_count=moment.network.parameter_count,
        layers=found.layers,
        figures=[figure],
    )


@dataclass(frozen=True)
class Answering:
    """What every unit gives for some rows."""

    rows: int
    tensors: Mapping[str, Array]
    """What stands at each boundary, by name, and which units are dead or saturated."""
    layers: tuple[tuple[str, int, int, int], ...]
    """Of each activation its name, and how many units it has, dead ones and saturated ones."""


def answering(moment: Moment, dataset_id: str, settings: Settings) -> Answering:
    """What every unit gives at a moment for rows of the training part."""
    network, limits = moment.network, settings.limits
    limit = inspections.rows_within(network, limits, LOOKED_ROWS)
    batch = {"dataset_rows": {"part": "train", "numbers": None, "limit": limit}}
    subject = inspections.of_run(moment, settings.data, dataset_id, batch, dtype=None, limits=limits)
    asked = [*network.boundary_names, "dead_units", "saturated_units"]
    questions = {"quantities": asked, "convention": "mean", "orientation": "rows", "head": "auto"}
    found = inspections.look(subject, {**questions, "reduce": {"type": "stats"}}, limits).arrays
    layers = tuple(
        (name.removeprefix("dead_units."), array.size, int(array.sum()), int(found[_saturated(name)].sum()))
        for name, array in found.items()
        if name.startswith("dead_units.")
    )
    return Answering(len(subject.X), found, layers)


def _saturated(name: str) -> str:
    return name.replace("dead_units", "saturated_units")


def _columns(request: Request, run_id: str, moment: Moment, found: Answering) -> Iterator[Column]:
    network, views = moment.network, moment.network.views(moment.parameters)
    means, before = _means(network, found), 0
    inputs = moment.preprocessing.input_names
    for column, place in enumerate(_places(network)):
        name, shape = network.boundary_names[place], network.boundary_shapes[place]
        layer_number, about = None, "input"
        if place:
            layer = network.layers[place - 1]
            layer_number = network.numbers[place - 1]
            own = network.layers[place - 2] if _has_own(network, place - 1) else None
            about = kind_of(layer) if own is None else f"{kind_of(own)}, {kind_of(layer)}"
        dead = found.tensors.get(f"dead_units.{name}", np.zeros(0))
        drawn = means[column][:DRAWN_UNITS]
        most = float(np.abs(means[column]).max(initial=0))
        units = [
            Unit(
                charts.diverging(float(mean), most),
                f"{_called(inputs, place, index)}: {number(float(mean))} on average",
                bool(dead.size and dead[index]),
            )
            for index, mean in enumerate(drawn)
        ]
        weights = views.get(f"W.{layer_number}") if layer_number else None
        is_drawn = weights is not None and weights.shape == (network.boundary_shapes[before][-1], shape[-1])
        dead_count = f", {int(dead.sum())} dead" if dead.size and dead.sum() else ""
        yield Column(
            f"layer {layer_number}" if layer_number else about,
            f"{about if layer_number else ''} {' × '.join(map(str, shape))}{dead_count}".strip(),
            units,
            shape[-1],
            address(request, "layer_page", run_id=run_id, layer=str(layer_number)) if layer_number else None,
            weights[:DRAWN_UNITS, :DRAWN_UNITS].tolist() if is_drawn and weights is not None else None,
            0 if weights is None else weights.size,
        )
        before = place


def _called(inputs: Sequence[str], place: int, index: int) -> str:
    return inputs[index] if not place and index < len(inputs) else f"unit {index}"


def _places(network: Network) -> list[int]:
    """The boundaries drawn: the input, and what each item of the spec gives."""
    return [place for place in range(len(network.boundary_names)) if not _has_own(network, place)]


def _has_own(network: Network, place: int) -> bool:
    """Whether the layer behind a boundary is the activation of the item before it."""
    return bool(place) and network.boundary_names[place].startswith("Z.")


def _means(network: Network, found: Answering) -> list[Array]:
    """What each unit gives on average, of each boundary drawn; of an image, each channel."""
    names = [network.boundary_names[place] for place in _places(network)]
    with np.errstate(all="ignore"):
        return [found.tensors[name].reshape(-1, found.tensors[name].shape[-1]).mean(axis=0) for name in names]
