"""The GRU: a recurrent layer whose state is moved towards a candidate as far as a gate lets it."""

from typing import Literal

import numpy as np

from engine.layers.base import Slot
from engine.layers.recurrent import Recurrent, RecurrentSpec, flat
from engine.parameters import Shapes
from engine.plans import Plan, call, dot, sum_columns


class GruSpec(RecurrentSpec):
    """Gated recurrent units over sequences (T, n): the last state (units), or all of them (T, units)."""

    type: Literal["gru"] = "gru"


class Gru(Recurrent):
    """h = n + z ⊙ (h′ − n), where h′ is the step before's, at first 0.

    [r, z] = σ(x·W + h′·U + b) and n = tanh(x·W + b + r ⊙ (h′·U + c)): PyTorch's equations and order, in which the
    reset gate r works on the product h′·U, not on h′ itself. c is the one bias inside it; of PyTorch's other biases
    only the sums count, and these are b.
    """

    spec = GruSpec
    formula = "[r, z] = σ(x·W + h′·U + b), n = tanh(x·W + b + r ⊙ (h′·U + c)), h = (1 − z) ⊙ n + z ⊙ h′"
    derivative = (
        "back through time: dn = dh ⊙ (1 − z)(1 − n²), dz = dh ⊙ (h′ − n)z(1 − z), dr = dn ⊙ (h′·U + c)r(1 − r), "
        "dh′ = dh ⊙ z + [dr, dz, dn ⊙ r]·Uᵀ"
    )
    source = "Cho et al. 2014, Learning phrase representations using RNN encoder–decoder, eq. 5 to 8; r as in PyTorch"
    gates = 3

    def parameters(self) -> Shapes:
        return {**super().parameters(), "c": (self.units,)}

    def scratch(self) -> Shapes:
        return {**super().scratch(), "inner": (self.steps, self.units), "dinner": (self.steps, self.units)}

    def forward(self, slot: Slot) -> Plan:
        gates, h, inner = (self.columns(slot, name) for name in ("gates", "h", "inner"))
        [product], [spare] = (self.columns(slot, name) for name in ("product", "spare"))
        c, both = slot.params["c"][:, None], slice(0, 2 * self.units)
        yield from self.enter(slot)
        for step in range(self.steps):
            sigmoids, (r, z, n) = gates[step, both], self.split(gates[step])
            yield dot(slot.params["U"].T, h[step], product)
            yield call(np.add, sigmoids, product[both], sigmoids)
            yield call(np.multiply, sigmoids, 0.5, sigmoids)  # σ(a) = ½ + ½·tanh(½a), which can't overflow
            yield call(np.tanh, sigmoids, sigmoids)
            yield call(np.multiply, sigmoids, 0.5, sigmoids)
            yield call(np.add, sigmoids, 0.5, sigmoids)
            yield call(np.add, product[2 * self.units :], c, inner[step])
            yield call(np.multiply, r, inner[step], spare)
            yield call(np.add, n, spare, n)
            yield call(np.tanh, n, n)
            yield call(np.subtract, h[step], n, spare)
            yield call(np.multiply, spare, z, spare)
            yield call(np.add, n, spare, h[step + 1])
        yield from self.leave(slot)

    def backward(self, slot: Slot) -> Plan:
        """dinner is the derivative by h′·U + c, which for r and z is also that by x·W + b."""
        gates, dgates, dinner, slopes = (self.columns(slot, name) for name in ("gates", "dgates", "dinner", "slopes"))
        [dh], [product], [spare] = (self.columns(slot, name) for name in ("dh", "product", "spare"))
        both, last = slice(0, 2 * self.units), slice(2 * self.units, None)
        yield from self._slopes(slot)
        for step in reversed(range(self.steps)):
            r, z, _ = self.split(gates[step])
            by_r, by_z, by_n = self.split(slopes[step])
            dr, dz, dn = self.split(dgates[step])
            yield from self.receive(slot, step)
            yield call(np.multiply, dh, by_n, dn)
            yield call(np.multiply, dh, by_z, dz)
            yield call(np.multiply, dn, by_r, dr)
            yield call(np.multiply, dn, r, dinner[step])
            if step:
                yield call(np.copyto, product[both], dgates[step, both])
                yield call(np.copyto, product[last], dinner[step])
                yield call(np.multiply, dh, z, dh)
                yield dot(slot.params["U"], product, spare)
                yield call(np.add, dh, spare, dh)
        aligned = self.aligned(slot, "aligned")
        yield from self.finish(slot)
        yield call(np.copyto, aligned[last], dinner.transpose(1, 0, 2))
        yield from self.finish_states(slot)
        yield sum_columns(flat(aligned[last]), slot.grads["c"])

    def _slopes(self, slot: Slot) -> Plan:
        """What turns dh into dn and dz, and dn into dr, of all steps at once."""
        gates, slopes, h = (self.columns(slot, name) for name in ("gates", "slopes", "h"))
        (r, z, n), (by_r, by_z, by_n) = self.split(gates), self.split(slopes)
        spare = self.columns(slot, "dinner")
        yield call(np.multiply, gates, gates, slopes)
        yield call(np.subtract, r, by_r, by_r)
        yield call(np.multiply, by_r, self.columns(slot, "inner"), by_r)
        yield call(np.subtract, z, by_z, by_z)
        yield call(np.subtract, h[:-1], n, spare)
        yield call(np.multiply, by_z, spare, by_z)
        yield call(np.subtract, 1.0, by_n, by_n)
        yield call(np.subtract, 1.0, z, spare)
        yield call(np.multiply, by_n, spare, by_n)
