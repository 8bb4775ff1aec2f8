"""Inspections and nudge checks."""

from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field

from engine.inspection.reductions import MAXIMUM_TOP
from engine.layers import LayerSpec
from engine.losses import LossSpec
from engine.spec import MAXIMUM_LAYERS, Dtype, InputSpec, within_limit
from service.schemas.base import At, Body, Request, example

if TYPE_CHECKING:
    from service.domain.estimates import Estimate

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Matrix = Annotated[list[list[Number]], Field(min_length=1)]
DEEPEST = 8
"""Lists in lists of a parameter."""


def _all_numbers(values: list[Any], depth: int = 1) -> list[Any]:
    """Lists of any shape, as layers differ in it, with nothing in them but finite numbers."""
    kinds = set(map(type, values))
    if kinds <= {int, float}:
        if not all(abs(value) < inf for value in values):
            raise ValueError("expected finite numbers only")
    elif kinds == {list} and depth < DEEPEST:
        for inner in values:
            _all_numbers(inner, depth + 1)
    else:
        raise ValueError("expected numbers only, or only lists of them")
    return values


Parameter = Annotated[list[Any], AfterValidator(_all_numbers)]
Convention = Annotated[
    Literal["per_example", "mean"],
    Field(description="Whether dZ and dA are each example's own derivatives, or those of the mean loss, with 1/m."),
]
Orientation = Annotated[
    Literal["rows", "columns"], Field(description="Whether examples are rows, or columns as in textbooks.")
]
ReductionName = Literal["stats", "full", "norm", "hist", "topk", "slice"]
Weights = Annotated[
    list[Annotated[float, Field(ge=0)]],
    Field(min_length=1, description="How much each row counts; the loss is then Σwl/Σw. Null: all alike."),
]


class Plain(Request):
    """Statistics, every element, or the Euclidean norm."""

    type: Literal["stats", "full", "norm"]


class Hist(Request):
    """How many elements lie in each bin."""

    type: Literal["hist"]
    bins: Annotated[
        str,
        Field(
            max_length=20, description="half_decades: fixed edges, which add up; or so many of one width, linear:64."
        ),
    ] = "half_decades"


class Topk(Request):
    """The largest elements by size."""

    type: Literal["topk"]
    k: Annotated[int, Field(ge=1, le=MAXIMUM_TOP, strict=True)] = 10


def _in_order(found: tuple[int, int]) -> tuple[int, int]:
    if found[0] >= found[1]:
        raise ValueError(f"expected a first number below the second, got {list(found)}")
    return found


Place = Annotated[int, Field(ge=0, le=2**53, strict=True)]
Range = Annotated[
    tuple[Place, Place],
    AfterValidator(_in_order),
    Field(description="From the first, counted from 0, to the one behind the last."),
]


class Slice(Request):
    """The elements of some rows, along the first axis, and columns, along the last; of a vector rows alone count."""

    type: Literal["slice"]
    rows: Range | None = None
    cols: Range | None = None


