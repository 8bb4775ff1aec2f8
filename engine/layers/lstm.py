"""The LSTM: a recurrent layer whose cell keeps what its gates let in, until they let go of it."""

from typing import Literal

import numpy as np

from engine.layers.base import Slot
from engine.layers.recurrent import Recurrent, RecurrentSpec
from engine.parameters import Array, Shapes
from engine.plans import Plan, call, dot


class LstmSpec(RecurrentSpec):
    """A long short-term memory over sequences (T, n): the last state (units), or all of them (T, units)."""

    type: Literal["lstm"] = "lstm"


class Lstm(Recurrent):
    """c = f ⊙ c′ + i ⊙ g, h = o ⊙ tanh c, where h′ and c′ are the step before's, at first 0.

    [i, f, g, o] = x·W + h′·U + b through σ, σ, tanh, σ: PyTorch's equations and order, with one b (PyTorch's is the
    sum of its two). The forget gate's b starts at 1, so that a cell keeps its content at first.
    """

    spec = LstmSpec
    formula = "[i, f, g, o] = [σ, σ, tanh, σ](x·W + h′·U + b), c = f ⊙ c′ + i ⊙ g, h = o ⊙ tanh c"
    derivative = (
        "back through time: dc += dh ⊙ o(1 − tanh² c), [di, df, dg, do] = [dc ⊙ g, dc ⊙ c′, dc ⊙ i, dh ⊙ tanh c] ⊙ "
        "[σ′, σ′, tanh′, σ′], dc′ = dc ⊙ f, dh′ = [di, df, dg, do]·Uᵀ"
    )
    source = "Gers, Schmidhuber & Cummins 2000, Learning to forget, after Hochreiter & Schmidhuber 1997"
    gates = 4

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        super().initialize(values, generator)
        values["b"][self.units : 2 * self.units] = 1

    def scratch(self) -> Shapes:
        T, units = self.steps, self.units
        return {
            **super().scratch(),
            "c": (T + 1, units),
            "tanh_c": (T, units),
            "through_c": (T, units),
            "dc": (1, units),
        }

    def fixed_scratch(self) -> Shapes:
        return {"U": (self.units, self.gates * self.units)}

    def forward(self, slot: Slot) -> Plan:
        """σ(z) = ½ + ½·tanh(½z), so that one tanh serves all gates; the inner ½ goes into x·W + b and U beforehand."""
        gates, h, c, tanh_c = (self.columns(slot, name) for name in ("gates", "h", "c", "tanh_c"))
        [product], [spare] = (self.columns(slot, name) for name in ("product", "spare"))
        half, U = self._per_gate(product, 0.5, 0.5, 1, 0.5), slot.scratch["U"]
        yield from self.enter(slot)
        yield call(c[0].fill, 0)
        yield call(np.multiply, gates, half[:, None], gates)
        yield call(np.multiply, slot.params["U"], half, U)
        for step in range(self.steps):
            now = gates[step]
            i, f, g, o = self.split(now)
            if step:
                yield dot(U.T, h[step], product)
                yield call(np.add, now, product, now)
            yield call(np.tanh, now, now)
            for sigmoids in (now[: 2 * self.units], o):
                yield call(np.multiply, sigmoids, 0.5, sigmoids)
                yield call(np.add, sigmoids, 0.5, sigmoids)
            yield call(np.multiply, f, c[step], c[step + 1])
            yield call(np.multiply, i, g, spare)
            yield call(np.add, c[step + 1], spare, c[step + 1])
            yield call(np.tanh, c[step + 1], tanh_c[step])
            yield call(np.multiply, o, tanh_c[step], h[step + 1])
        yield from self.leave(slot)

    def backward(self, slot: Slot) -> Plan:
        gates, slopes, dgates = (self.columns(slot, name) for name in ("gates", "slopes", "dgates"))
        c, tanh_c, through_c = (self.columns(slot, name) for name in ("c", "tanh_c", "through_c"))
        [dh], [dc], [spare] = (self.columns(slot, name) for name in ("dh", "dc", "spare"))
        yield from self._slopes(gates, slopes)
        yield call(np.multiply, tanh_c, tanh_c, through_c)
        yield call(np.subtract, 1.0, through_c, through_c)
        yield call(np.multiply, through_c, self.split(gates)[3], through_c)
        yield call(dc.fill, 0)
        for step in reversed(range(self.steps)):
            i, f, g, _ = self.split(gates[step])
            di, df, dg, do = self.split(dgates[step])
            yield from self.receive(slot, step)
            yield call(np.multiply, dh, through_c[step], spare)
            yield call(np.add, dc, spare, dc)
            yield call(np.multiply, dc, g, di)
            yield call(np.multiply, dc, c[step], df)
            yield call(np.multiply, dc, i, dg)
            yield call(np.multiply, dh, tanh_c[step], do)
            yield call(np.multiply, dgates[step], slopes[step], dgates[step])
            if step:
                yield call(np.multiply, dc, f, dc)
                yield dot(slot.params["U"], dgates[step], dh)
        yield from self.finish(slot)
        yield from self.finish_states(slot)

    def _slopes(self, gates: Array, slopes: Array) -> Plan:
        """The gates' own derivatives, of all steps: a − a² of a sigmoid a, 1 − a² of a tanh a."""
        yield call(np.multiply, gates, gates, slopes)
        for place, (gate, slope) in enumerate(zip(self.split(gates), self.split(slopes), strict=True)):
            yield call(np.subtract, 1.0 if place == 2 else gate, slope, slope)

    def _per_gate(self, like: Array, *values: float) -> Array:
        """One number for each gate, for each of its units."""
        return np.repeat(np.array(values, like.dtype), self.units)
