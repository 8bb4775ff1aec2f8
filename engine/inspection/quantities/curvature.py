"""Quantities of second derivatives of the mean loss: the Hessian H and the generalised Gauss-Newton matrix G.

They are known for any chain of dense layers and activations, in float64 whatever the parameters' dtype. The loss is the
examples' alone unless the option with_l2 adds the penalty ½λΣ‖W‖² of l2: then λ on the diagonal of H and G, by every W.
"""

import numpy as np

from engine.inspection import lanczos
from engine.inspection.quantities.base import Pass, Quantity, by_output, by_parameter, missing
from engine.inspection.quantities.chain import Split, chain_of
from engine.inspection.quantities.diagonals import diag_ggn, diag_hessian, ggn_traces, hessian_traces, roots
from engine.inspection.quantities.products import Operator
from engine.parameters import Array, Layout
from engine.randomness import generator

Tensors = dict[str, Array]


def ggn_diagonal(passed: Pass) -> Tensors:
    """The diagonal of the generalised Gauss-Newton matrix G of the mean loss."""
    return by_parameter("diag_ggn", diag_ggn(passed, l2=_l2(passed, "diag_ggn"), split=passed.options.ggn_split))


def hessian_diagonal(passed: Pass) -> Tensors:
    """The diagonal of the Hessian H of the mean loss."""
    return by_parameter("diag_hessian", diag_hessian(passed, l2=_l2(passed, "diag_hessian")))


def ggn_trace(passed: Pass) -> Tensors:
    """The trace of G, and of its block of each parameter."""
    found = ggn_traces(passed, l2=_l2(passed, "ggn_trace"), split=passed.options.ggn_split)
    return _with_sum("ggn_trace", found)


def hessian_trace(passed: Pass) -> Tensors:
    """The trace of H, and of its block of each parameter."""
    return _with_sum("hessian_trace", hessian_traces(passed, l2=_l2(passed, "hessian_trace")))


def _with_sum(quantity: str, found: Tensors) -> Tensors:
    return {quantity: np.asarray(sum(found.values())), **by_parameter(quantity, found)}


def hessian_vector(passed: Pass) -> Tensors:
    """How the gradient changes along a vector v, given or drawn; v itself; and vᵀHv, the curvature along it."""
    return _product(passed, "hessian_vector", None)


def ggn_vector(passed: Pass) -> Tensors:
    """The same of G, for which networks are taken as linear along v."""
    return _product(passed, "ggn_vector", passed.options.ggn_split)


def _product(passed: Pass, quantity: str, split: Split | None) -> Tensors:
    matrix, options = operator(passed, quantity, split=split), passed.options
    if options.vector is None:
        vector = generator(options.seed, "direction").standard_normal(matrix.layout.size)
    else:
        vector = matrix.layout.fill(options.vector, dtype=np.float64, place="options.vector")
    product = matrix(vector)
    return {
        quantity: np.asarray(vector @ product),
        **by_parameter(quantity, matrix.layout.views(product)),
        **by_parameter(f"{quantity}.v", matrix.layout.views(vector)),
    }


def operator(passed: Pass, quantity: str, *, split: Split | None = None) -> Operator:
    """H, or with a `split` G, as what it does to flat vectors of all that is learned."""
    chain = chain_of(passed, quantity, split=split)
    return Operator(chain, Layout(passed.network.shapes), _l2(passed, quantity))


def _l2(passed: Pass, quantity: str) -> float:
    """λ, if it is to count."""
    options = passed.options
    if not options.with_l2:
        return 0.0
    if options.l2 is None:
        raise missing(quantity, "l2", "an l2 from 0 on where with_l2 is true")
    return options.l2


def hessian_eigenvalues(passed: Pass) -> Tensors:
    """The eigenvalues of H at both ends, each with how far one may lie off."""
    return _extremes(passed, "hessian_eigenvalues", None)


def ggn_eigenvalues(passed: Pass) -> Tensors:
    """The eigenvalues of G at both ends, each with how far one may lie off."""
    return _extremes(passed, "ggn_eigenvalues", passed.options.ggn_split)


def _extremes(passed: Pass, quantity: str, split: Split | None) -> Tensors:
    matrix, options = operator(passed, quantity, split=split), passed.options
    found = lanczos.extremes(
        matrix,
        matrix.layout.size,
        random=generator(options.seed, "direction"),
        count=options.eigenvalues,
        products=options.products,
        tolerance=options.tolerance,
    )
    return {f"{quantity}.{name}": np.asarray(values, np.float64) for name, values in vars(found).items()}


def kronecker_factors(passed: Pass) -> Tensors:
    """Two matrices for each dense layer, whose Kronecker product stands for the block of G by its W.

    `in` is (1/m)AᵀA of what goes into the layer, `out` the mean of G by its Z, which is the block by b. They are exact
    for one example. An example counts in each as its weight says; a penalty is in neither.
    """
    quantity, passed = "kronecker_factors", passed.precisely()
    chain = chain_of(passed, quantity, split=passed.options.ggn_split)
    found: Tensors = {}
    for linear in passed.linears(quantity):
        weighted = linear.X if passed.weights is None else linear.X * passed.weights[:, None]
        found[f"{quantity}.in.{linear.number}"] = weighted.T @ linear.X / passed.m
        found[f"{quantity}.out.{linear.number}"] = np.zeros((linear.W.shape[1], linear.W.shape[1]))
    for _, link, S, signs in roots(chain, quantity):
        columns = S.reshape(-1, S.shape[-1])
        signed = columns if signs is None else columns * signs.reshape(-1, 1)
        found[f"{quantity}.out.{link.names[0].removeprefix('W.')}"] += signed.T @ columns / passed.m
    return found


