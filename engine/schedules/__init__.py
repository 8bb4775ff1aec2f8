"""The table of schedules, by the `type` a spec names them with: how the learning rate changes as training goes on."""

from typing import TYPE_CHECKING

from engine.options import choice
from engine.schedules.base import Plateau, Schedule, ScheduleSpec
from engine.schedules.constant import Constant, ConstantSpec
from engine.schedules.cosine import Cosine
from engine.schedules.cosine_restarts import CosineRestarts
from engine.schedules.exponential import ExponentialDecay
from engine.schedules.multi_step import MultiStep
from engine.schedules.one_cycle import OneCycle
from engine.schedules.polynomial import Polynomial
from engine.schedules.reduce_on_plateau import ReduceOnPlateau
from engine.schedules.step import Step

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "multi_step": MultiStep,
    "exponential": ExponentialDecay,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "cosine_restarts": CosineRestarts,
    "one_cycle": OneCycle,
    "reduce_on_plateau": ReduceOnPlateau,
}

if TYPE_CHECKING:
    AnyScheduleSpec = ScheduleSpec
else:
    AnyScheduleSpec = choice(SCHEDULES)

__all__ = ["SCHEDULES", "AnyScheduleSpec", "ConstantSpec", "Plateau", "Schedule", "ScheduleSpec"]
