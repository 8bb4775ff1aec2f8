"""The table of optimizers, by the `type` a spec names them with."""

from typing import TYPE_CHECKING

from engine.optimizers.adadelta import Adadelta, AdadeltaSpec
from engine.optimizers.adagrad import Adagrad, AdagradSpec
from engine.optimizers.adam import Adam, AdamSpec
from engine.optimizers.adamw import AdamW, AdamWSpec
from engine.optimizers.amsgrad import Amsgrad, AmsgradSpec
from engine.optimizers.base import BLOCK, Factor, Linear, Objective, Optimizer, Stretch, Updater
from engine.optimizers.lbfgs import Lbfgs, LbfgsSpec
from engine.optimizers.lion import Lion, LionSpec
from engine.optimizers.nadam import Nadam, NadamSpec
from engine.optimizers.radam import Radam, RadamSpec
from engine.optimizers.rmsprop import Rmsprop, RmspropSpec
from engine.optimizers.sgd import Sgd, SgdSpec
from engine.options import Choice, choice

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": Amsgrad,
    "nadam": Nadam,
    "radam": Radam,
    "rmsprop": Rmsprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "lion": Lion,
    "lbfgs": Lbfgs,
}

if TYPE_CHECKING:
    OptimizerSpec = Choice
else:
    OptimizerSpec = choice(OPTIMIZERS)

__all__ = [
    "BLOCK",
    "OPTIMIZERS",
    "AdadeltaSpec",
    "AdagradSpec",
    "AdamSpec",
    "AdamWSpec",
    "AmsgradSpec",
    "Factor",
    "LbfgsSpec",
    "Linear",
    "LionSpec",
    "NadamSpec",
    "Objective",
    "Optimizer",
    "OptimizerSpec",
    "RadamSpec",
    "RmspropSpec",
    "SgdSpec",
    "Stretch",
    "Updater",
]
