import numpy as np
import pytest

from engine.randomness import PURPOSES, generator


def test_equal_places_draw_equal_numbers() -> None:
    first = generator(7, "dropout", epoch=3, step=11, layer=2, shard=1).random(100)

    assert np.array_equal(first, generator(7, "dropout", epoch=3, step=11, layer=2, shard=1).random(100))


@pytest.mark.parametrize("change", [{"epoch": 4}, {"step": 12}, {"layer": 3}, {"shard": 2}])
def test_every_part_of_the_place_changes_the_numbers(change: dict[str, int]) -> None:
    place = {"epoch": 3, "step": 11, "layer": 2, "shard": 1}

    first = generator(7, "dropout", **place).random(100)
    other = generator(7, "dropout", **(place | change)).random(100)

    assert not np.isin(other, first).any()


def test_purposes_and_seeds_do_not_share_numbers() -> None:
    drawn = [generator(seed, purpose).random(50) for seed in (0, 1, 2**63 - 1) for purpose in PURPOSES]

    assert np.unique(np.concatenate(drawn)).size == 50 * 3 * len(PURPOSES)


def test_the_numbers_are_the_same_on_every_machine() -> None:
    bits = generator(42, "shuffle", epoch=1).bit_generator.random_raw(3)

    assert [int(word) for word in bits] == [3625313732366222198, 389081565256994788, 9335691844570072973]
