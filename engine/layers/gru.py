"""The GRU: a recurrent layer whose state is moved towards a candidate as far as a gate lets it."""

from typing import Literal

import numpy as np

from engine.layers.base import Slot
from engine.layers.recurrent import Recurrent, RecurrentSpec, flat
from engine.parameters import Shapes
from engine.plans import Plan, call, dot, sum_rows


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
        T, units = self.steps, self.units
        return {**super().scratch(), "inner": (T, units), "dstate": (T, self.gates * units)}

    def fixed_scratch(self) -> Shapes:
        return {"sums": (self.gates * self.units,)}

    def forward(self, slot: Slot) -> Plan:
        gates, h, inner = (self.by_step(slot, name) for name in ("gates", "h", "inner"))
        product, spare, units = slot.scratch["product"], slot.scratch["spare"], self.units
        yield from self.enter(slot)
        for step in range(self.steps):
            both, (r, z, n) = gates[step, :, : 2 * units], self.split(gates[step])
            yield dot(h[step], slot.params["U"], product)
            yield call(np.add, both, product[:, : 2 * units], both)
            yield call(np.multiply, both, 0.5, both)  # σ(a) = ½ + ½·tanh(½a), which can't overflow
            yield call(np.tanh, both, both)
            yield call(np.multiply, both, 0.5, both)
            yield call(np.add, both, 0.5, both)
            yield call(np.add, product[:, 2 * units :], slot.params["c"], inner[step])
            yield call(np.multiply, r, inner[step], spare)
            yield call(np.add, n, spare, n)
            yield call(np.tanh, n, n)
            yield call(np.subtract, h[step], n, spare)
            yield call(np.multiply, spare, z, spare)
            yield call(np.add, n, spare, h[step + 1])
        yield from self.leave(slot)

    def backward(self, slot: Slot) -> Plan:
        gates, dgates, dstate, slopes = (self.by_step(slot, name) for name in ("gates", "dgates", "dstate", "slopes"))
        dh, spare, units = slot.scratch["dh"], slot.scratch["spare"], self.units
        yield from self._slopes(slot)
        for step in reversed(range(self.steps)):
            r, z, _ = self.split(gates[step])
            by_r, by_z, by_n = self.split(slopes[step])
            dr, dz, dn = self.split(dgates[step])
            yield from self.receive(slot, step)
            yield call(np.multiply, dh, by_n, dn)
            yield call(np.multiply, dh, by_z, dz)
            yield call(np.multiply, dn, by_r, dr)
            yield call(np.copyto, dstate[step, :, : 2 * units], dgates[step, :, : 2 * units])
            yield call(np.multiply, dn, r, dstate[step, :, 2 * units :])
            if step:
                yield call(np.multiply, dh, z, dh)
                yield dot(dstate[step], slot.params["U"].T, spare)
                yield call(np.add, dh, spare, dh)
        yield from self.finish(slot, dstate)
        yield sum_rows(flat(dstate), slot.scratch["sums"])
        yield call(np.copyto, slot.grads["c"], slot.scratch["sums"][2 * units :])

    def _slopes(self, slot: Slot) -> Plan:
        """What turns dh into dn and dz, and dn into dr, of all steps at once."""
        gates, slopes, h = (self.by_step(slot, name) for name in ("gates", "slopes", "h"))
        (_, z, n), (by_r, by_z, by_n) = self.split(gates), self.split(slopes)
        both, by_both = gates[..., : 2 * self.units], slopes[..., : 2 * self.units]
        spare = self.split(self.by_step(slot, "dgates"))[0]
        yield call(np.multiply, both, both, by_both)
        yield call(np.subtract, both, by_both, by_both)
        yield call(np.multiply, by_r, self.by_step(slot, "inner"), by_r)
        yield call(np.subtract, h[:-1], n, spare)
        yield call(np.multiply, by_z, spare, by_z)
        yield call(np.multiply, n, n, by_n)
        yield call(np.subtract, 1.0, by_n, by_n)
        yield call(np.subtract, 1.0, z, spare)
        yield call(np.multiply, by_n, spare, by_n)
