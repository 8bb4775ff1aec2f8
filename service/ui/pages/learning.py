"""Pages to learn by: a lesson for each way a training fails, and a plane to play on."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from engine.errors import EngineError
from engine.layers import ACTIVATIONS
from service.dependencies import DatabaseDep, MediaType, PlanTurn, ReadSession, SettingsDep
from service.domain import datasets, runs
from service.errors import NotFound, Problem, Unprocessable
from service.problems import problem_of
from service.samples import made
from service.settings import Settings
from service.store.database import Database
from service.ui import charts, specs
from service.ui.charts import Dot
from service.ui.figures import Figure
from service.ui.lessons import LESSONS, Lesson, tags
from service.ui.pages.beginning import started
from service.ui.pages.bringing import brought, uploaded
from service.ui.pages.common import IN_FILES, IN_FORMS, Form, WithFigures, checked, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

SHOWN_RUNS, SHOWN_ROWS = 8, 400
TALL = 420.0


@router.get("/learn")
def learn_page(request: Request) -> Response:
    """Every lesson."""
    return render(request, "learn.html", here="learn_page", lessons=LESSONS.values())


@router.get("/learn/{name}")
def lesson_page(request: Request, name: str, session: ReadSession) -> Response:
    """What happens, why, and two buttons that show it."""
    lesson = _lesson(name)
    found = _runs(session, tags(name))
    return render(
        request,
        "lesson.html",
        here="learn_page",
        lesson=lesson,
        formula=Markup(lesson.formula),  # noqa: S704 - ours
        runs=found,
        seen=next((each for each in found if each.row.name == lesson.called("sick")), None),
        changes=specs.differences([lesson.body("sick"), lesson.body("mended")], without=["name"]),
    )


@router.post("/learn/{name}", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
async def start_lesson(
    request: Request, name: str, form: Form, database: DatabaseDep, settings: SettingsDep
) -> Response:
    """Bring the lesson's table, unless it is there, and start one of its runs."""
    lesson = _lesson(name)
    dataset = await brought(request, settings, database, lesson.table(), name=lesson.title)
    body = {"dataset": dataset.id, **lesson.body("mended" if form.get("which") == "mended" else "sick")}
    run_id = await run_in_threadpool(started, database, settings, body)
    return there(request, "run_page", run_id=run_id)


def _lesson(name: str) -> Lesson:
    lesson = LESSONS.get(name)
    if lesson is None:
        raise NotFound(f"There is no lesson {name[:40]!r}; there are {', '.join(LESSONS)}.")
    return lesson


def _runs(session: Session, asked: list[str]) -> list[Any]:
    page = runs.listed(
        session, statuses=(), tags=asked, dataset_id=None, order_by="-created_at", limit=SHOWN_RUNS, cursor=None
    )
    return list(page.items)