def _named(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


AnyReduction = Annotated[
    Plain | Hist | Topk | Slice,
    Field(discriminator="type"),
    BeforeValidator(_named, json_schema_input_type=ReductionName | Plain | Hist | Topk | Slice),
]

NETWORK_EXAMPLE: dict[str, Any] = {
    "network": {
        "layers": [
            {"type": "dense", "units": 2, "activation": "tanh"},
            {"type": "dense", "units": 1, "activation": "sigmoid"},
        ]
    },
    "loss": "binary_cross_entropy",
    "parameters": {"W.1": [[0.1, -0.2], [0.4, 0.3]], "b.1": [0.0, 0.1], "W.2": [[0.7], [-0.5]], "b.2": [0.2]},
    "X": [[1.0, 2.0], [-1.0, 0.5]],
    "Y": [[1.0], [0.0]],
}


HeadName = Annotated[
    Literal["auto", "shortcut", "general"],
    Field(description="Whether dZ[L] is A − Y or goes through dA[L]; auto is the shortcut where there is one."),
]


EstimateOnly = Annotated[bool, Field(strict=True, description="Say what it would cost, and do nothing of it.")]


class Questions(Request):
    """What to look at."""

    quantities: Annotated[
        list[Annotated[str, Field(max_length=60)]],
        Field(
            min_length=1,
            max_length=1000,
            description="Tensors such as dW.1, or a bare dW for every layer's; and those of /v1/inspection/quantities.",
        ),
    ] = ["loss", "Z", "A", "dZ", "dA", "dW", "db"]
    convention: Convention = "per_example"
    orientation: Orientation = "rows"
    reduce: Annotated[
        AnyReduction | None,
        Field(description="How much of each tensor, by name or with options; null is stats, in binary forms full."),
    ] = None
    head: HeadName = "auto"
    estimate_only: EstimateOnly = False


class QuantityOptions(Request):
    """What some quantities want to know beside the batch, wherever that comes from."""

    learning_rate: Annotated[float | None, Field(gt=0, description="Of the step that cabs is to suit.")] = None
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True, description="Of what is drawn.")] = 0
    with_l2: Annotated[bool, Field(description="Whether curvature is that of the loss with its L2 penalty.")] = False
    ggn_split: Annotated[
        Literal["auto", "Z", "A"],
        Field(description="Up to where the Gauss-Newton matrix takes the network as linear: Z[L] or A[L]."),
    ] = "auto"
    vector: Annotated[
        dict[str, Parameter] | None,
        Field(description="What H and G are multiplied with, by parameter; what is not named is 0; null is drawn."),
    ] = None
    eigenvalues: Annotated[int, Field(ge=1, le=20, strict=True, description="At each end.")] = 1
    products: Annotated[int, Field(ge=1, le=1000, strict=True, description="At most so many for eigenvalues.")] = 100
    tolerance: Annotated[float, Field(gt=0, lt=1, description="Of a residual ‖Hv − λv‖, beside the largest |λ|.")] = (
        1e-6
    )
    target: Annotated[
        Literal["loss"] | Annotated[int, Field(ge=0, strict=True)],
        Field(description="What is attributed to the inputs: an output, counted from 0, or each example's loss."),
    ] = "loss"
    output: Annotated[Literal["A", "Z"], Field(description="Whose outputs: A[L]'s or Z[L]'s.")] = "A"
    baseline: Annotated[
        Literal["zeros", "mean"] | Parameter,
        Field(description="Where a path of inputs begins: zeros, the mean of the batch, or a row of X."),
    ] = "zeros"
    rule: Annotated[
        Literal["gauss_legendre", "midpoint", "converged"], Field(description="How the path is integrated along.")
    ] = "gauss_legendre"
    nodes: Annotated[int, Field(ge=1, le=500, strict=True, description="Of the path, unless it is to converge.")] = 50
    completeness: Annotated[
        float, Field(gt=0, lt=1, description="Of a residual, beside |F(x) − F(x′)| or 1, when it has converged.")
    ] = 1e-6
    noise: Annotated[float, Field(ge=0, le=1e6, description="The standard deviation of what blurs inputs.")] = 0.1
    samples: Annotated[int, Field(ge=1, le=1000, strict=True, description="How often inputs are blurred.")] = 50


class StatelessOptions(QuantityOptions):
    """What some quantities want to know beside the batch."""

    after: Annotated[
        dict[str, Parameter] | None, Field(description="The parameters after the step, as `parameters`, for alpha.")
    ] = None
    l1: Annotated[float | None, Field(ge=0, description="λ₁ of λ₁Σ|W|, for penalty.")] = None
    l2: Annotated[float | None, Field(ge=0, description="λ₂ of ½λ₂ΣW², for penalty and with_l2.")] = None


class RunOptions(QuantityOptions):
    """What some quantities want to know beside the batch; a penalty is the run's own."""

    after: Annotated[At | None, Field(description="The moment after the step, as `at`, for alpha.")] = None


class Targets(Request):
    """Which numbers to nudge."""

    targets: Annotated[
        Annotated[str, Field(max_length=20)]
        | Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=100_000)]
        | None,
        Field(
            description="Numbers such as W.1[0,3], Z.2[5,1] or A.0[5,2], and tensors such as Z.1, of which all numbers "
            "are meant; or all, random or topk of every parameter and X, the last two also as topk:8. Null is random."
        ),
    ] = None
    samples: Annotated[int, Field(ge=1, le=1000, description="Of each tensor, where targets are random or topk.")] = 4
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    method: Annotated[
        Literal["auto", "central", "complex", "direction"],
        Field(
            description="Central differences, or a complex step, which auto is where it can; direction measures each "
            "tensor as a whole along a direction drawn with the seed."
        ),
    ] = "auto"
    convention: Convention = "per_example"
    orientation: Orientation = "rows"


