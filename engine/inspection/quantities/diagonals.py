"""The diagonals of the Hessian and of the generalised Gauss-Newton matrix, without ever forming either.

By W of a layer the diagonal is (1/m)Σ_i a_i²·diag(H_i)ᵀ, where H_i is example i's H by that layer's Z. It has two
parts: what the head bends, which a root of its H brings down to every layer, and what the activations between dense
layers bend, which a recursion over the H_i themselves does. Where none of these bends, the second part is 0: the
Hessian's diagonal then is that of a Gauss-Newton matrix split at Z[L].
"""

from collections.abc import Iterator
from math import prod

import numpy as np

from engine.inspection.quantities.base import Pass
from engine.inspection.quantities.chain import Chain, Link, Named, Split, chain_of
from engine.parameters import Array
from engine.penalties import is_weight


def diag_ggn(passed: Pass, *, l2: float = 0.0, split: Split = "auto", quantity: str = "diag_ggn") -> Named:
    """The diagonal of the mean loss's generalised Gauss-Newton matrix: for each parameter, in its shape.

    Each column of a root S of the head's H is brought down as dZ is: by W it is (1/m)Σ_iΣ_c a_i²·(s_ic²)ᵀ (Dangel,
    Kunstner & Hennig 2020, BackPACK: packing more into backprop, §2.3). `l2` adds λ by every weight. Raises SpecError
    that names `quantity` and a layer it is not known for, or layers too wide.
    """
    return _diagonals(chain_of(passed, quantity, split=split), l2, quantity)


def diag_hessian(passed: Pass, *, l2: float = 0.0, quantity: str = "diag_hessian") -> Named:
    """The diagonal of the mean loss's Hessian: for each parameter, in its shape.

    H by Z[l−1] is J·W[l]·H[l]·W[l]ᵀ·J + Σ_k dA_k·∂²A_k/∂Z∂Zᵀ with J = ∂A/∂Z (BackPACK's DiagHessian; Becker & LeCun
    1988, Improving the convergence of back-propagation learning with second order methods, without what these leave
    out). `l2` adds λ by every weight. Raises SpecError as `diag_ggn` does.
    """
    return _diagonals(chain_of(passed, quantity), l2, quantity)


def ggn_traces(passed: Pass, *, l2: float = 0.0, split: Split = "auto", quantity: str = "ggn_trace") -> Named:
    """The sum of `diag_ggn` over each parameter: by W it is (1/m)Σ_i ‖a_i‖²·tr H_i."""
    return _traces(passed, chain_of(passed, quantity, split=split), l2, quantity)


def hessian_traces(passed: Pass, *, l2: float = 0.0, quantity: str = "hessian_trace") -> Named:
    """The sum of `diag_hessian` over each parameter: by W it is (1/m)Σ_i ‖a_i‖²·tr H_i."""
    return _traces(passed, chain_of(passed, quantity), l2, quantity)


def _diagonals(chain: Chain, l2: float, quantity: str) -> Named:
    """Parameter by parameter in the network's order."""
    found = {name: total for link, seen in _seen(chain, quantity) for name, total in link.squares(seen).items()}
    for total in found.values():
        total /= chain.m
        if l2 and is_weight(total.shape):
            total += l2
    return found


def _traces(passed: Pass, chain: Chain, l2: float, quantity: str) -> Named:
    weights = {name: prod(shape) if is_weight(shape) else 0 for name, shape in passed.network.shapes.items()}
    found = [each for link, seen in _seen(chain, quantity) for each in link.traces(seen).items()]
    return {name: np.asarray(total / chain.m + l2 * weights[name]) for name, total in found}


def _seen(chain: Chain, quantity: str) -> list[tuple[Link, Array]]:
    """Each link that learns, and the diagonal of H as its units see it: of all examples, (m, n)."""
    seen = {place: np.concatenate(parts) for place, parts in _seen_of_head(chain, quantity).items()}
    if chain.is_exact:
        for place, parts in _seen_of_bends(chain, quantity).items():
            seen[place] += np.concatenate(parts)
    return [(chain.links[place], seen[place]) for place in sorted(seen)]


def _seen_of_head(chain: Chain, quantity: str) -> dict[int, list[Array]]:
    found: dict[int, list[Array]] = {}
    for place, link, S, signs in roots(chain, quantity):
        found.setdefault(place, []).append(link.seen(S, signs))
    return found


def roots(chain: Chain, quantity: str) -> Iterator[tuple[int, Link, Array, Array | None]]:
    """A root of the head's H behind each link that learns: its place, itself, S (C, m, n), and the columns' signs
    (C, m), None where all are positive; for a few examples after the other."""
    widths = chain.widths
    for part in chain.parts(3 * widths[-1] * max(widths[chain.lowest + 1 :], default=0), quantity):
        S, signs = part.H.columns(), np.sign(part.H.r.T)
        for place in reversed(range(chain.lowest, len(chain.links))):
            link = part.links[place]
            if link.names:
                yield place, link, S, None if (signs >= 0).all() else signs
            if place > chain.lowest:
                S = link.root(S)


def _seen_of_bends(chain: Chain, quantity: str) -> dict[int, list[Array]]:
    found: dict[int, list[Array]] = {}
    whole = chain.wanted_whole
    for part in chain.parts(_numbers_of_bends(chain), quantity):
        H: Array | None = None
        for place in reversed(range(chain.lowest, len(chain.links))):
            link = part.links[place]
            if link.names and H is not None:
                found.setdefault(place, []).append(link.seen_of(H))
            if place > chain.lowest:
                H = link.before(H, whole=whole[place])
    return found


def _numbers_of_bends(chain: Chain) -> int:
    """How many numbers one example takes at most in that recursion: a matrix before, between and behind a link."""
    widths, whole, largest, axes = chain.widths, chain.wanted_whole, 0, 0
    for place in reversed(range(chain.lowest + 1, len(chain.links))):
        behind, axes = axes, chain.links[place].axes_before(axes, whole=whole[place])
        if 3 in (behind, axes):
            largest = max(largest, 3 * max(widths[place], widths[place + 1]) ** 2)
    return largest
