"""Pools: of windows, and of whole images and sequences."""

from engine.layers.pools.average_pool import AveragePool, AveragePoolSpec
from engine.layers.pools.global_average_pool import GlobalAveragePool, GlobalAveragePoolSpec
from engine.layers.pools.global_max_pool import GlobalMaxPool, GlobalMaxPoolSpec
from engine.layers.pools.max_pool import MaxPool, MaxPoolSpec

__all__ = [
    "AveragePool",
    "AveragePoolSpec",
    "GlobalAveragePool",
    "GlobalAveragePoolSpec",
    "GlobalMaxPool",
    "GlobalMaxPoolSpec",
    "MaxPool",
    "MaxPoolSpec",
]