class StatelessNetwork(Request):
    """All layers in order; the last one is the head."""

    input: InputSpec | None = Field(None, description="The shape of a row of X; its scaling plays no part here.")
    layers: Annotated[list[LayerSpec], Field(min_length=1, max_length=MAXIMUM_LAYERS), AfterValidator(within_limit)]


class Stateless(Request):
    """A network, its parameters and a batch, all in the request."""

    network: StatelessNetwork
    loss: LossSpec
    parameters: Annotated[dict[str, Parameter], Field(description="W.1, b.1, …; W is (n_in, n_out) in rows.")]
    X: Annotated[
        list[Parameter], Field(min_length=1, description="Rows of numbers, or rows nested to network.input's shape.")
    ]
    Y: Matrix
    weights: Weights | None = None


class StatelessInspect(Stateless, Questions):
    """A network, its parameters, a batch, and what to look at."""

    model_config = {
        "json_schema_extra": {"examples": [{**NETWORK_EXAMPLE, "quantities": ["dZ", "dW", "db"], "reduce": "full"}]}
    }

    options: StatelessOptions = StatelessOptions()


class StatelessCheck(Stateless, Targets):
    """A network, its parameters, a batch, and which numbers to nudge."""

    model_config = {"json_schema_extra": {"examples": [{**NETWORK_EXAMPLE, "targets": ["W.1[0,1]", "b.2[0]"]}]}}


RowNumber = Annotated[int, Field(ge=0, le=2**53, description="Counted from 0.")]


class DatasetRows(Request):
    """Rows of the run's dataset, the first of a part or by number; of another dataset the first or by number."""

    dataset: Annotated[
        str | None, Field(max_length=60, description="Another one, with the same columns; null: the run's own.")
    ] = None
    part: Literal["train", "validation", "test"] | None = None
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    numbers: Annotated[list[RowNumber] | None, Field(min_length=1, max_length=1_000_000)] = None


class Step(Request):
    """The batch of a step of the training."""

    epoch: Annotated[int, Field(ge=1, le=1_000_000, description="Counted from 1.")]
    step: Annotated[int, Field(ge=1, le=1_000_000_000, description="Counted from 1 within the epoch.")]


class RunBatch(Request):
    """One of three: rows with their target columns, rows of the dataset, or the batch of a step."""

    at: At | None = None
    checkpoint: Annotated[str | None, Field(max_length=80, description="Another word for `at`.")] = None
    rows: Annotated[list[dict[str, Any] | list[Any]] | None, Field(min_length=1)] = None
    dataset_rows: DatasetRows | None = None
    step: Step | None = None
    weights: Weights | None = None


class RunInspect(RunBatch, Questions):
    """A batch of a run, and what to look at."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "at": "best",
                    "dataset_rows": {"part": "validation", "limit": 8},
                    "quantities": ["dW"],
                    "reduce": "norm",
                }
            ]
        }
    }

    dtype: Annotated[
        Dtype | None, Field(description="Null: the run's own; float64 where a quantity of the catalogue is asked for.")
    ] = None
    options: RunOptions = RunOptions()


class RunCheck(RunBatch, Targets):
    """A batch of a run, and which numbers to nudge."""

    model_config = {"json_schema_extra": {"examples": [{"dataset_rows": {"part": "train", "limit": 8}, "samples": 2}]}}


class ReplayStart(Body):
    """Where a replay began."""

    checkpoint: str | None
    """Null: with the first weights, which the seed gives."""
    moment: int


class ReplayDifference(Body):
    """How far a replay is from what was stored."""

    moment: int
    absolute: float
    ulps: float
    """In units of the last place of the stored number."""


class ReplayBody(Body):
    """How the numbers of a moment came about."""

    status: Literal["stored", "exact", "approximate"]
    """`exact`: computed again, and proved by a digest. `approximate`: computed again, but not as the run did it."""
    start: Annotated[ReplayStart | None, Field(description="The state it was computed from.")] = None
    steps: Annotated[int | None, Field(description="How many steps were computed again.")] = None
    proved_at: Annotated[int | None, Field(description="The moment whose digest was compared.")] = None
    seconds: float | None = None
    changed: Annotated[
        dict[str, list[Any]], Field(description="Of the fingerprint: then, and now, where it is not exact.")
    ] = {}
    largest_difference: ReplayDifference | None = None


class InspectedTensor(Body):
    """A tensor's shape, and as much of it as was asked for."""

    model_config = {"extra": "allow"}

    shape: list[int]
    non_finite: int
    """Elements that are not finite: null in `values`."""


