"""What the penalties on large weights add to the gradient."""

import numpy as np

from engine.inspection.quantities.base import Pass, Quantity, by_parameter, missing
from engine.parameters import Array, Layout
from engine.penalties import is_weight, penalty_plan
from engine.plans import run


def penalties(passed: Pass) -> dict[str, Array]:
    """The gradient of λ₁Σ|W| + ½λ₂ΣW² over every W, so that dW + penalty is what an update is made of.

    Biases, scales and slopes have none: penalties leave them alone.
    """
    l1, l2 = passed.options.l1, passed.options.l2
    if l1 is None and l2 is None:
        raise missing("penalty", "l2", "l1, l2 or both, from 0 on")
    layout = Layout(passed.network.shapes)
    gradient = np.zeros(layout.size, passed.parameters.dtype)
    run(penalty_plan(l1 or 0.0, l2 or 0.0, layout, passed.parameters[: layout.size], gradient))
    return by_parameter(
        "penalty", {name: view for name, view in layout.views(gradient).items() if is_weight(view.shape)}
    )


PENALTY = {
    "penalty": Quantity(
        equation="λ₁·sign W + λ₂·W",
        shape="of each W",
        cost="0.3",
        backward_passes=0.3,
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, §7.1",
        of=penalties,
        options=("l1", "l2"),
    ),
}
