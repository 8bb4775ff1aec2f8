import pytest

from engine.catalogue import catalogue
from engine.clipping import CLIPS
from engine.initializers import INITIALIZERS
from engine.layers import ACTIVATIONS, LAYERS
from engine.losses import LOSSES
from engine.optimizers import OPTIMIZERS
from engine.schedules import SCHEDULES

TABLES = {
    "layers": LAYERS,
    "activations": ACTIVATIONS,
    "losses": LOSSES,
    "initializers": INITIALIZERS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "clips": CLIPS,
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_names_each_entry_as_its_spec_does(kind: str) -> None:
    assert [entry["name"] for entry in catalogue()[kind]] == list(TABLES[kind])
    assert {name: entry.spec.model_fields["type"].default for name, entry in TABLES[kind].items()} == {
        name: name for name in TABLES[kind]
    }


def test_every_entry_says_what_it_is_and_where_it_comes_from() -> None:
    for kind, entries in catalogue().items():
        for entry in entries:
            assert entry["summary"].endswith((".", ":")), (kind, entry)
            assert entry["formula"], (kind, entry)
            assert entry["source"], (kind, entry)


def test_parameters_are_described_with_their_bounds() -> None:
    dropout = next(entry for entry in catalogue()["layers"] if entry["name"] == "dropout")

    assert dropout["parameters"]["rate"]["minimum"] == 0
    assert dropout["parameters"]["rate"]["exclusiveMaximum"] == 1
