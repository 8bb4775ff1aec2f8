"""Loss curves."""

from pydantic import RootModel


class LossesBody(RootModel[dict[str, list[float | int | None]]]):
    """Series of equal length by name, `epoch` among them."""
