"""Quantities of what an output, or the loss, owes to each input.

They need the layers' own backward passes alone, so they are known for every network. They are computed in float64
whatever the parameters' dtype, with dropout off. F is the output that the option `target` counts from 0, of A[L] or
Z[L] as `output` says; or each example's loss, times its weight. F and what is made of it have a row for each example.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from engine.errors import SpecError
from engine.inspection.quantities.base import Pass, Quantity
from engine.inspection.quantities.paths import Path, fixed, until_complete
from engine.layers import Activation
from engine.parameters import Array
from engine.randomness import generator
from engine.workspace import Batch, Workspace

Tensors = dict[str, Array]
MAXIMUM_NUMBERS = 2**25
"""Of a Jacobian: 256 MiB."""


def input_gradient(passed: Pass) -> Tensors:
    """The derivative of F by the inputs: of the loss it is dA.0, whatever the convention."""
    F, dX = _at_the_examples(passed)
    return {"input_gradient": dX, "input_gradient.F": F}


def saliency(passed: Pass) -> Tensors:
    """How large that is, input by input."""
    F, dX = _at_the_examples(passed)
    return {"saliency": np.abs(dX), "saliency.F": F}


def input_x_gradient(passed: Pass) -> Tensors:
    """The inputs times that."""
    F, dX = _at_the_examples(passed)
    return {"input_x_gradient": passed.batch.X.reshape(dX.shape) * dX, "input_x_gradient.F": F}


def _at_the_examples(passed: Pass) -> tuple[Array, Array]:
    """F and its gradient: the pass's own, where F is the loss."""
    if passed.options.target == "loss":
        precise = passed.precisely()
        return precise.losses, precise.batch.workspace.derivatives[0]
    F, dX = Output(passed).at(passed.batch.X, np.arange(passed.m))
    return F, dX.reshape(passed.m, *passed.network.input_shape)


def output_jacobian(passed: Pass) -> Tensors:
    """The derivatives of all outputs by the inputs. Refused where they are too many numbers to hold at once."""
    network = passed.network
    numbers = passed.m * network.n_out * network.n_in
    if numbers > MAXIMUM_NUMBERS:
        raise SpecError(
            "quantities",
            f"expected an output_jacobian of at most {MAXIMUM_NUMBERS} numbers, got {numbers}; send fewer rows",
            code="too_many_numbers",
        )
    found = Output(passed).jacobian(passed.batch.X)
    return {"output_jacobian": found.reshape(passed.m, network.n_out, *network.input_shape)}


def smoothgrad(passed: Pass) -> Tensors:
    """The mean of the derivative of F at blurred inputs."""
    output, options, X = Output(passed), passed.options, passed.batch.X
    total = np.zeros(X.shape)
    for sample in range(options.samples):
        blur = generator(options.seed, "smoothing", step=sample).standard_normal(X.shape)
        total += output.at(X + options.noise * blur, np.arange(passed.m))[1]
    return {"smoothgrad": (total / options.samples).reshape(passed.m, *passed.network.input_shape)}


def integrated_gradients(passed: Pass) -> Tensors:
    """What each input adds to F on the straight line from a baseline x′ to x; F at both ends, and what does not add up.

    Over the inputs they sum to F(x) − F(x′) but for the residual, which tells how good the rule is: `gauss_legendre`
    and `midpoint` with so many `nodes`, or `converged`, which halves the stretches of the line where the residual is
    until it is at most `completeness` beside |F(x) − F(x′)| or 1. Along ids the line leads through what are none.
    """
    options, output = passed.options, Output(passed)
    path = Path(output, passed.batch.X, np.broadcast_to(_baseline(passed), passed.batch.X.shape))
    if options.rule == "converged":
        integral, nodes = until_complete(path, options.completeness)
    else:
        integral, nodes = fixed(path, options.rule, options.nodes), np.full(passed.m, float(options.nodes))
    name, shape = "integrated_gradients", (passed.m, *passed.network.input_shape)
    return {
        name: integral.reshape(shape),
        f"{name}.F": path.F_end,
        f"{name}.F_baseline": path.F_start,
        f"{name}.residual": integral.sum(axis=1) - (path.F_end - path.F_start),
        f"{name}.nodes": nodes,
    }


