"""Evidence: the script recomputes every kind of step, and names the array in which one number was changed."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import Observer, verify_step
from engine.inspection.evidence import check_evidence, evidence
from engine.layers.activations import ACTIVATIONS
from engine.losses import LOSSES
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.spec import RunSpec, TargetFacts, resolve
from engine.training import TrainingData, TrainingState, epoch_order
from engine.training.trainer import Trainer
from tests.engine.factories import rows, targets

M, FEATURES = 40, 4
RATES = {"lion": 1e-3, "adadelta": 1.0}


def packed(
    tmp_path: Path,
    *,
    activation: Any = "tanh",
    loss: str = "cross_entropy",
    optimizer: Any = "sgd",
    weights: bool = False,
    steps: int = 3,
    hidden: list[Any] | None = None,
    **training: Any,
) -> Path:
    """The step.npz of a small training's step."""
    n_out = 1 if "binary" in loss or "hinge" in loss else 3
    kinds = {"cross_entropy": "multiclass", "kullback_leibler": "multiclass", "focal": "multiclass"}
    kind = "binary" if n_out == 1 else kinds.get(loss, "regression")
    options = {"type": optimizer} if isinstance(optimizer, str) else optimizer
    layers = hidden or [{"type": "dense", "units": 5, "activation": activation}]
    asked = RunSpec.model_validate(
        {
            "target": [f"y{place}" for place in range(n_out)] if kind == "regression" else "y",
            "network": {"layers": layers},
            "training": {
                "loss": loss,
                "optimizer": {"learning_rate": RATES.get(options["type"], 0.01), **options},
                "batch_size": 16,
                "dtype": "float64",
                "l2": 0,
                **training,
            },
        }
    )
    spec = resolve(asked, TargetFacts(kind, n_out), features=("x",), has_validation=False)  # type: ignore[arg-type]
    net = Network.of(spec, n_in=FEATURES)
    dtype = spec.training.dtype
    data = TrainingData(rows(M, FEATURES, dtype=dtype), targets(loss, M, n_out, dtype=dtype), kind=kind)  # type: ignore[arg-type]
    if weights:
        data = replace(data, weights=np.linspace(0.5, 2, M))
    state = TrainingState.of(spec, net, data)
    observer = Observer(Trainer(net, data, spec.training, state, seed=0, steps_at_once=None))
    order = epoch_order(M, seed=0, epoch=0)
    for _ in range(min(steps, 3)):
        step = observer.take(order)
    its = None if data.weights is None else data.weights[step.rows]
    whole = evidence(step, net, spec, updates=state.updates, weights=its, about={"run": "run_1"})
    zipfile.ZipFile(io.BytesIO(whole)).extractall(tmp_path)
    return tmp_path / "step.npz"


def agrees(path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    code = verify_step.main(str(path))
    shown = capsys.readouterr().out
    assert code == 0, "\n".join(line for line in shown.splitlines() if not line.startswith("ok"))
    return "0 of them wrong" in shown


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(packed(tmp_path, activation=activation), capsys)


@pytest.mark.parametrize("options", [{"type": "gelu", "approximate": "tanh"}, {"type": "prelu", "shared": True}])
def test_options_of_activations(options: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(packed(tmp_path, activation=options), capsys)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(packed(tmp_path, loss=loss), capsys)


@pytest.mark.parametrize(
    "optimizer",
    [
        *(name for name, kind in OPTIMIZERS.items() if not kind.full_batch),
        {"type": "sgd", "momentum": 0.9},
        {"type": "sgd", "momentum": 0.9, "nesterov": True},
        {"type": "sgd", "momentum": 0.9, "dampening": 0.5},
        {"type": "rmsprop", "momentum": 0.9, "centered": True},
        {"type": "lion", "weight_decay": 0.1},
    ],
    ids=str,
)
def test_every_optimizer(optimizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(packed(tmp_path, optimizer=optimizer), capsys)


@pytest.mark.parametrize(
    "training",
    [
        {"l1": 0.01, "l2": 0.1},
        {"clip": {"type": "value", "limit": 0.01}},
        {"clip": {"type": "norm", "limit": 0.01}},
        {"clip": {"type": "layer", "limit": 0.01}},
        {"max_norm": 0.5},
        {"frozen": [1]},
        {"learning_rate_factors": {"1": 0.1}},
        {"dtype": "float32"},
        {"weights": True},
        {"average": {"decay": 0.9}},
        {"shards": 2},
    ],
    ids=str,
)
def test_every_option_of_a_step(training: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agrees(packed(tmp_path, **training), capsys)


def test_dropout_is_read_off_what_it_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = [{"type": "dense", "units": 6, "activation": "relu"}, {"type": "dropout", "rate": 0.4}]

    assert agrees(packed(tmp_path, hidden=hidden), capsys)


@pytest.mark.parametrize("name", ["Z.1", "A.1", "dZ.1", "dW.1", "gradient.b.2", "after.W.2", "after.opt.V.W.1", "loss"])
def test_a_number_that_was_changed_is_found_by_a_stranger(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path, optimizer="adam")
    with np.load(path) as file:
        arrays = dict(file)
    arrays[name] = arrays[name].copy()
    arrays[name].reshape(-1)[0] += 0.01 * (1 + abs(arrays[name].reshape(-1)[0]))
    np.savez(path, **arrays)

    done = subprocess.run(
        [sys.executable, "-I", "verify_step.py", "step.npz"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1, done.stdout
    assert any(line.split()[:2] == ["WRONG", name] for line in done.stdout.splitlines())


def test_the_script_needs_numpy_alone() -> None:
    lines = Path(verify_step.__file__).read_text().splitlines()
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}

    assert imported <= {"collections", "json", "math", "numpy", "sys", "typing"}


@pytest.mark.parametrize(
    ("layers", "training", "place"),
    [
        ([{"type": "layer_norm"}], {}, "layer_norm"),
        ([], {"optimizer": {"type": "lbfgs"}}, "lbfgs"),
        ([], {"accumulate": 2}, "several"),
    ],
)
def test_what_the_script_does_not_know_is_refused(layers: Any, training: Any, place: str) -> None:
    asked = RunSpec.model_validate({"target": "y", "network": {"layers": layers}, "training": training})
    spec = resolve(asked, TargetFacts("multiclass", 3), features=("x",), has_validation=False)

    with pytest.raises(SpecError, match=place):
        check_evidence(Network.of(spec, n_in=4), spec)
