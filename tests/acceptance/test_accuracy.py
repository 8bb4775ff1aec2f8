"""With no options but dataset and target, the defaults learn real tables well."""

from collections.abc import Iterator

import pytest

from service.samples import DIGITS, PENGUINS, Sample
from tests.support import PATIENCE_SECONDS, Server, server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("accuracy") / "data") as found:
        yield found


@pytest.mark.parametrize(("sample", "least"), [(PENGUINS, 0.95), (DIGITS, 0.96)], ids=["penguins", "digits"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_defaults_learn(served: Server, sample: Sample, least: float, seed: int) -> None:
    dataset = served.client.upload_bytes(sample.content(), name=sample.name)
    run = served.client.create_run(dataset=dataset.id, target=sample.target, seed=seed)

    done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

    assert done.metrics is not None
    assert (done.metrics["test"] or {})["accuracy"] >= least
