"""Loss curves."""

from pydantic import RootModel

from service.schemas.base import example


class LossesBody(RootModel[dict[str, list[float | int | None]]]):
    """Series of equal length by name, `epoch` among them."""

    model_config = example(
        {"epoch": [1, 2, 3], "train.loss": [0.61, 0.42, 0.31], "validation.loss": [0.66, 0.47, None]}
    )
