"""The table of layers, by the `type` a spec names them with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import SpecError
from engine.layers.activation import ActivationLayer, ActivationLayerSpec
from engine.layers.activations import ACTIVATIONS, Activation, ActivationSpec
from engine.layers.alpha_dropout import AlphaDropout, AlphaDropoutSpec
from engine.layers.base import Layer, Slot
from engine.layers.batch_norm import BatchNorm, BatchNormSpec
from engine.layers.category_embedding import CategoryEmbedding, CategoryEmbeddingSpec
from engine.layers.convolutions import Conv1d, Conv1dSpec, Conv2d, Conv2dSpec
from engine.layers.dense import Dense, DenseSpec
from engine.layers.dropout import Dropout, DropoutSpec
from engine.layers.embedding import Embedding, EmbeddingSpec
from engine.layers.flatten import Flatten, FlattenSpec
from engine.layers.gaussian_noise import GaussianNoise, GaussianNoiseSpec
from engine.layers.gru import Gru, GruSpec
from engine.layers.layer_norm import LayerNorm, LayerNormSpec
from engine.layers.lstm import Lstm, LstmSpec
from engine.layers.pools import (
    AveragePool,
    AveragePoolSpec,
    GlobalAveragePool,
    GlobalAveragePoolSpec,
    GlobalMaxPool,
    GlobalMaxPoolSpec,
    MaxPool,
    MaxPoolSpec,
)
from engine.layers.reshape import Reshape, ReshapeSpec
from engine.layers.residual import Residual, ResidualSpec
from engine.layers.rms_norm import RmsNorm, RmsNormSpec
from engine.options import Choice, choice
from engine.parameters import Shape

LAYERS: dict[str, type[Layer]] = {
    "dense": Dense,
    "conv1d": Conv1d,
    "conv2d": Conv2d,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "global_max_pool": GlobalMaxPool,
    "global_average_pool": GlobalAveragePool,
    "flatten": Flatten,
    "reshape": Reshape,
    "dropout": Dropout,
    "alpha_dropout": AlphaDropout,
    "gaussian_noise": GaussianNoise,
    "batch_norm": BatchNorm,
    "layer_norm": LayerNorm,
    "rms_norm": RmsNorm,
    "embedding": Embedding,
    "category_embedding": CategoryEmbedding,
    "gru": Gru,
    "lstm": Lstm,
    "residual": Residual,
    "activation": ActivationLayer,
}

if TYPE_CHECKING:
    LayerSpec = Choice
else:
    LayerSpec = choice(LAYERS)
    ResidualSpec.model_rebuild(_types_namespace={"LayerSpec": LayerSpec})  # its layers may be any of the table


def item_count(specs: Sequence[LayerSpec]) -> int:
    """How many layers a spec's list has, those inside others included."""
    return sum(1 + item_count(spec.layers) if isinstance(spec, ResidualSpec) else 1 for spec in specs)


def stack(specs: Sequence[LayerSpec], input_shape: Shape, *, place: str = "network.layers") -> list[Layer]:
    """The layers that a spec's list stands for, one on the other. Raises SpecError, `place` being the list's."""
    layers: list[Layer] = []
    shape = input_shape
    for number, spec in enumerate(specs):
        try:
            built = list(LAYERS[spec.type].build(shape, spec))
        except SpecError as error:
            raise SpecError(
                f"{place}[{number}]{error.place and '.'}{error.place}", error.message, code=error.code
            ) from error
        for layer in built:
            layer.path = f"{number}.{layer.path}" if layer.path else str(number)
            shape = layer.output_shape
        layers += built
    return layers


__all__ = [
    "ACTIVATIONS",
    "LAYERS",
    "Activation",
    "ActivationLayerSpec",
    "ActivationSpec",
    "AlphaDropoutSpec",
    "AveragePoolSpec",
    "BatchNormSpec",
    "CategoryEmbeddingSpec",
    "Conv1dSpec",
    "Conv2dSpec",
    "DenseSpec",
    "DropoutSpec",
    "EmbeddingSpec",
    "FlattenSpec",
    "GaussianNoiseSpec",
    "GlobalAveragePoolSpec",
    "GlobalMaxPoolSpec",
    "GruSpec",
    "Layer",
    "LayerNormSpec",
    "LayerSpec",
    "LstmSpec",
    "MaxPoolSpec",
    "ReshapeSpec",
    "ResidualSpec",
    "RmsNormSpec",
    "Slot",
    "item_count",
    "stack",
]
