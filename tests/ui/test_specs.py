"""Specs in words, and where they differ."""

from service.ui import specs

SIGMOID = {"type": "dense", "units": 24, "activation": {"type": "sigmoid"}, "use_bias": True}


def test_like_layers_are_counted() -> None:
    normal = {**SIGMOID, "init": {"type": "normal", "mean": 0.0, "std": 0.3}}

    assert specs.layers([normal] * 3) == "3 × dense of 24, sigmoid, normal mean 0 std 0.3"
    assert specs.layers([SIGMOID, {"type": "dropout", "rate": 0.3}]) == "dense of 24, sigmoid; dropout, rate 0.3"
    assert specs.layers([]) == "none"
    assert specs.layer(normal) == "dense of 24, sigmoid"


def test_what_is_the_same_in_all_is_left_out() -> None:
    a = {"network": {"layers": [SIGMOID]}, "training": {"epochs": 3, "l2": 0.1}, "name": "a"}
    b = {"network": {"layers": [SIGMOID] * 2}, "training": {"epochs": 3, "clip": None}, "name": "b"}

    assert specs.differences([a, b], without=["name"]) == [
        ("network.layers", ["dense of 24, sigmoid", "2 × dense of 24, sigmoid"]),
        ("training.l2", ["0.1", "–"]),
        ("training.clip", ["–", "null"]),
    ]
    assert specs.differences([a, a]) == []


def test_layers_inside_others_are_told_too() -> None:
    block = {"type": "residual", "layers": [SIGMOID, SIGMOID]}

    assert specs.layers([block]) == "residual, 2 × dense of 24, sigmoid"
