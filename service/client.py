"""A typed client of the HTTP API.

with Client("http://127.0.0.1:8000") as chainrule:
    dataset = chainrule.upload("iris.csv")
    run = chainrule.wait(chainrule.create_run(dataset=dataset.id, target="species").id)
    answer = chainrule.predict(run.id, [{"petal_length": 1.4}])
"""

import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from service.notebook import Dataset, Diagnosis, Evaluation, Histograms, Losses, Run, Timeline
from service.schemas.base import PageBody
from service.schemas.checkpoints import CheckpointBody
from service.schemas.datasets import DatasetDetail
from service.schemas.events import EventBody
from service.schemas.explanations import ExplanationBody, GainsBody, PathsBody
from service.schemas.influences import InfluenceBody
from service.schemas.inspections import CheckBody, InspectionBody
from service.schemas.predictions import PredictionsBody
from service.schemas.problems import FaultBody, ProblemBody
from service.schemas.quantities import QuantitiesBody, QuantityBody
from service.schemas.rankings import RankingBody
from service.schemas.runs import PlanBody, RunSummary
from service.schemas.splits import SplitBody
from service.schemas.steps import StepBody
from service.schemas.timelines import CrossingBody
from service.schemas.watchpoints import WatchpointBody

DEFAULT_URL = "http://127.0.0.1:8000"
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".feather": "application/vnd.apache.arrow.file",
    ".arrows": "application/vnd.apache.arrow.stream",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
}
"""By the ending of a file's name, without .gz behind it."""
ANY_MEDIA_TYPE = "application/octet-stream"
"""Of a file whose first bytes are to say what it is."""

SHOWN_POINTS = 400
"""Of a run's curves in a notebook."""

BodyT = TypeVar("BodyT", bound=BaseModel)


class ProblemError(Exception):
    """The server said no; `problem` has its reasons."""

    def __init__(self, problem: ProblemBody) -> None:
        self.problem = problem
        more = [f"  {_place(fault)}: {fault.detail}" for fault in problem.errors if fault.detail not in problem.detail]
        super().__init__("\n".join([problem.detail, *more[:20]]))


def _place(fault: FaultBody) -> str:
    return fault.parameter.name if fault.parameter is not None else fault.pointer or "body"


class Unreachable(Exception):  # noqa: N818 - a state of things
    """No server of ours answers at the address."""


