import numpy as np
import pytest
from sklearn.datasets import load_iris

from engine.data import target_profile
from engine.errors import DataError
from tests.engine.data.factories import table


def test_classes_are_counted_in_the_order_of_the_outputs() -> None:
    found = target_profile(table(x=[1.5, 2.5, 3.5, 4.5], label=["b", "a", "b", None]), "label")

    assert (found["name"], found["task"], found["rows"]) == ("label", "classification", 3)
    assert found["classes"] == [
        {"name": "a", "count": 1, "share": pytest.approx(1 / 3)},
        {"name": "b", "count": 2, "share": pytest.approx(2 / 3)},
    ]


def test_what_numbers_tell_of_classes_is_the_correlation_ratio() -> None:
    iris = load_iris()
    columns = {f"x{place}": iris.data[:, place].tolist() for place in range(4)}

    found = target_profile(table(**columns, species=[f"s{code}" for code in iris.target]), "species")["strengths"]

    for place in range(4):
        x = iris.data[:, place]
        means = np.array([x[iris.target == code].mean() for code in range(3)])[iris.target]
        assert found[f"x{place}"]["measure"] == "correlation_ratio"
        assert found[f"x{place}"]["strength"] == pytest.approx(np.sqrt(means.var() / x.var()), rel=1e-9)


def test_what_columns_tell_of_a_number_leaves_out_rows_where_either_is_blank() -> None:
    generator = np.random.default_rng(5)
    x, y = generator.normal(size=80), generator.normal(size=80)
    y += x
    kinds = generator.integers(0, 3, 80)
    cells = [None if row < 7 else value for row, value in enumerate(x.tolist())]
    targets = [None if row in (3, 20) else value for row, value in enumerate(y.tolist())]

    found = target_profile(table(x=cells, kind=[f"k{kind}" for kind in kinds], y=targets), "y")

    both = np.array([row for row in range(7, 80) if row != 20])
    present = np.array([row for row in range(80) if row not in (3, 20)])
    means = np.array([y[present][kinds[present] == kind].mean() for kind in range(3)])[kinds[present]]
    assert (found["task"], found["rows"], found["classes"]) == ("regression", 78, None)
    assert found["strengths"]["x"] == {
        "measure": "pearson",
        "strength": pytest.approx(abs(np.corrcoef(x[both], y[both])[0, 1])),
    }
    assert found["strengths"]["kind"] == {
        "measure": "correlation_ratio",
        "strength": pytest.approx(np.sqrt(means.var() / y[present].var())),
    }


def test_what_texts_tell_of_classes_is_cramers_v() -> None:
    label, same = ["a", "b"] * 20, ["u", "v"] * 20
    mixed = ["u", "u", "v", "v"] * 10

    found = target_profile(table(same=same, mixed=mixed, label=label), "label")["strengths"]

    assert found["same"] == {"measure": "cramers_v", "strength": pytest.approx(1.0)}
    assert found["mixed"] == {"measure": "cramers_v", "strength": pytest.approx(0.0)}


def test_what_can_not_tell_anything_has_no_strength() -> None:
    words = [f"w{row // 4}" for row in range(40)]

    found = target_profile(table(same=[7] * 40, blank=[None] * 40, words=words, label=["a", "b"] * 20), "label")[
        "strengths"
    ]

    assert [each["strength"] for each in found.values()] == [None, None, None]


def test_a_target_that_is_not_there_or_does_not_vary_is_refused() -> None:
    with pytest.raises(DataError, match="there is no column 'z'"):
        target_profile(table(x=[1, 2], y=[1, 1]), "z")
    with pytest.raises(DataError, match="expected y to vary"):
        target_profile(table(x=[1, 2], y=[1, 1]), "y")
