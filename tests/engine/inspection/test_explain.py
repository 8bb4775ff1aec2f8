"""Explanations: every line's number is the pass's own, in every notation, for every activation and loss."""

from itertools import product
from math import prod
from xml.etree import ElementTree

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import inspect, shape_of
from engine.inspection.explain import as_html, as_json, as_latex, as_markdown, explain, sheet
from engine.inspection.names import tensor_names
from engine.layers.activations import ACTIVATIONS
from engine.losses import LOSSES
from tests.engine.factories import dense, head_of, loss_of, network, rows, targets

M = 3


def subject(activation: str = "tanh", loss: str = "cross_entropy"):
    n_out = 1 if "binary" in loss else 3
    net = network(dense(3, activation), dense(n_out, head_of(loss)), n_in=2, loss=loss_of(loss))
    flat = net.initial_parameters(seed=3, dtype="float64")
    return net, flat, rows(M, 2), targets(loss, M, net.n_out)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "softmax"])
def test_every_number_of_a_pass_comes_to_what_the_pass_gave(activation: str) -> None:
    net, flat, X, Y = subject(activation)
    names = tensor_names(net)
    passed = inspect(net, flat, X, Y, quantities=names)

    for name in names:
        shape = shape_of(net, name, M)
        for index in list(product(*map(range, shape)))[:: max(1, prod(shape) // 4)]:
            found = explain(net, flat, X, Y, address=f"{name}[{','.join(map(str, index))}]")

            np.testing.assert_allclose(found.value, passed.tensors[name][index], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("head", ["shortcut", "general"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_and_its_derivative_are_written_out(loss: str, head: str) -> None:
    net, flat, X, Y = subject(loss=loss)
    passed = inspect(net, flat, X, Y, quantities=["dZ.2", "dA.2"], head="general")

    for example in range(M):
        lost = explain(net, flat, X, Y, address=f"loss[{example}]")
        np.testing.assert_allclose(lost.value, passed.example_losses[example], rtol=1e-12)
        try:
            bent = explain(net, flat, X, Y, address=f"dZ.2[{example},0]", head=head)
        except SpecError:
            assert head == "shortcut"
            continue
        np.testing.assert_allclose(bent.value, passed.tensors["dZ.2"][example, 0], rtol=1e-9, atol=1e-13)


def test_a_sum_lists_its_terms_and_the_subtotal_of_the_others() -> None:
    net, flat, X, Y = subject()

    found = as_json(explain(net, flat, X, Y, address="dW.1[1,2]", terms=2))
    whole = inspect(net, flat, X, Y, quantities=["dW.1", "dZ.1"])

    parts = X[:, 1] * whole.tensors["dZ.1"][:, 2] / M
    assert found["value"] == pytest.approx(parts.sum(), rel=1e-14)
    assert found["ulps"] <= 4
    rests = [line for line in found["sections"][0]["lines"] if "rest" in str(line["right"])]
    assert rests, found["sections"][0]["lines"]


def test_columns_are_addressed_as_the_textbook_does() -> None:
    net, flat, X, Y = subject()

    in_rows = explain(net, flat, X, Y, address="dW.1[1,2]")
    in_columns = explain(net, flat, X, Y, address="dW.1[2,1]", orientation="columns")

    assert in_rows.value == in_columns.value
    assert in_columns.address == "dW.1[2,1]"


def test_a_weighted_row_counts_as_often_as_its_weight_says() -> None:
    net, flat, X, Y = subject()
    twice, Y_twice = np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]])

    weighted = explain(net, flat, X, Y, address="dW.1[0,0]", weights=np.array([2.0, 1.0, 1.0]))

    assert weighted.value == pytest.approx(explain(net, flat, twice, Y_twice, address="dW.1[0,0]").value, rel=1e-13)


@pytest.mark.parametrize("address", ["dW.2[0,1]", "loss", "A.2[0,1]"])
def test_every_notation_is_whole(address: str) -> None:
    net, flat, X, Y = subject()
    found = explain(net, flat, X, Y, address=address)

    page = as_html(found, link=lambda name: f"?<{name}>")
    body = ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>\n"))
    math = body.findall(".//{http://www.w3.org/1998/Math/MathML}math")
    latex = as_latex(found)

    assert len(math) >= len(found.sections[0].lines)
    assert "<script" not in page
    assert "?<" not in page
    assert latex.count("{") == latex.count("}")
    assert latex.startswith("\\documentclass")
    assert as_markdown(found).startswith(f"# {address}")
    assert as_json(found)["value"] == found.value


def test_a_sheet_goes_forward_back_and_updates() -> None:
    net, flat, X, Y = subject()

    found = as_json(sheet(net, flat, X, Y, example=1, learning_rate=0.5))
    alone = inspect(net, flat, X[1:2], Y[1:2], quantities=["dW.1"])

    titles = [section["title"] for section in found["sections"]]
    assert titles == ["Forward", "Loss", "Backward", "Update"]
    after = next(
        line["right"]["matrix"] for line in found["sections"][3]["lines"] if line["right"].get("address") == "after.W.1"
    )
    np.testing.assert_allclose(after, net.views(flat)["W.1"] - 0.5 * alone.tensors["dW.1"], rtol=1e-12)


@pytest.mark.parametrize("address", ["dW.3[0,0]", "dW.1", "nothing[0]", "dW.1[9,0]", "dW.1[0]", ""])
def test_an_address_that_is_not_there_is_refused(address: str) -> None:
    net, flat, X, Y = subject()

    with pytest.raises(SpecError, match="address"):
        explain(net, flat, X, Y, address=address)
