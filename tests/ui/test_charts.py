"""Charts: well-formed, escaped, with every number where it belongs."""

import xml.etree.ElementTree as ElementTree
from math import inf, nan

import pytest

from service.ui import charts, numbers
from service.ui.charts import Cell, Column, Dot, Series, Unit

HOSTILE = '<img src=x onerror="alert(1)">'
NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(chart: str) -> ElementTree.Element:
    """The chart, read as strictly as XML is."""
    found = ElementTree.fromstring(chart)
    assert not list(found.iter(f"{NAMESPACE}img"))
    assert not list(found.iter(f"{NAMESPACE}script"))
    assert not any("style" in each.attrib for each in found.iter())
    return found


def texts(found: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in found.iter(f"{NAMESPACE}text")]


def points(found: ElementTree.Element) -> list[list[tuple[float, float]]]:
    lines = [each.attrib["points"].split() for each in found.iter(f"{NAMESPACE}polyline")]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line)] for line in lines]


def line(*values: float | None, **options: object) -> ElementTree.Element:
    x = list(range(1, len(values) + 1))
    return drawn(charts.lines(x, [Series("loss", values)], title="loss", x_label="epoch", y_label="nats", **options))  # type: ignore[arg-type]


def test_larger_numbers_stand_higher_and_later_ones_further_right() -> None:
    [found] = points(line(1.0, 3.0, 2.0))

    (x1, y1), (x2, y2), (x3, y3) = found
    assert x1 < x2 < x3
    assert y2 < y3 < y1


def test_equal_ratios_are_equal_distances_on_a_logarithmic_scale() -> None:
    [found] = points(line(0.001, 0.1, 10.0, is_log=True))

    heights = [y for _, y in found]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)


def test_what_is_not_measured_is_a_gap_and_what_is_not_finite_is_told() -> None:
    found = line(1.0, 2.0, None, 2.0, 3.0, nan, inf)

    assert len(points(found)) == 2
    assert "not finite from 6 on" in texts(found)


def test_the_best_epoch_the_axes_and_the_series_are_named() -> None:
    found = line(3.0, 1.0, 2.0, mark=2)

    assert {"best 2", "epoch", "nats", "loss"} <= set(texts(found))
    assert [text for text in texts(found) if text in ("1", "2", "3")][:1], "epochs are whole"


@pytest.mark.parametrize(
    "chart",
    [
        charts.lines([1, 2], [Series(HOSTILE, (1, 2))], title=HOSTILE, x_label=HOSTILE, y_label=HOSTILE),
        charts.heat_map([HOSTILE], [HOSTILE], [[Cell(1.0, HOSTILE)]], title=HOSTILE, x_label=HOSTILE, unit=HOSTILE),
        charts.histogram([0, 1, 2], [3, 4], title=HOSTILE, x_label=HOSTILE),
        charts.bars([HOSTILE], [1.0], title=HOSTILE, texts=[HOSTILE]),
        charts.sparkline([1, 2, 3], title=HOSTILE),
        charts.small_histogram([1, 2], title=HOSTILE),
        charts.scatter([Dot(1, 2, title=HOSTILE)], title=HOSTILE, x_label=HOSTILE, y_label=HOSTILE, has_same=True),
        charts.picture("data:,", title=HOSTILE, x=(0, 1), y=(0, 1), x_label=HOSTILE, y_label=HOSTILE),
        charts.image("data:,", title=HOSTILE, shape=(2, 3)),
        charts.ridges([HOSTILE], [[1, 2]], (0, 1), title=HOSTILE, x_label=HOSTILE),
        charts.network([Column(HOSTILE, HOSTILE, [Unit("d0", HOSTILE, is_dead=True)], 9, HOSTILE)], title=HOSTILE),
    ],
    ids=[
        "lines",
        "heat_map",
        "histogram",
        "bars",
        "sparkline",
        "small_histogram",
        "scatter",
        "picture",
        "image",
        "ridges",
        "network",
    ],
)
def test_names_are_escaped(chart: str) -> None:
    assert drawn(chart).attrib["aria-label"] == HOSTILE


def test_a_heat_map_shades_by_size_in_one_hue_and_says_each_number() -> None:
    cells = [[Cell(0.0), Cell(5.0), Cell(None)], [Cell(10.0), Cell(nan), Cell(2.5, "/there")]]

    found = drawn(charts.heat_map(["a", "b"], ["1", "2", "3"], cells, title="t", x_label="step", unit="nats"))

    squares = [each for each in found.iter(f"{NAMESPACE}rect") if list(each)]
    assert [each.attrib["class"] for each in squares] == ["h0", "h4", "none", "h8", "none", "h2"]
    assert "b, step 1: 10 nats" in ["".join(each.itertext()) for each in squares]
    assert [each.attrib["href"] for each in found.iter(f"{NAMESPACE}a")] == ["/there"]


