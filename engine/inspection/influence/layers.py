"""The layers that learn, by number: what an influence is split among."""

from engine.inspection.quantities.gradients import LayerGradients
from engine.network import Network


def numbers_of(network: Network) -> list[int]:
    """The l of each layer that learns."""
    return list(dict.fromkeys(map(number_of, network.shapes)))


def number_of(name: str) -> int:
    """2 of W.2."""
    return int(name.rpartition(".")[2])


def layer_of(gradients: LayerGradients) -> int:
    """The l of the layer that these are the gradients of."""
    return number_of(next(iter(gradients.shapes)))
