"""Training: an iterator of epochs. Whoever iterates decides when to store, report and stop.

All that continues a training is in its TrainingState; every random number follows from the seed and the position.
So a training that is stopped at any report and taken up again from its state ends with the same bits.
"""

from engine.training.data import TrainingData
from engine.training.order import batch_rows, epoch_order, steps_per_epoch
from engine.training.reports import EpochReport, Reason, StepReport, monitored, reason_to_stop
from engine.training.state import Best, TrainingState
from engine.training.trainer import train
from engine.training.updates import LearningRates, check_updates

__all__ = [
    "Best",
    "EpochReport",
    "LearningRates",
    "Reason",
    "StepReport",
    "TrainingData",
    "TrainingState",
    "batch_rows",
    "check_updates",
    "epoch_order",
    "monitored",
    "reason_to_stop",
    "steps_per_epoch",
    "train",
]