def test_a_histograms_bars_are_as_high_as_their_counts() -> None:
    found = drawn(charts.histogram([0.0, 1.0, 2.0], [2, 4], title="t", x_label="x"))

    low, high = (float(each.attrib["height"]) for each in found.iter(f"{NAMESPACE}rect"))
    assert high == pytest.approx(2 * low, abs=0.2)


@pytest.mark.parametrize("values", [(), (None, None), (nan,)])
def test_where_there_is_nothing_that_is_said(values: tuple[float | None, ...]) -> None:
    x = list(range(len(values)))
    assert "nothing to draw" in charts.lines(x, [Series("a", values)], title="t", x_label="x", y_label="y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (None, "–"), (nan, "not finite"), (0.123456, "0.1235"), (12.5, "12.5"), (1e-7, "1.00·10⁻⁷"),
        (-3.0, "-3"), (123456.0, "123456"), (2.5e9, "2.50·10⁹"), (1234567, "1\u202f234\u202f567"),
    ],
)  # fmt: skip
def test_numbers_are_written_to_be_read(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


def test_durations_and_sizes_have_the_unit_that_suits_them() -> None:
    assert [numbers.duration(each) for each in (0.5, 75, 7300)] == ["0.5 s", "1 min 15 s", "2 h 01 min"]
    assert [numbers.size(each) for each in (12, 2048, 3_500_000)] == ["12 bytes", "2.05 kB", "3.5 MB"]


def test_where_both_numbers_are_the_same_a_dot_lies_on_the_line() -> None:
    dots = [Dot(1, 1), Dot(3, 3), Dot(2, 5), Dot(nan, 1)]
    found = drawn(charts.scatter(dots, title="t", x_label="true", y_label="said", has_same=True))

    [line] = [each.attrib for each in found.iter(f"{NAMESPACE}line") if each.attrib["class"] == "same"]
    x1, y1, x2, y2 = (float(line[name]) for name in ("x1", "y1", "x2", "y2"))
    off = []
    for dot in found.iter(f"{NAMESPACE}circle"):
        x, y = float(dot.attrib["cx"]), float(dot.attrib["cy"])
        off.append(y - (y1 + (x - x1) / (x2 - x1) * (y2 - y1)))
    assert off[:2] == [pytest.approx(0, abs=0.2)] * 2
    assert off[2] < -10, "more is said than is true"


def test_a_ridge_is_as_high_as_its_bin_is_full() -> None:
    found = drawn(charts.ridges(["1", "2"], [[0, 4, 0], [2, 0, 0]], (0.0, 3.0), title="t", x_label="w"))

    ridges = [each.attrib["points"].split() for each in found.iter(f"{NAMESPACE}polygon")]
    rise = [max(float(each[0].split(",")[1]) - float(point.split(",")[1]) for point in each) for each in ridges]
    assert rise[0] == pytest.approx(2 * rise[1], abs=0.2)


def test_a_strong_weight_is_a_wide_line_and_a_negative_one_another_colour() -> None:
    units = [Unit("d4", "a"), Unit("d4", "b")]
    columns = [Column("in", "2", units, 2), Column("out", "2", units, 2, weights=[[2.0, -1.0], [0.01, nan]])]

    lines = list(drawn(charts.network(columns, title="t")).iter(f"{NAMESPACE}line"))

    assert [each.attrib["class"] for each in lines] == ["plus", "minus"], "what is faint or no number is not drawn"
    assert float(lines[0].attrib["stroke-width"]) > float(lines[1].attrib["stroke-width"])


def test_a_few_are_seen_beside_many_on_a_logarithmic_scale() -> None:
    def heights(*, is_log: bool) -> list[float]:
        found = drawn(charts.histogram([0, 1, 2, 3], [1, 0, 1000], title="t", x_label="w", is_log=is_log))
        bars = [each.attrib for each in found.iter(f"{NAMESPACE}rect") if each.attrib["class"] == "bar"]
        return [float(each["height"]) for each in bars]

    assert len(heights(is_log=True)) == 2, "none is no bar"
    assert heights(is_log=False)[0] < 1
    assert heights(is_log=True)[0] > 5