def _baseline(passed: Pass) -> Array:
    """x′, flat."""
    baseline, X = passed.options.baseline, passed.batch.X
    if baseline == "zeros":
        return np.zeros(X.shape[1])
    if baseline == "mean":
        mean: Array = X.mean(axis=0, dtype=np.float64)
        return mean
    place, shape = "options.baseline", list(passed.network.input_shape)
    try:
        row = np.asarray(baseline, np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(place, f"expected zeros, mean, or a row of numbers of shape {shape}") from error
    if row.size != X.shape[1] or not np.isfinite(row).all():
        raise SpecError(place, f"expected a row of {X.shape[1]} finite numbers, got shape {list(row.shape)}")
    return row.reshape(-1)


class Output:
    """F and its gradient at inputs of the examples' own, or at others in their place."""

    def __init__(self, passed: Pass) -> None:
        self.passed, self.network, self.target = passed, passed.network, passed.options.target
        self.of_Z = passed.options.output == "Z" and isinstance(self.network.layers[-1], Activation)
        if self.target != "loss" and not 0 <= self.target < self.network.n_out:
            raise SpecError(
                "options.target",
                f"expected loss, or an output from 0 to {self.network.n_out - 1}, got {self.target}",
                code="no_such_output",
            )

    def at(self, X: Array, examples: Array) -> tuple[Array, Array]:
        """F (k,) and its gradient (k, n_in) at X (k, n_in), the inputs of these examples (k,)."""
        F, dX = np.empty(len(X)), np.empty(X.shape)
        for part, batch in self._batches(X):
            F[part] = self._loss(batch, examples[part]) if self.target == "loss" else self._score(batch, self.target)
            dX[part] = _input_gradient(batch)
        return F, dX

    def jacobian(self, X: Array) -> Array:
        """(k, n_out, n_in) at X (k, n_in)."""
        found = np.empty((len(X), self.network.n_out, X.shape[1]))
        for part, batch in self._batches(X):
            batch.forward()
            for output in range(self.network.n_out):
                self._back(batch, output)
                found[part, output] = _input_gradient(batch)
        return found

    def _batches(self, X: Array) -> Iterator[tuple[slice, Batch]]:
        """A few rows after the other, and a batch that holds them as inputs."""
        for start in range(0, len(X), self._workspace.rows):
            self.passed.in_time()
            part = slice(start, min(start + self._workspace.rows, len(X)))
            batch = self._workspace.cut(part.stop - part.start)
            batch.X[...] = X[part]
            yield part, batch

    @cached_property
    def _workspace(self) -> Workspace:
        parameters = self.passed.parameters.astype(np.float64, copy=False)
        return Workspace(
            self.network,
            parameters,
            rows=self.network.evaluation_rows,
            shared=False,
            parameter_gradients=False,
            input_gradient=True,
            weighted=self.passed.weights is not None,
        )

    def _loss(self, batch: Batch, examples: Array) -> Array:
        batch.Y[...] = self.passed.batch.Y[examples]
        if batch.head.weights is not None and self.passed.weights is not None:
            batch.head.weights[:, 0] = self.passed.weights[examples]
        batch.forward()
        losses = batch.example_losses().copy()
        batch.backward()
        return losses

    def _score(self, batch: Batch, output: int) -> Array:
        batch.forward()
        self._back(batch, output)
        return (batch.head.Z if self.of_Z else batch.head.A)[:, output]

    def _back(self, batch: Batch, output: int) -> None:
        """Both the derivatives of one output."""
        one = np.zeros(self.network.n_out)
        one[output] = 1
        batch.backward_from(one, of_Z=self.of_Z)


def _input_gradient(batch: Batch) -> Array:
    dX = batch.slots[0].dx
    if dX is None:
        raise TypeError("expected a workspace with the input's gradient")
    return dX.reshape(batch.m, -1)


SUNDARARAJAN = "Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks, eq. 1"

ATTRIBUTION = {
    "input_gradient": Quantity(
        equation="∂F/∂x",
        shape="of X; F: (m,)",
        cost="0 of the loss, else 2",
        backward_passes=lambda network, options: 0.0 if options.target == "loss" else 2.0,
        source="Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors",
        of=input_gradient,
        options=("target", "output"),
    ),
    "saliency": Quantity(
        equation="|∂F/∂x|",
        shape="of X; F: (m,)",
        cost="0 of the loss, else 2",
        backward_passes=lambda network, options: 0.0 if options.target == "loss" else 2.0,
        source="Simonyan, Vedaldi & Zisserman 2014, Deep inside convolutional networks, §3",
        of=saliency,
        options=("target", "output"),
    ),
    "input_x_gradient": Quantity(
        equation="x ⊙ ∂F/∂x",
        shape="of X; F: (m,)",
        cost="0 of the loss, else 2",
        backward_passes=lambda network, options: 0.0 if options.target == "loss" else 2.0,
        source="Shrikumar, Greenside, Shcherbina & Kundaje 2016, Not just a black box, §2.1",
        of=input_x_gradient,
        options=("target", "output"),
    ),
    "output_jacobian": Quantity(
        equation="∂A[L]/∂x, or ∂Z[L]/∂x: one row for each output",
        shape="(m, n_L, and the axes of a row of X)",
        cost="0.7 n_L",
        backward_passes=lambda network, options: 0.7 * network.n_out,
        source="the chain rule, with a backward pass for each output",
        of=output_jacobian,
        options=("output",),
    ),
    "integrated_gradients": Quantity(
        equation="(x − x′) ⊙ ∫₀¹ ∂F/∂x at x′ + α(x − x′) dα; residual = its sum − (F(x) − F(x′))",
        shape="of X; F, F_baseline, residual, nodes: (m,) each",
        cost="1.4 for each node",
        backward_passes=lambda network, options: 1.4 * options.nodes,
        source=SUNDARARAJAN,
        of=integrated_gradients,
        options=("target", "output", "baseline", "rule", "nodes", "completeness"),
    ),
    "smoothgrad": Quantity(
        equation="(1/n)Σ ∂F/∂x at x + ε, ε ~ N(0, noise²)",
        shape="of X",
        cost="1.7 for each sample",
        backward_passes=lambda network, options: 1.7 * options.samples,
        source="Smilkov, Thorat, Kim, Viégas & Wattenberg 2017, SmoothGrad: removing noise by adding noise, §3",
        of=smoothgrad,
        options=("target", "output", "noise", "samples", "seed"),
    ),
}
