"""Overrides: parts of a resolved spec changed, for a fork or for a paused run that goes on with them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from engine.losses import LOSSES
from engine.spec import RunSpec
from service.errors import Fault, Unprocessable, own, path_in, pointer


def overridden(resolved: Mapping[str, Any], overrides: Mapping[str, Any]) -> RunSpec:
    """A resolved spec with another seed or parts of its training changed."""
    whole = merged(resolved, overrides)
    before = resolved["training"]["dtype"]
    if whole["training"]["dtype"] != before:
        raise Unprocessable(
            "A fork goes on with the numbers it has.",
            errors=[Fault("/training/dtype", "not_allowed", f"expected {before} as before")],
        )
    try:
        return RunSpec.model_validate(whole)
    except ValidationError as error:
        raise Unprocessable(
            "The overrides do not make a valid spec.",
            errors=[
                Fault(pointer(path_in(whole, fault["loc"])), fault["type"], fault["msg"])
                for fault in own(error.errors())
            ],
        ) from error


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the changed parts of its objects; an object of another type takes the whole place."""
    found = dict(before)
    for name, change in changes.items():
        old = found.get(name)
        if (
            isinstance(old, dict)
            and isinstance(change, dict)
            and change.get("type", old.get("type")) == old.get("type")
        ):
            found[name] = merged(old, change)
        else:
            found[name] = change
    return found


def check_loss(before: Mapping[str, Any], resolved: RunSpec) -> None:
    """Unprocessable for a loss that wants the targets in another scale than they were fitted in."""
    old, new = before["training"]["loss"]["type"], resolved.training.loss.type
    if old != new and not (LOSSES[old].standardises and LOSSES[new].standardises):
        raise Unprocessable(
            "A fork goes on with the targets it has, as they were fitted for its loss.",
            errors=[Fault("/training/loss", "not_allowed", f"expected {old} as before")],
        )


def check_position(before: Mapping[str, Any], resolved: RunSpec, *, epoch: int, step: int) -> None:
    """Unprocessable where the fork could not go on from just there."""
    training = resolved.training
    begun = epoch + (step > 0)
    if training.epochs < begun:
        detail = f"expected at least {begun}, the epochs begun at the checkpoint, got {training.epochs}"
        raise Unprocessable(
            "The fork would end before its checkpoint.", errors=[Fault("/training/epochs", "too_few", detail)]
        )
    if step == 0:
        return
    detail = f"expected no change, as the checkpoint stands {step} batches into epoch {begun}; fork from an epoch's end"
    faults = [
        Fault(pointer, "mid_epoch", detail)
        for pointer, old, new in (
            ("/training/batch_size", before["training"]["batch_size"], training.batch_size),
            ("/training/accumulate", before["training"]["accumulate"], training.accumulate),
            ("/seed", before["seed"], resolved.seed),
            ("/without_rows", before["split"].get("without", []), list(resolved.split.without)),
        )
        if old != new
    ]
    if faults:
        raise Unprocessable(
            "Rows, batch size and seed decide an epoch's batches, so they can't change within it.", errors=faults
        )
