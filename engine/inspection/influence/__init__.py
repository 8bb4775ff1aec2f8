"""Influence: which training rows raised or lowered a loss, and what the rows' own gradients say of them."""

from engine.inspection.influence.layers import numbers_of
from engine.inspection.influence.ledger import Account, check_ledger, ledger, remembered
from engine.inspection.influence.queries import Queries
from engine.inspection.influence.survey import Survey
from engine.inspection.influence.tracin import TracIn

__all__ = ["Account", "Queries", "Survey", "TracIn", "check_ledger", "ledger", "numbers_of", "remembered"]
