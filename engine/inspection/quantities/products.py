"""Products with the Hessian or a generalised Gauss-Newton matrix, without ever forming it: the R-operator.

R{·} is the derivative along a direction V of the parameters. It goes through the network as the passes do: R{Z} and
R{A} forward, R{dZ} and R{dA} back. Pearlmutter 1994, Fast exact multiplication by the Hessian; Schraudolph 2002, Fast
curvature matrix-vector products for second-order gradient descent (the Gauss-Newton matrix: what holds dZ, dA or g″ is
left out).
"""

from dataclasses import dataclass

import numpy as np

from engine.inspection.quantities.chain import Chain, Named
from engine.parameters import Array, Layout
from engine.penalties import is_weight


@dataclass(frozen=True)
class Operator:
    """The matrix as what it does to a vector."""

    chain: Chain
    layout: Layout
    """Of the flat vectors: all that is learned."""
    l2: float = 0.0
    """λ of a penalty ½λ‖W‖²: it adds λ·V by every weight."""

    def __call__(self, flat: Array) -> Array:
        """The product of the mean loss's matrix with a vector (P,)."""
        self.chain.in_time()
        product = np.empty_like(flat)
        V, views = self.layout.views(flat), self.layout.views(product)
        for name, total in self._sums(V).items():
            np.divide(total, self.chain.m, out=views[name])
            if self.l2 and is_weight(total.shape):
                views[name] += self.l2 * V[name]
        return product

    def _sums(self, V: Named) -> Named:
        """By parameter, summed over the examples."""
        chain: Chain = self.chain
        found: Named = {}
        R: Array | None = None
        entering: list[Array | None] = []
        for link in chain.links:
            entering.append(R)
            R = link.push(R, V)
        if R is None:
            return found
        RdY = chain.H.times(R)
        for place in reversed(range(chain.lowest, len(chain.links))):
            link = chain.links[place]
            found |= link.gradients(RdY, entering[place], V, is_exact=chain.is_exact)
            if place > chain.lowest:
                RdY = link.pull(RdY, entering[place], V, is_exact=chain.is_exact)
        return found
