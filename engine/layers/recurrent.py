"""What recurrent layers have in common: a state that goes through a sequence step by step, and back."""

from typing import Any, ClassVar, Self

import numpy as np

from engine.errors import SpecError
from engine.initializers import InitializerSpec, initialize, resolve_init
from engine.layers.base import Layer, Slot
from engine.options import AutoSpec, Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, dot, sum_columns

INITIALIZER = "glorot_uniform"
RECURRENT_INITIALIZER = "orthogonal"


class RecurrentSpec(Choice):
    """The options of every recurrent layer."""

    units: int = Field(ge=1, le=65_536, strict=True, description="How many numbers the state has.")
    return_sequences: bool = Field(False, description="Whether every step's state is given, or only the last one's.")
    init: InitializerSpec = Field(AutoSpec(), description=f"How W starts, gate by gate; `auto` is {INITIALIZER}.")
    recurrent_init: InitializerSpec = Field(
        AutoSpec(), description=f"How U starts, gate by gate; `auto` is {RECURRENT_INITIALIZER}."
    )

    def resolved(self) -> Self:
        return self.model_copy(
            update={
                "init": resolve_init(self.init, INITIALIZER),
                "recurrent_init": resolve_init(self.recurrent_init, RECURRENT_INITIALIZER),
            }
        )


class Recurrent(Layer):
    """A state h of `units` numbers that starts at 0 and is renewed at every step of a sequence (T, n_in).

    W (n_in, gates·units) multiplies the inputs of all steps in one call; U (units, gates·units) the state before.
    Inside, a step's numbers are columns: with (T, gates·units, m) each gate of each step lies side by side in memory,
    which halves the time of all that is done element by element.
    """

    gates: ClassVar[int]
    backward_reads = frozenset()  # it keeps its own copies of X and of the states

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        super().__init__(input_shape, spec)
        if len(input_shape) != 2:
            raise SpecError("", f"expected sequences, rows of shape (T, n), got rows of shape {list(input_shape)}")
        self.steps, self.n_in = input_shape
        self.units, self.return_sequences = spec.units, spec.return_sequences
        self.output_shape = (self.steps, self.units) if self.return_sequences else (self.units,)
        self.init = resolve_init(spec.init, INITIALIZER)
        self.recurrent_init = resolve_init(spec.recurrent_init, RECURRENT_INITIALIZER)

    def parameters(self) -> Shapes:
        width = self.gates * self.units
        return {"W": (self.n_in, width), "U": (self.units, width), "b": (width,)}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        for gate in range(self.gates):
            columns = slice(gate * self.units, (gate + 1) * self.units)
            initialize(values["W"][:, columns], self.init, generator, n_in=self.n_in, n_out=self.units)
            initialize(values["U"][:, columns], self.recurrent_init, generator, n_in=self.units, n_out=self.units)

    def scratch(self) -> Shapes:
        T, width = self.steps, self.gates * self.units
        return {
            "x": (T, self.n_in),
            "gates": (T, width),
            "slopes": (T, width),
            "dgates": (T, width),
            "aligned": (T, width),
            "h": (T + 1, self.units),
            "h_before": (T, self.units),
            "dh": (1, self.units),
            "product": (1, width),
            "spare": (1, self.units),
        }

    def columns(self, slot: Slot, name: str) -> Array:
        """A scratch array (m, T, n) as (T, n, m): the same memory, its numbers in another order."""
        array = slot.scratch[name]
        return array.reshape(*array.shape[1:], len(array))

    def aligned(self, slot: Slot, name: str) -> Array:
        """A scratch array (m, T, n) as (n, T, m): each number's values at all steps and rows side by side."""
        array = slot.scratch[name]
        return array.reshape(array.shape[2], array.shape[1], len(array))

    def split(self, gates: Array) -> tuple[Array, ...]:
        """Each gate's part of an array (…, gates·units, m)."""
        return tuple(gates[..., gate * self.units : (gate + 1) * self.units, :] for gate in range(self.gates))

    def enter(self, slot: Slot) -> Plan:
        """gates = x·W + b of all steps, and the state before the first one 0."""
        x, gates = self.aligned(slot, "x"), self.columns(slot, "gates")
        yield call(np.copyto, x, slot.x.transpose(2, 1, 0))
        yield call(np.matmul, slot.params["W"].T, x.transpose(1, 0, 2), gates)
        yield call(np.add, gates, slot.params["b"][:, None], gates)
        yield call(self.columns(slot, "h")[0].fill, 0)

    def leave(self, slot: Slot) -> Plan:
        """Y = the states, or the last one."""
        h = self.columns(slot, "h")
        yield call(np.copyto, slot.y, h[1:].transpose(2, 0, 1) if self.return_sequences else h[-1].T)

    def receive(self, slot: Slot, step: int) -> Plan:
        """Add to dh, the derivative by a step's state through the later ones, that by way of dY."""
        [dh] = self.columns(slot, "dh")
        if step == self.steps - 1:
            yield call(np.copyto, dh, slot.dy[:, step].T if self.return_sequences else slot.dy.T)
        elif self.return_sequences:
            yield call(np.add, dh, slot.dy[:, step].T, dh)

    def finish(self, slot: Slot) -> Plan:
        """dW, db and dX from dgates, the derivative by x·W + b, of all steps at once; `aligned` keeps it for dU."""
        dgates, aligned = self.columns(slot, "dgates"), self.aligned(slot, "aligned")
        yield call(np.copyto, aligned, dgates.transpose(1, 0, 2))
        yield dot(flat(self.aligned(slot, "x")), flat(aligned).T, slot.grads["W"])
        yield sum_columns(flat(aligned), slot.grads["b"])
        if slot.dx is not None:
            yield call(np.matmul, dgates.transpose(0, 2, 1), slot.params["W"].T, slot.dx.transpose(1, 0, 2))

    def finish_states(self, slot: Slot) -> Plan:
        """dU from `aligned`, now the derivative by h·U."""
        before = self.aligned(slot, "h_before")
        yield call(np.copyto, before, self.columns(slot, "h")[:-1].transpose(1, 0, 2))
        yield dot(flat(before), flat(self.aligned(slot, "aligned")).T, slot.grads["U"])


def flat(array: Array) -> Array:
    """Steps and rows as one axis, the last."""
    return array.reshape(len(array), -1)