class Client:
    """One server. Reading is tried again when a connection breaks; writing never is."""

    def __init__(self, url: str = DEFAULT_URL, *, token: str | None = None, timeout_seconds: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url, self.timeout_seconds = url, timeout_seconds
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url} is no address of a server, such as {DEFAULT_URL}: {error}") from error
        self._http = httpx.Client(
            base_url=address,
            headers=headers,
            timeout=timeout_seconds,
            trust_env=not _is_loopback(address.host),  # a proxy leads to its own loopback, not to ours
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Datasets ------------------------------------------------------------------------------------------------------

    def upload(self, path: str | Path, *, name: str | None = None, **options: Any) -> Dataset:
        """Upload a file of any format; `options` say how to read it: `delimiter=";"`, `types={"zip": "text"}`."""
        path = Path(path)
        with path.open("rb") as file:
            return self._upload(file, name=name or _plain(path).stem, media_type=media_type_of(path), options=options)

    def upload_bytes(self, content: bytes, *, name: str, media_type: str = "text/csv", **options: Any) -> Dataset:
        """Upload a table's bytes."""
        return self._upload(content, name=name, media_type=media_type, options=options)

    def _upload(self, content: bytes | BinaryIO, *, name: str, media_type: str, options: Mapping[str, Any]) -> Dataset:
        """Send a table, a file in blocks. How long the server may parse it is for its own limit to say."""
        answer = self._request(
            "POST",
            "/v1/datasets",
            params={"name": name, **_said(options)},
            content=content,
            headers={"Content-Type": media_type},
            timeout=httpx.Timeout(self.timeout_seconds, read=None),
        )
        return self._read(Dataset, answer)

    def datasets(self, *, limit: int = 50, cursor: str | None = None) -> PageBody[Dataset]:
        """Datasets, newest first."""
        return self._get(PageBody[Dataset], "/v1/datasets", limit=limit, cursor=cursor)

    def dataset(self, dataset_id: str) -> DatasetDetail:
        """One dataset."""
        return self._get(DatasetDetail, f"/v1/datasets/{dataset_id}")

    def delete_dataset(self, dataset_id: str, *, force: bool = False) -> None:
        """Delete a dataset, and with `force` the finished runs that use it."""
        self._request("DELETE", f"/v1/datasets/{dataset_id}", params={"force": force})

    # Runs ----------------------------------------------------------------------------------------------------------

    def create_run(self, *, dataset: str, target: str | Sequence[str], key: str | None = None, **spec: Any) -> Run:
        """Start a training; `spec` is what else a run create may hold. With a `key` it can be sent twice safely."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"dataset": dataset, "target": target, **spec}
        return self._post(Run, "/v1/runs", body, headers=headers)

    def validate_run(self, *, dataset: str, target: str | Sequence[str], **spec: Any) -> PlanBody:
        """What the run would be."""
        return self._post(PlanBody, "/v1/runs/validate", {"dataset": dataset, "target": target, **spec})

    def runs(
        self,
        *,
        status: Sequence[str] = (),
        tag: Sequence[str] = (),
        order_by: str = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> PageBody[RunSummary]:
        """Runs, newest first, as lists show them."""
        return self._get(
            PageBody[RunSummary],
            "/v1/runs",
            status=list(status),
            tag=list(tag),
            order_by=order_by,
            limit=limit,
            cursor=cursor,
        )

    def run(self, run_id: str) -> Run:
        """One run."""
        return self._get(Run, f"/v1/runs/{run_id}")

    def update_run(self, run_id: str, **changes: Any) -> Run:
        """Change name, notes, tags or priority."""
        return self._read(Run, self._request("PATCH", f"/v1/runs/{run_id}", json=changes))

    def cancel(self, run_id: str) -> Run:
        """Stop a run."""
        return self._post(Run, f"/v1/runs/{run_id}/cancel")

    def pause(self, run_id: str) -> Run:
        """Let a run wait."""
        return self._post(Run, f"/v1/runs/{run_id}/pause")

    def resume(self, run_id: str) -> Run:
        """Let a paused run go on."""
        return self._post(Run, f"/v1/runs/{run_id}/resume")

    def fork(self, run_id: str, **fork: Any) -> Run:
        """A new run from a checkpoint of this one."""
        return self._post(Run, f"/v1/runs/{run_id}/fork", fork)

    def delete_run(self, run_id: str) -> None:
        """Delete a finished run."""
        self._request("DELETE", f"/v1/runs/{run_id}")

    def losses(self, run_id: str, *, keys: Sequence[str] = (), points: int | None = None) -> Losses:
        """The curves, by name."""
        params = {"keys": ",".join(keys) or None, "points": points}
        answer = self._request("GET", f"/v1/runs/{run_id}/losses", params=params)
        return Losses(answer.json())

    def events(self, run_id: str, *, after: int = 0) -> Iterator[EventBody]:
        """Events as they happen, to the run's end. A stream that breaks is taken up again behind its last event."""
        is_over = False
        while not is_over:
            try:
                for event in self._stream(run_id, after):
                    if event is None:
                        is_over = True
                        break
                    after = event.sequence
                    yield event
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout):
                pass
            if not is_over:
                time.sleep(0.5)
                self.run(run_id)  # an error here, unlike a broken stream, is the caller's to see

    def _stream(self, run_id: str, after: int) -> Iterator[EventBody | None]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
            if answer.status_code != 200:
                answer.read()
                _raise_for(answer)
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield None if kind == "end" else EventBody.model_validate_json(line.removeprefix("data: "))

    def wait(self, run_id: str, *, timeout_seconds: float | None = None) -> Run:
        """The run once it has ended. TimeoutError if that takes longer."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not (run := self.run(run_id)).done:
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"run {run_id} is {run.status} after {timeout_seconds} seconds")
            time.sleep(0.1)
        return run

    def checkpoints(self, run_id: str, *, limit: int = 50, cursor: str | None = None) -> PageBody[CheckpointBody]:
        """Stored moments of a run, the furthest in training first."""
        return self._get(PageBody[CheckpointBody], f"/v1/runs/{run_id}/checkpoints", limit=limit, cursor=cursor)

    def weights(self, run_id: str, *, checkpoint: str = "best", format: str = "safetensors") -> bytes:
        """A checkpoint's weights as the bytes of a json, npz or safetensors file."""
        path = f"/v1/runs/{run_id}/checkpoints/{checkpoint}/weights"
        return self._request("GET", path, params={"format": format}).content

    # Looking inside ------------------------------------------------------------------------------------------------

    def predict(
        self, run_id: str, rows: Sequence[Mapping[str, Any] | Sequence[Any]], *, checkpoint: str = "best"
    ) -> PredictionsBody:
        """What the run's network says of rows."""
        body = {
            "rows": [dict(row) if isinstance(row, Mapping) else list(row) for row in rows],
            "checkpoint": checkpoint,
        }
        return self._post(PredictionsBody, f"/v1/runs/{run_id}/predict", body)

    def predict_file(
        self, run_id: str, path: str | Path, media_type: str | None = None, *, checkpoint: str = "best", **options: Any
    ) -> PredictionsBody:
        """The same of the rows of a file of any format; `options` say how to read it, such as `delimiter=";"`."""
        blocks = self.predict_stream(run_id, path, media_type, format="json", checkpoint=checkpoint, **options)
        return PredictionsBody.model_validate_json(b"".join(blocks))

    def predict_stream(
        self,
        run_id: str,
        path: str | Path,
        media_type: str | None = None,
        *,
        format: str = "csv",
        checkpoint: str = "best",
        **options: Any,
    ) -> Iterator[bytes]:
        """The same as a csv, ndjson, arrow, npy or json file, in bytes as they come. Unreachable if they break off."""
        path = Path(path)
        kind = media_type or media_type_of(path)
        with path.open("rb") as file:
            question = self._http.stream(
                "POST",
                f"/v1/runs/{run_id}/predict",
                params={"format": format, "checkpoint": checkpoint, **_said(options)},
                content=file,
                headers={"Content-Type": ANY_MEDIA_TYPE if kind == "application/json" else kind},
                timeout=httpx.Timeout(self.timeout_seconds, read=None),
            )
            try:
                with question as answer:
                    if not answer.is_success:
                        answer.read()
                        _raise_for(answer)
                    yield from answer.iter_bytes()
            except httpx.ConnectError as error:
                raise Unreachable(f"no server answers at {self.url}: {error}") from error
            except httpx.TransportError as error:
                raise Unreachable(f"the server at {self.url} gave no whole answer: {error}") from error

    def evaluation(self, run_id: str, *, part: str = "test", checkpoint: str = "best", worst: int = 20) -> Evaluation:
        """How good a run's network is on a part of its dataset, with its worst rows."""
        path = f"/v1/runs/{run_id}/evaluation"
        return self._get(Evaluation, path, part=part, checkpoint=checkpoint, worst=worst)

    def split(self, run_id: str) -> SplitBody:
        """The rows of each part of a run's split."""
        return self._get(SplitBody, f"/v1/runs/{run_id}/split")

    def inspect(self, run_id: str, **questions: Any) -> InspectionBody:
        """Tensors of a forward and backward pass through a run's network."""
        return self._post(InspectionBody, f"/v1/runs/{run_id}/inspect", questions)

    def step(self, run_id: str, at: int | str = "last", **questions: Any) -> StepBody:
        """A step of a run's training, computed again: `tensors="dW,update"`, `reduce="full"`."""
        return self._get(StepBody, f"/v1/runs/{run_id}/steps/{at}", **questions)

    def evidence(self, run_id: str, at: int | str = "last") -> bytes:
        """A step as a zip with a script that recomputes it."""
        return self._request("GET", f"/v1/runs/{run_id}/steps/{at}/evidence").content

    def histograms(self, run_id: str, *tensors: str, **options: Any) -> Histograms:
        """How tensors such as W.1 are spread over a run's steps. Options: first, last, points, bins."""
        return self._get(
            Histograms, f"/v1/runs/{run_id}/histograms", tensors=",".join(tensors or ("W.1", "dW.1")), **options
        )

    def timeline(self, run_id: str, *quantities: str, **options: Any) -> Timeline:
        """Numbers of a run over its steps: `timeline(run, "loss", "dW.*.norm", points=200)`."""
        return self._get(Timeline, f"/v1/runs/{run_id}/timeline", quantities=";".join(quantities), **options)

    def bisect(self, run_id: str, quantity: str, comparison: str, value: float, **options: Any) -> CrossingBody:
        """The first step at which a number passes a value: `bisect(run, "A.1[:,7].max", "==", 0)`."""
        body = {"quantity": quantity, "comparison": comparison, "value": value, **options}
        return self._post(CrossingBody, f"/v1/runs/{run_id}/bisect", body)

    def watch(self, run_id: str, quantity: str, comparison: str, value: float) -> WatchpointBody:
        """Pause a run at the step where a number passes a value."""
        body = {"quantity": quantity, "comparison": comparison, "value": value}
        return self._post(WatchpointBody, f"/v1/runs/{run_id}/watchpoints", body)

    def inspect_file(self, run_id: str, *, format: str = "npz", **questions: Any) -> bytes:
        """The same tensors, whole, as the bytes of an npy, npz, safetensors or arrow file."""
        path = f"/v1/runs/{run_id}/inspect"
        return self._request("POST", path, json=questions, params={"format": format}).content

    def quantities(self) -> list[QuantityBody]:
        """All that `quantities` of an inspection can hold."""
        return self._get(QuantitiesBody, "/v1/inspection/quantities").items

    def check(self, run_id: str, **questions: Any) -> CheckBody:
        """Gradients of a run's network beside measured ones."""
        return self._post(CheckBody, f"/v1/runs/{run_id}/check", questions)

    def explain(self, run_id: str, address: str, **questions: Any) -> ExplanationBody:
        """One number of a run's pass, line by line: `explain(run, "dW.1[0,3]", rows="17,4")`."""
        return self._get(ExplanationBody, f"/v1/runs/{run_id}/explain/{quote(address, safe='')}", **questions)

    def explanation(self, run_id: str, address: str, *, format: str, **questions: Any) -> str:
        """The same as markdown, latex or html."""
        path = f"/v1/runs/{run_id}/explain/{quote(address, safe='')}"
        return self._request("GET", path, params={**questions, "format": format}).text

    def gains(self, run_id: str, **questions: Any) -> GainsBody:
        """What each operation makes of the gradient's norm, from the loss down: `dataset_rows={"part": "train"}`."""
        return self._post(GainsBody, f"/v1/runs/{run_id}/gains", questions)

    def paths(self, run_id: str, address: str, **questions: Any) -> PathsBody:
        """The largest parts of one weight's gradient."""
        return self._post(PathsBody, f"/v1/runs/{run_id}/paths", {"address": address, **questions})

    def doctor(self, run_id: str) -> Diagnosis:
        """What is wrong with a run, the worst first."""
        return self._get(Diagnosis, f"/v1/runs/{run_id}/doctor")

    def consult(self, run_id: str, **questions: Any) -> Diagnosis:
        """The same with other thresholds, or with remedies tried: `consult(run, test=True)`."""
        return self._post(Diagnosis, f"/v1/runs/{run_id}/doctor", questions)

    def influence(self, run_id: str, **question: Any) -> InfluenceBody:
        """The training rows that did most to a loss."""
        return self._post(InfluenceBody, f"/v1/runs/{run_id}/influence", question)

    def ranking(self, run_id: str, **options: Any) -> RankingBody:
        """A part's rows by loss, gradient norm, self-influence or suspicion."""
        return self._get(RankingBody, f"/v1/runs/{run_id}/ranking", **options)

    def limits(self) -> dict[str, int]:
        """What one request or run may ask for, by name."""
        return dict(self._request("GET", "/v1/limits").json())

    def is_live(self) -> bool:
        """Whether a server answers."""
        try:
            return self._http.get("/v1/health/live", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False

    # HTTP ----------------------------------------------------------------------------------------------------------

    def _get(self, kind: type[BodyT], path: str, **params: Any) -> BodyT:
        return self._read(kind, self._request("GET", path, params=params))

    def _post(self, kind: type[BodyT], path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> BodyT:
        return self._read(kind, self._request("POST", path, json=body, headers=dict(headers or {})))

    def _read(self, kind: type[BodyT], answer: httpx.Response) -> BodyT:
        try:
            found = kind.model_validate_json(answer.content)
        except ValidationError as error:
            detail = f"{answer.request.url} answered in another form; is this a Chainrule server of this release?"
            raise Unreachable(detail) from error
        if isinstance(found, Run):
            found.curves_from(lambda: self.losses(found.id, points=SHOWN_POINTS))
        return found

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if "params" in options:
            options["params"] = {name: value for name, value in options["params"].items() if value is not None}
        for remaining in range(3 if method == "GET" else 1, 0, -1):
            try:
                answer = self._http.request(method, path, **options)
            except httpx.ReadTimeout as error:
                if remaining == 1:
                    raise Unreachable(
                        f"the server at {self.url} is there, but gave no answer in {self.timeout_seconds:g} seconds"
                    ) from error
            except httpx.TransportError as error:
                if remaining == 1:
                    raise Unreachable(f"no server answers at {self.url}: {error}") from error
                time.sleep(0.2)
            else:
                _raise_for(answer)
                return answer
        raise AssertionError("unreachable")


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a file, as query parameters."""
    return {name: json.dumps(value) if name in ("types", "na") else value for name, value in options.items()}


def media_type_of(path: Path) -> str:
    """What a file seems to be by its name."""
    return MEDIA_TYPES.get(_plain(path).suffix.lower(), ANY_MEDIA_TYPE)


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _raise_for(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        raise ProblemError(ProblemBody.model_validate_json(answer.content))
    detail = f"{answer.request.url} answered {answer.status_code}; is this a Chainrule server?"
    raise Unreachable(detail)
