"""Which rows of a dataset train, validate and test, over HTTP."""

from typing import Any

import pytest

from tests.support import QUICK, Api, problem

ROWS = "".join(
    f"{i},{i * i % 7},{i // 4},2024-01-{i % 28 + 1:02d},{('train', 'train', 'val', 'Test')[i % 4]},{i % 3 + 1},"
    f"{'' if i == 8 else 'even' if i % 2 == 0 else 'odd'}\n"
    for i in range(40)
)
TABLE = f"x,y,house,day,part,w,label\n{ROWS}".encode()


def split_of(api: Api, **more: Any) -> dict[str, Any]:
    run = api.create(dataset=api.upload(TABLE), **more)
    answer = api.get(f"/v1/runs/{run['id']}/split")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_row_with_a_target_is_in_one_part(shared: Api) -> None:
    found = split_of(shared)

    assert sorted([*found["train"], *found["validation"], *found["test"]]) == [i for i in range(40) if i != 8]
    assert (found["left_out"], found["total"]) == (1, 40)
    assert len(found["test"]) == 6


def test_a_houses_rows_stay_together(shared: Api) -> None:
    found = split_of(shared, split={"group": "house", "validation": 0.2, "test": 0.2})

    houses = [{row // 4 for row in found[part]} for part in ("train", "validation", "test")]
    assert sum(map(len, houses)) == 10
    assert all(houses)


def test_the_latest_rows_test(shared: Api) -> None:
    found = split_of(shared, split={"time": "day", "validation": 0, "test": 0.25})

    days = {part: {row % 28 for row in found[part]} for part in ("train", "test")}
    assert max(days["train"]) < min(days["test"])


def test_a_column_can_name_the_parts(shared: Api) -> None:
    found = split_of(shared, split={"part": "part"})

    assert found["test"] == [i for i in range(40) if i % 4 == 3]
    assert found["validation"] == [i for i in range(40) if i % 4 == 2]


def test_the_folds_hold_every_row_once(shared: Api) -> None:
    tested = [split_of(shared, split={"folds": 3, "fold": fold, "validation": 0})["test"] for fold in range(3)]

    assert sorted(row for fold in tested for row in fold) == [i for i in range(40) if i != 8]


def test_nothing_is_learned_from_what_splits_or_weighs(shared: Api) -> None:
    run = shared.create(dataset=shared.upload(TABLE), split={"part": "part"}, weight="w")

    assert run["resolved"]["features"] == ["x", "y", "house", "day"]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"split": {"part": "house"}}, "/rows/0/house", "unknown_part"),
        ({"split": {"time": "part"}}, "/split/time", "not_numbers"),
        ({"split": {"group": "street"}}, "/split/group", "unknown_column"),
        ({"split": {"group": "label"}}, "/split/group", "target_in_features"),
        ({"weight": "part"}, "/weight", "not_numbers"),
        ({"training": {"class_weight": {"maybe": 2}}}, "/training/class_weight", "unknown_class"),
    ],
)
def test_a_split_or_weight_that_can_not_be_is_refused_by_its_place(
    shared: Api, change: dict[str, Any], pointer: str, code: str
) -> None:
    body = {"dataset": shared.upload(TABLE), "target": "label", **QUICK, **change}

    faults = problem(shared.post("/v1/runs", body), 422)["errors"]

    assert [(fault["pointer"], fault["code"]) for fault in faults] == [(pointer, code)]


def test_a_dataset_whose_file_is_gone_has_no_split_to_show(api: Api) -> None:
    run = api.create()
    for path in (api.settings.data / "datasets").iterdir():
        path.unlink()

    problem(api.get(f"/v1/runs/{run['id']}/split"), 409, "dataset_missing")


def test_a_runs_preprocessing_names_every_input(shared: Api) -> None:
    run = shared.create(
        dataset=shared.upload(TABLE), features=["x", "part"], training={"epochs": 1, "class_weight": "balanced"}
    )

    found = shared.get(f"/v1/runs/{run['id']}/preprocessing").json()

    assert found["inputs"] == ["x", "part=Test", "part=train", "part=val"]
    assert set(found["class_weights"]) == {"even", "odd"}
    assert [feature["encoding"] for feature in found["features"]] == ["number", "one_hot"]


def test_weights_reach_a_runs_metrics(api: Api) -> None:
    columns = {"x": [1.0, 2, 3, 4] * 10, "w": [1, 1, 1, 5] * 10, "part": ["train", "test"] * 20, "y": [0, 1, 1, 0] * 10}
    dataset = api.post("/v1/datasets", {"columns": columns}).json()["id"]
    asked = {"target": "y", "split": {"part": "part"}, "task": "classification", "training": {"epochs": 2}}
    plain, weighted = (api.train(dataset=dataset, **asked, **more) for more in ({"features": ["x"]}, {"weight": "w"}))

    assert plain["metrics"]["test"]["accuracy"] == 0.5
    assert weighted["metrics"]["test"]["accuracy"] in (pytest.approx(1 / 6), pytest.approx(5 / 6))
