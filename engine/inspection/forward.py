"""The loss as a function of any one tensor: a forward pass that can be begun behind every boundary.

What lies before the changed tensor is not computed again. In float64, or at complex points, where layers with a complex
form use it.
"""

import numpy as np
import numpy.typing as npt

from engine.inspection.complex_forms import FORMS, LOSS_FORMS, PLAIN
from engine.layers import Layer, Slot
from engine.network import Network
from engine.parameters import Array
from engine.plans import Call, run
from engine.weights import relative_weights
from engine.workspace import Workspace, loss_plan


class Forward:
    """A network's parameters and a batch (m rows), dropout off, in arrays of its own that may be written to."""

    def __init__(
        self,
        network: Network,
        parameters: Array,
        X: Array,
        Y: Array,
        weights: Array | None,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        self.network, self.m = network, len(X)
        flat = parameters.astype(dtype)
        workspace = Workspace(network, flat, rows=len(X), gradients=False, shared=False, weighted=weights is not None)
        if workspace.weights is not None and weights is not None:
            workspace.weights[:, 0] = relative_weights(weights, len(X))
        self.batch = workspace.cut(len(X))
        self.batch.X[...], self.batch.Y[...] = X, Y
        self.boundaries = dict(zip(network.boundary_names, workspace.outputs, strict=True))
        self.parameters = network.views(flat)
        self.is_complex = flat.dtype.kind == "c"
        layers = zip(network.layers, self.batch.slots, strict=True)
        self._layers = [self._plan(layer, slot) for layer, slot in layers]
        self._losses = [self._loss_plan(from_A=from_A) for from_A in (False, True)]
        self._right = 0
        """The outputs of so many layers belong to the tensors as they were."""
        self.passes = 0

    def array(self, name: str) -> Array:
        """A parameter or a boundary by its name, to be written to between `settle` and `losses`."""
        return self.parameters[name] if name in self.parameters else self.boundaries[name]

    def start(self, name: str) -> int:
        """The place of the first layer that a change of a tensor reaches."""
        names = self.network.boundary_names
        if name in names:
            return names.index(name)
        number = int(name.rpartition(".")[2])
        return next(place for place in self.network.learning if self.network.numbers[place] == number)

    def settle(self, name: str) -> None:
        """Bring all that comes before a tensor to what belongs to the tensors as they are."""
        start = self.start(name)
        for plan in self._layers[self._right : start]:
            run(plan)
        self._right = start

    def losses(self, name: str) -> Array:
        """Each example's loss (m,), times its relative weight, after a change of the named tensor, once settled.

        From A[L] on, its components taken as independent, where A[L] is the tensor.
        """
        for plan in self._layers[self._right :]:
            run(plan)
        run(self._losses[name == self.network.boundary_names[-1]])
        self.passes += 1
        return self.batch.head.examples

    def pieces(self, start: int = 0) -> dict[str, Array]:
        """Where a layer from `start` on or the loss has kinks, on which piece its elements are, by its input's name."""
        layers = list(zip(self.network.boundary_names, self.network.layers, self.batch.slots, strict=False))[start:]
        found = {name: layer.pieces(slot) for name, layer, slot in layers}
        found[self.network.boundary_names[-1]] = self.network.loss.pieces(self.batch.head)
        return {name: array for name, array in found.items() if array is not None}

    def _plan(self, layer: Layer, slot: Slot) -> list[Call]:
        form = FORMS.get(type(layer)) if self.is_complex else None
        if form is None:
            return list(layer.forward(slot))
        return [lambda: np.copyto(slot.y, form(layer, slot))]

    def _loss_plan(self, *, from_A: bool) -> list[Call]:
        if not self.is_complex:
            return loss_plan(self.network, self.batch.head, from_A=from_A)
        loss, head = self.network.loss, self.batch.head
        form = LOSS_FORMS[type(loss)][from_A or not self.network.has_canonical_head]
        factors = 1.0 if head.weights is None else head.weights[:, 0]
        return [lambda: np.multiply(form(loss, head), factors, out=head.examples)]


def has_complex_form(network: Network) -> bool:
    """Whether every layer and the loss can be computed at complex points."""
    kinds = {type(layer) for layer in network.layers}
    return kinds <= FORMS.keys() | PLAIN and type(network.loss) in LOSS_FORMS
