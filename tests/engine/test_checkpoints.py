import numpy as np
import pytest

from engine import checkpoints
from engine.errors import CheckpointError
from engine.training import Best, TrainingState, train
from tests.engine.factories import clusters, dense, network, start, training


def trained() -> tuple[bytes, TrainingState]:
    net, spec = network(), training(epochs=3)
    state = start(net, spec)
    for _ in train(net, clusters(), spec, state, seed=7):
        pass
    return checkpoints.dump(state, net), state


def test_every_field_of_the_state_survives_the_bytes() -> None:
    content, state = trained()

    found = checkpoints.load(content, network())

    for name, value in vars(state).items():
        np.testing.assert_equal(_plain(getattr(found, name)), _plain(value), err_msg=name)


def _plain(value: object) -> object:
    return vars(value) if isinstance(value, Best) else value


def test_a_copy_stays_what_it_was_while_the_training_goes_on() -> None:
    net = network()
    spec = training(epochs=6, average={"decay": 0.9}, accumulate=2, schedule="reduce_on_plateau")
    state = start(net, spec)
    reports = train(net, clusters(), spec, state, seed=7)
    for _ in range(2):
        next(reports)

    copied, content = state.copy(), checkpoints.dump(state, net)
    for _ in reports:
        pass

    assert checkpoints.dump(copied, net) == content
    assert checkpoints.dump(state, net) != content


def test_loaded_vectors_can_be_trained_on() -> None:
    content, _ = trained()

    state = checkpoints.load(content, network())

    assert state.parameters.flags.writeable
    assert all(moment.flags.writeable for moment in state.moments.values())
    assert state.best is not None
    assert state.best.parameters is not state.parameters
    assert state.best.parameters.flags.writeable


def test_the_parameters_can_be_read_alone() -> None:
    content, _ = trained()

    state = checkpoints.load(content, network())

    np.testing.assert_array_equal(checkpoints.parameters_in(content, network()), state.parameters)


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:40], lambda b: b"", lambda b: b"\xff" * 8 + b[8:]])
def test_damaged_bytes_are_refused(damage: object) -> None:
    content, _ = trained()

    with pytest.raises(CheckpointError, match="damage"):
        checkpoints.load(damage(content), network())  # type: ignore[operator]


def test_a_checkpoint_of_another_network_is_refused_naming_both() -> None:
    content, _ = trained()

    with pytest.raises(CheckpointError, match=r"'W\.1': \[4, 9\].*'W\.1': \[4, 5\]"):
        checkpoints.load(content, network(dense(9), dense(3, "softmax")))


def test_a_foreign_safetensors_file_is_refused() -> None:
    foreign = checkpoints.export({"W": np.ones(3)}, {"made": "elsewhere"})

    with pytest.raises(CheckpointError):
        checkpoints.load(foreign, network())