class EstimateBody(Body):
    """What a request would cost, about; nothing of it was done."""

    model_config = example(
        {
            "replayed_steps": 200,
            "replay_seconds": 0.3,
            "backward_passes": 3.0,
            "pass_seconds": 0.01,
            "seconds": 0.31,
            "is_long": False,
        }
    )

    replayed_steps: int
    """Steps of the run that would be computed again."""
    replay_seconds: float
    backward_passes: float
    """What the quantities cost beside the pass itself, in units of one backward pass."""
    pass_seconds: float
    """Of the pass and the quantities: a pass was timed."""
    seconds: float
    """Altogether."""
    is_long: bool
    """Whether it is better sent with `Prefer: respond-async`."""

    @classmethod
    def of(cls, estimate: "Estimate") -> Self:
        """The estimate as JSON."""
        return cls(**vars(estimate), seconds=estimate.seconds, is_long=estimate.is_long)


class InspectionBody(Body):
    """What one forward and one backward pass showed, with dropout off."""

    model_config = example(
        {
            "loss": 0.693,
            "example_losses": [0.52, 0.866],
            "convention": "per_example",
            "orientation": "rows",
            "dtype": "float64",
            "head": "shortcut",
            "units": "the loss is in nats",
            "warnings": [],
            "tensors": {"dW.1": {"shape": [2, 1], "values": [[0.21], [None]], "non_finite": 1}},
        }
    )

    loss: float | None
    example_losses: list[float | None]
    convention: Literal["per_example", "mean"]
    orientation: Literal["rows", "columns"]
    dtype: Dtype
    head: Literal["shortcut", "general"]
    units: str
    """What the loss and the gradients are measured in."""
    run: str | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    """Whole epochs done."""
    step: int | None = None
    """Steps done after them."""
    replay: ReplayBody | None = None
    row_numbers: list[int] | None = None
    """Which rows of the dataset these are."""
    warnings: list[str]
    tensors: dict[str, InspectedTensor]


class NudgeBody(Body):
    """One number's derivative, or one tensor's along a direction, by backpropagation and by nudging."""

    address: str
    method: Literal["central", "complex"]
    analytic: float | None
    numeric: float | None
    error_bar: float | None
    relative_error: float | None
    digits: float
    """How many decimal digits agree."""
    verdict: Literal["ok", "kink", "below_noise", "mismatch"]
    flipped: list[str]


class CheckBody(Body):
    """A nudge check: the numbers, and how long both ways took."""

    model_config = example(
        {
            "loss": 0.693,
            "convention": "per_example",
            "orientation": "rows",
            "dtype": "float64",
            "units": "the loss is in nats",
            "warnings": [],
            "verdicts": {"ok": 1, "kink": 0, "below_noise": 0, "mismatch": 0},
            "worst_relative_error": 1.4e-16,
            "backpropagation_seconds": 0.0002,
            "nudging_seconds": 0.001,
            "forward_passes": 2,
            "is_complete": True,
            "nudges": [
                {
                    "address": "W.1[0,1]",
                    "method": "complex",
                    "analytic": 0.21,
                    "numeric": 0.21000000000000002,
                    "error_bar": 2e-15,
                    "relative_error": 1.4e-16,
                    "digits": 15.9,
                    "verdict": "ok",
                    "flipped": [],
                }
            ],
        }
    )

    loss: float | None
    convention: Literal["per_example", "mean"]
    orientation: Literal["rows", "columns"]
    dtype: Literal["float64"]
    units: str
    run: str | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    """Whole epochs done."""
    step: int | None = None
    """Steps done after them."""
    replay: ReplayBody | None = None
    row_numbers: list[int] | None = None
    warnings: list[str]
    verdicts: dict[str, int]
    worst_relative_error: float | None
    backpropagation_seconds: float
    """For the gradient by every number at once."""
    nudging_seconds: float
    """For the numbers listed."""
    forward_passes: int
    is_complete: bool
    nudges: list[NudgeBody]
