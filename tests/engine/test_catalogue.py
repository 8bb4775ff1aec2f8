from typing import get_args

from engine import spec
from engine.catalogue import catalogue


def names(kind: str) -> set[str]:
    return {entry["name"] for entry in catalogue()[kind]}


def test_everything_a_spec_can_name_is_listed() -> None:
    assert names("losses") == set(get_args(spec.LossName))
    assert names("initializers") == set(get_args(spec.InitializerName)) - {"auto"}
    assert names("activations") == {
        kind.model_fields["type"].default for kind in get_args(get_args(spec.ActivationSpec)[0])
    }
    assert names("layers") == {"dense", "dropout", "activation"}
    assert names("optimizers") == {"sgd", "adam"}
    assert {monitor.split(".")[1] for monitor in get_args(spec.Monitor)} == names("metrics") | {"loss"}


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
