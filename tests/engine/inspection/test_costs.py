"""What an inspection costs, told in units of a backward pass."""

from typing import Any

import pytest

from engine.errors import SpecError
from engine.inspection import QUANTITIES, Options
from engine.inspection.costs import cost
from tests.engine.factories import dense, network, one_hot, rows


def passes(*quantities: str, n_out: int = 3, **options: Any) -> float:
    net = network(dense(5), dense(n_out, "softmax"))
    parameters, Y = net.initial_parameters(seed=0, dtype="float64"), one_hot([0, 1, 2, 0, 1, 2], n_out)
    found = cost(net, parameters, rows(6), Y, quantities=quantities, options=Options(**options))
    assert found.seconds > 0
    return found.backward_passes


def test_tensors_of_the_pass_cost_nothing_more() -> None:
    assert passes("loss", "dZ", "dW.1") == 0


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_has_a_cost(quantity: str) -> None:
    assert 0 <= passes(quantity) < 1000


def test_costs_add_up_and_a_quantity_counts_once() -> None:
    assert passes("gram", "variance.W.1", "variance.W.2") == passes("gram") + passes("variance")


def test_a_cost_goes_by_what_it_is_asked_with() -> None:
    assert passes("output_jacobian", n_out=6) == 2 * passes("output_jacobian", n_out=3)
    assert passes("smoothgrad", samples=100) == 2 * passes("smoothgrad", samples=50)
    assert passes("hessian_eigenvalues", products=10) < passes("hessian_eigenvalues", products=60)
    assert passes("saliency", target=1) > passes("saliency") == 0


def test_what_there_is_not_has_no_cost() -> None:
    with pytest.raises(SpecError, match="momentum"):
        passes("momentum")
