"""The catalogue of what an inspection can be asked for."""

from typing import Annotated, Literal

from pydantic import Field

from service.schemas.base import Body, example


class QuantityBody(Body):
    """One name that `quantities` can hold."""

    name: str
    kind: Annotated[
        Literal["tensor", "quantity"], Field(description="Whether it is of the pass itself, or computed of it.")
    ]
    summary: str
    equation: str
    shape: str
    cost: Annotated[str, Field(description="In units of one backward pass, for dense layers.")]
    source: str
    options: Annotated[list[str], Field(description="Those of `options` that it wants.")]


class QuantitiesBody(Body):
    """Everything, in the order of the documentation."""

    model_config = example(
        {
            "items": [
                {
                    "name": "example_norm",
                    "kind": "quantity",
                    "summary": "‖g_i‖ over each parameter, and over all.",
                    "equation": "‖g_i‖² = Σ_l ‖dz_i‖²(‖a_i‖² + 1)",
                    "shape": "(m,), and for each parameter",
                    "cost": "0.05",
                    "source": "Goodfellow 2015",
                    "options": [],
                }
            ]
        }
    )

    items: list[QuantityBody]
