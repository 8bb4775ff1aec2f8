"""Inspection: every number of a forward and backward pass by name, and the independent witness of the gradients."""

from engine.inspection.catalogue import Entry, inspection_catalogue
from engine.inspection.names import (
    Orientation,
    check_orientation,
    is_catalogued,
    quantity_names,
    shape_of,
    tensor_names,
)
from engine.inspection.nudge import Check, Nudge, check
from engine.inspection.observation import ObservedStep, Observer
from engine.inspection.passes import Convention, Inspection, inspect
from engine.inspection.quantities import QUANTITIES, Options
from engine.inspection.reductions import REDUCTIONS
from engine.inspection.replay import Replay
from engine.inspection.targets import targets_of

__all__ = [
    "QUANTITIES",
    "REDUCTIONS",
    "Check",
    "Convention",
    "Entry",
    "Inspection",
    "Nudge",
    "ObservedStep",
    "Observer",
    "Options",
    "Orientation",
    "Replay",
    "check",
    "check_orientation",
    "inspect",
    "inspection_catalogue",
    "is_catalogued",
    "quantity_names",
    "shape_of",
    "targets_of",
    "tensor_names",
]