# The plane ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Game:
    """What is trained on the plane; all of it is in the page's address."""

    kind: Annotated[str, Query(pattern=f"^({'|'.join(made.PLANES)})$")] = "circle"
    rows: Annotated[int, Query(ge=20, le=5_000)] = 300
    noise: Annotated[float, Query(ge=0, le=5)] = 0.3
    seed: Annotated[int, Query(ge=0, le=2**31)] = 0
    dataset: Annotated[str, Query(max_length=60)] = ""
    """An own table in place of a made one."""
    x: Annotated[str, Query(max_length=200)] = ""
    y: Annotated[str, Query(max_length=200)] = ""
    target: Annotated[str, Query(max_length=200)] = ""
    hidden: Annotated[str, Query(max_length=100, pattern="^[0-9, ]*$")] = "8,8"
    activation: Annotated[str, Query(max_length=40)] = "tanh"
    learning_rate: Annotated[float, Query(gt=0, le=100)] = 0.03
    l2: Annotated[float, Query(ge=0, le=100)] = 0.0
    epochs: Annotated[int, Query(ge=1, le=10_000)] = 120
    batch_size: Annotated[int, Query(ge=1, le=10_000)] = 32

    def body(self, dataset_id: str, columns: "Columns") -> dict[str, Any]:
        """A run of it."""
        units = [int(part) for part in self.hidden.replace(",", " ").split()]
        called = self.kind if not self.dataset else columns.target
        return {
            "dataset": dataset_id,
            "name": f"plane: {called[:80]}, {self.hidden or 'no hidden layer'} {self.activation}",
            "tags": PLAYED,
            "target": columns.target,
            "features": [columns.x, columns.y],
            "network": {"layers": [{"type": "dense", "units": n, "activation": self.activation} for n in units]},
            "split": {"validation": 0.2},
            "seed": self.seed,
            "training": {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "optimizer": {"type": "adam", "learning_rate": self.learning_rate},
                "l2": self.l2,
                "early_stopping": None,
            },
        }


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are the plane, and which is learned; and which there are."""

    x: str
    y: str
    target: str
    numbers: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, game: Game, columns: Sequence[Mapping[str, Any]]) -> "Columns":
        """As asked, else the first two columns of numbers, and the last column. Unprocessable without two."""
        names = tuple(column["name"] for column in columns)
        numbers = tuple(column["name"] for column in columns if column["type"] in ("number", "integer"))
        target = game.target if game.target in names else names[-1]
        free = [name for name in numbers if name != target]
        if len(free) < 2:
            raise Unprocessable(
                f"A plane needs two columns of numbers beside what is learned, {target}; found {len(free)}."
            )
        x = game.x if game.x in free else free[0]
        y = game.y if game.y in free and game.y != x else next(name for name in free if name != x)
        return cls(x, y, target, numbers, names)


PLAYED = ["playground"]
MADE = ({"name": "x1", "type": "number"}, {"name": "x2", "type": "number"}, {"name": "class", "type": "text"})
Played = Annotated[Game, Depends(Game)]


@router.get("/playground", dependencies=[WithFigures])
def playground_page(request: Request, game: Played, session: ReadSession, settings: SettingsDep) -> Response:
    """Choose or bring rows on a plane and a small network, and see what it makes of the plane."""
    return _playground(request, game, session, settings)


def _playground(
    request: Request, game: Game, session: Session, settings: Settings, problem: Problem | None = None
) -> Response:
    columns, rows = _rows(game, session, settings)
    return render(
        request,
        "playground.html",
        code=200 if problem is None else problem.status,
        here="playground_page",
        game=game,
        kinds=made.PLANES,
        activations=[*ACTIVATIONS],
        columns=columns,
        problem=problem,
        runs=_runs(session, PLAYED),
        figures=[_dots(columns, rows)],
    )


def _rows(game: Game, session: Session, settings: Settings) -> tuple[Columns, list[Mapping[str, Any]]]:
    if not game.dataset:
        content = made.plane(game.kind, rows=game.rows, noise=game.noise, seed=game.seed).decode()
        return Columns.of(game, MADE), list(csv.DictReader(io.StringIO(content)))
    row = datasets.get(session, game.dataset)
    return Columns.of(game, row.columns), list(datasets.rows_of(settings.data, row, offset=0, limit=SHOWN_ROWS))


def _dots(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> Figure:
    x, y, target = columns.x, columns.y, columns.target
    told = [row for row in rows if row[x] is not None and row[y] is not None]
    classes = {name: place for place, name in enumerate(sorted({str(row[target]) for row in told}))}
    are_few = len(classes) <= charts.COLOURS
    dots = [
        Dot(
            float(row[x]),
            float(row[y]),
            f"place c{classes[str(row[target])]}" if are_few else "dot",
            f"{target}: {row[target]}",
            3,
        )
        for row in told
    ]
    legend = [(name, f"place c{place}") for name, place in classes.items()] if are_few else []
    chart = charts.scatter(dots, title="the rows", x_label=x, y_label=y, legend=legend, height=TALL)
    return Figure("rows", "The rows", chart, {name: [row[name] for row in told] for name in (x, y, target)})


@router.post("/playground", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
async def play(request: Request, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Train what is asked for, and go on to what it says of the plane."""
    game = checked(Game, {name: value for name, value in form.items() if value != ""})
    try:
        run_id = await _played(request, game, database, settings)
    except (Problem, EngineError, RequestValidationError) as error:
        with database.read() as session:
            return _playground(request, game, session, settings, problem_of(error))
    return there(request, "boundary_page", run_id=run_id)


async def _played(request: Request, game: Game, database: Database, settings: Settings) -> str:
    if game.dataset:
        dataset_id = game.dataset
        with database.read() as session:
            columns = Columns.of(game, datasets.get(session, dataset_id).columns)
    else:
        content = made.plane(game.kind, rows=game.rows, noise=game.noise, seed=game.seed)
        dataset_id = (await brought(request, settings, database, content, name=f"plane: {game.kind}")).id
        columns = Columns.of(game, MADE)
    return await run_in_threadpool(started, database, settings, game.body(dataset_id, columns))


@router.post("/playground/table", openapi_extra=IN_FILES)
async def bring_plane(
    request: Request, media_type: MediaType, settings: SettingsDep, database: DatabaseDep
) -> Response:
    """Take a file, and play on two of its columns."""
    row = await uploaded(request, media_type, settings, database)
    return there(request, "playground_page", query={"dataset": row.id})