GGN = "(1/m)Σ_i J_iᵀ·H_i·J_i, J_i the derivative of Z[L] by the parameters and H_i the loss's Hessian by it"
SPLIT = "of A[L] where the head is not canonical, or as ggn_split says"
DANGEL = "Dangel, Kunstner & Hennig 2020, BackPACK: packing more into backprop"
PEARLMUTTER = "Pearlmutter 1994, Fast exact multiplication by the Hessian"
SCHRAUDOLPH = "Schraudolph 2002, Fast curvature matrix-vector products for second-order gradient descent, §3"
LANCZOS = (
    "Lanczos 1950, An iteration method for the solution of the eigenvalue problem; Wu & Simon 2000, Thick-restart "
    "Lanczos method for large symmetric eigenvalue problems"
)
EXTREMES = "largest, smallest, largest_residual, smallest_residual: (eigenvalues,) each; products: a number"

CURVATURE = {
    "diag_ggn": Quantity(
        equation=f"diag G, G = {GGN} ({SPLIT}): by W (1/m)Σ_iΣ_c a_i²·(s_ic²)ᵀ, H_i = Σ_c s_ic·s_icᵀ",
        shape="of each parameter",
        cost="2 to 3",
        backward_passes=by_output,
        source=f"{DANGEL}, §2.3; {SCHRAUDOLPH}",
        of=ggn_diagonal,
        options=("ggn_split", "with_l2", "l2"),
    ),
    "diag_hessian": Quantity(
        equation="diag H, H = ∂²L/∂θ²: by W (1/m)Σ_i a_i²·diag(H_i)ᵀ, H_i by Z[l−1] being J·W[l]·H_i·W[l]ᵀ·J + "
        "Σ_k dA_k·∂²A_k/∂Z² with J = ∂A/∂Z",
        shape="of each parameter",
        cost="as diag_ggn; with more than two bent hidden layers 10 to 20",
        backward_passes=15.0,
        source=f"{DANGEL}, §2.3",
        of=hessian_diagonal,
        options=("with_l2", "l2"),
    ),
    "ggn_trace": Quantity(
        equation="tr G: by W (1/m)Σ_i ‖a_i‖²·tr H_i",
        shape="a number, and for each parameter",
        cost="as diag_ggn",
        backward_passes=by_output,
        source=f"{DANGEL}, §2.3; {SCHRAUDOLPH}",
        of=ggn_trace,
        options=("ggn_split", "with_l2", "l2"),
    ),
    "hessian_trace": Quantity(
        equation="tr H: by W (1/m)Σ_i ‖a_i‖²·tr H_i",
        shape="a number, and for each parameter",
        cost="as diag_hessian",
        backward_passes=15.0,
        source=f"{DANGEL}, §2.3",
        of=hessian_trace,
        options=("with_l2", "l2"),
    ),
    "hessian_vector": Quantity(
        equation="H·v = R{dW}, R{db}, …: the derivative of the gradient along v, and vᵀHv",
        shape="a number, and of each parameter",
        cost="3",
        backward_passes=3.0,
        source=PEARLMUTTER,
        of=hessian_vector,
        options=("vector", "seed", "with_l2", "l2"),
    ),
    "ggn_vector": Quantity(
        equation="G·v: as H·v without the terms of dZ, dA and g″, and vᵀGv",
        shape="a number, and of each parameter",
        cost="3",
        backward_passes=3.0,
        source=SCHRAUDOLPH,
        of=ggn_vector,
        options=("vector", "seed", "ggn_split", "with_l2", "l2"),
    ),
    "hessian_eigenvalues": Quantity(
        equation="the λ of Hv = λv at both ends, and ‖Hv − λv‖",
        shape=EXTREMES,
        cost="4 to 5 for each product, of which 40 to 80 are usual",
        backward_passes=lambda network, options: 4.5 * min(60, options.products),
        source=LANCZOS,
        of=hessian_eigenvalues,
        options=("eigenvalues", "products", "tolerance", "seed", "with_l2", "l2"),
    ),
    "ggn_eigenvalues": Quantity(
        equation="the λ of Gv = λv at both ends, and ‖Gv − λv‖",
        shape=EXTREMES,
        cost="4 to 5 for each product, of which 40 to 80 are usual",
        backward_passes=lambda network, options: 4.5 * min(60, options.products),
        source=LANCZOS,
        of=ggn_eigenvalues,
        options=("eigenvalues", "products", "tolerance", "seed", "ggn_split", "with_l2", "l2"),
    ),
    "kronecker_factors": Quantity(
        equation="(1/m)AᵀA and (1/m)Σ_iΣ_c s_ic·s_icᵀ, H_i = Σ_c s_ic·s_icᵀ: G by W is about their Kronecker product",
        shape="in.l: (n_in, n_in), out.l: (n_out, n_out), of each dense layer",
        cost="3 to 5",
        backward_passes=by_output,
        source="Botev, Ritter & Barber 2017, Practical Gauss-Newton optimisation for deep learning, §4 (KFLR)",
        of=kronecker_factors,
        options=("ggn_split",),
    ),
}
