"""The table of optimizers, by the `type` a spec names them with."""

from typing import TYPE_CHECKING

from engine.optimizers.adam import Adam, AdamSpec
from engine.optimizers.base import BLOCK, Optimizer, Stretch, Updater
from engine.optimizers.sgd import Sgd, SgdSpec
from engine.options import Choice, choice

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": Sgd,
    "adam": Adam,
}

if TYPE_CHECKING:
    OptimizerSpec = Choice
else:
    OptimizerSpec = choice(OPTIMIZERS)

__all__ = ["BLOCK", "OPTIMIZERS", "AdamSpec", "Optimizer", "OptimizerSpec", "SgdSpec", "Stretch", "Updater"]
