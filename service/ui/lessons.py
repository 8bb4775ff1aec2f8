"""Lessons: a training that fails in one known way, what to look at, and the change that mends it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.samples import DIGITS, made

Json = dict[str, Any]


@dataclass(frozen=True)
class Lesson:
    """A failure, as two runs of the same table that differ in little."""

    name: str
    title: str
    happens: str
    """What can be seen."""
    why: str
    formula: str
    """In MathML, without the element around it."""
    looks: tuple[tuple[str, str], ...]
    """The pages of the run that show it: each with the route of one, and what to look for there."""
    helps: str
    table: Callable[[], bytes]
    target: str
    sick: Mapping[str, Any]
    """Of a run's body."""
    cured: Mapping[str, Any] = field(default_factory=dict)
    """The same, where it differs."""

    def body(self, which: str) -> Json:
        """A run's body but for its dataset."""
        own = self.sick if which == "sick" else {**self.sick, **self.cured}
        return {"target": self.target, "split": SPLIT, "name": self.called(which), "tags": tags(self.name), **own}

    def called(self, which: str) -> str:
        """The name of such a run."""
        return f"{self.title}: {'the failure' if which == 'sick' else 'mended'}"


SPLIT = {"validation": 0.2, "test": 0.1}


def tags(name: str) -> list[str]:
    """What the runs of a lesson are found by."""
    return [f"lesson:{name}"]


def _dense(*widths: int, activation: str = "relu", **more: Any) -> Json:
    return {"layers": [{"type": "dense", "units": width, "activation": activation, **more} for width in widths]}


def _training(epochs: int, kind: str, rate: float, **more: Any) -> Json:
    optimizer = {"type": kind, "learning_rate": rate}
    return {"epochs": epochs, "optimizer": optimizer, "early_stopping": None, **more}


def _normal(std: float) -> Json:
    return {"type": "normal", "std": std}


LESSONS: Mapping[str, Lesson] = {
    lesson.name: lesson
    for lesson in (
        Lesson(
            name="vanishing",
            title="Vanishing gradients",
            happens="The loss stays where guessing would put it. The last layer moves, the first ones hardly do.",
            why="On its way back the gradient is multiplied by each layer's weights and by its activation's slope. "
            "The slope of a sigmoid is at most a quarter; with small weights besides, eight layers leave a "
            "hundred-thousandth of it.",
            formula="<mi>d</mi><msub><mi>Z</mi><mrow><mi>l</mi><mo>−</mo><mn>1</mn></mrow></msub><mo>=</mo>"
            "<mo stretchy='false'>(</mo><mi>d</mi><msub><mi>Z</mi><mi>l</mi></msub><msubsup><mi>W</mi><mi>l</mi>"
            "<mi>T</mi></msubsup><mo stretchy='false'>)</mo><mo>∘</mo><msup><mi>σ</mi><mo>′</mo></msup>"
            "<mo stretchy='false'>(</mo><msub><mi>Z</mi><mrow><mi>l</mi><mo>−</mo><mn>1</mn></mrow></msub>"
            "<mo stretchy='false'>)</mo><mo>,</mo><mspace width='1em'/><msup><mi>σ</mi><mo>′</mo></msup><mo>≤</mo>"
            "<mfrac><mn>1</mn><mn>4</mn></mfrac>",
            looks=(
                ("flow_page", "The squares get lighter from the last layer to the first, by powers of ten."),
                ("doctor_page", "It names the layer, and what took most of the gradient."),
            ),
            helps="ReLUs, whose slope is 1, with weights that begin as large as they suit (He et al. 2015). Batch "
            "normalisation and residual blocks help as well.",
            table=DIGITS.content,
            target=DIGITS.target,
            sick={
                "network": _dense(*[24] * 8, activation="sigmoid", init=_normal(0.3)),
                "training": _training(15, "sgd", 0.1),
            },
            cured={"network": _dense(*[24] * 8)},
        ),
        Lesson(
            name="exploding",
            title="Exploding gradients",
            happens="The very first losses are enormous, then a number is no longer finite, and the run fails.",
            why="Weights that begin too large make every layer's output larger than the one before; backwards the "
            "gradient grows in the same way. A step as long as that gradient throws the weights still further out.",
            formula="<mo>‖</mo><mi>d</mi><msub><mi>Z</mi><mn>1</mn></msub><mo>‖</mo><mo>≈</mo><msup><mrow>"
            "<mo stretchy='false'>(</mo><mi>s</mi><msqrt><mi>n</mi></msqrt><mo stretchy='false'>)</mo></mrow>"
            "<mrow><mi>L</mi><mo>−</mo><mn>1</mn></mrow></msup><mo>‖</mo><mi>d</mi><msub><mi>Z</mi><mi>L</mi></msub>"
            "<mo>‖</mo>",
            looks=(
                ("run_page", "On a logarithmic scale the loss begins far above that of guessing."),
                ("flow_page", "The squares get darker from the last layer to the first."),
            ),
            helps="Weights with a deviation of √(2/n) of n inputs (He et al. 2015). Clipping the gradient's norm helps "
            "where it explodes now and then.",
            table=DIGITS.content,
            target=DIGITS.target,
            sick={"network": _dense(*[32] * 6, init=_normal(1.0)), "training": _training(12, "sgd", 0.02)},
            cured={"network": _dense(*[32] * 6), "training": _training(12, "sgd", 0.1)},
        ),
        Lesson(
            name="dead-relu",
            title="Dead ReLUs",
            happens="The loss jumps once, and then nothing changes any more: the same answer for every row.",
            why="A step that is far too long pushes biases so low that a unit's Z is below 0 for every row. There a "
            "ReLU gives 0 with slope 0, so that no gradient reaches its weights: it can't come back.",
            formula="<msub><mi>Z</mi><mi>i</mi></msub><mo>&lt;</mo><mn>0</mn><mspace width='.5em'/>"
            "<mtext>for all</mtext><mspace width='.5em'/><mi>i</mi><mo>⇒</mo><mi>d</mi><mi>W</mi><mo>=</mo><mn>0</mn>",
            looks=(
                ("network_page", "Dead units are crossed out. Move the epochs to see when they died."),
                ("flow_page", "Choose the share of zeros: it goes to 1."),
            ),
            helps="A smaller learning rate. Leaky ReLU or GELU, whose slope is nowhere 0, let units come back.",
            table=DIGITS.content,
            target=DIGITS.target,
            sick={"network": _dense(32, 32), "training": _training(15, "adam", 1.0)},
            cured={"training": _training(15, "adam", 0.003)},
        ),
        Lesson(
            name="saturation",
            title="Saturated units",
            happens="The loss falls, but slowly, and the run stays far behind what the table allows.",
            why="With large weights nearly every Z lies where tanh is flat. The units say ±1 whatever the row, and "
            "their slope, 1 − tanh², lets next to nothing back.",
            formula="<msup><mi>tanh</mi><mo>′</mo></msup><mo stretchy='false'>(</mo><mi>z</mi>"
            "<mo stretchy='false'>)</mo><mo>=</mo><mn>1</mn><mo>−</mo><msup><mi>tanh</mi><mn>2</mn></msup><mi>z</mi>",
            looks=(
                ("network_page", "The table below the diagram counts the saturated units."),
                ("doctor_page", "It says from which step on, and of which layers."),
            ),
            helps="Weights with a deviation of √(2/(n_in + n_out)) (Glorot & Bengio 2010), and inputs of deviation 1.",
            table=DIGITS.content,
            target=DIGITS.target,
            sick={
                "network": _dense(32, 32, activation="tanh", init=_normal(8.0)),
                "training": _training(15, "sgd", 0.05),
            },
            cured={"network": _dense(32, 32, activation="tanh")},
        ),
        Lesson(
            name="overfitting",
            title="Overfitting",
            happens="The training loss goes to 0. The validation loss falls at first, then rises epoch after epoch.",
            why="112 rows of 24 columns, two of which say something, and thousands of weights: the network learns the "
            "rows by heart, their noise included. That of other rows is another one.",
            formula="<msub><mi>L</mi><mtext>validation</mtext></msub><mo>−</mo><msub><mi>L</mi><mtext>train</mtext></msub>"
            "<mo>↑</mo>",
            looks=(
                ("run_page", "The two curves of the loss part; the best epoch is marked, and is early."),
                ("evaluation_page", "Compare the training part with the test part."),
            ),
            helps="Fewer weights, an L2 penalty or dropout, and stopping when the validation loss stops falling. More "
            "rows help most.",
            table=made.few,
            target="ill",
            sick={"network": _dense(64, 64), "training": _training(200, "adam", 0.005, l2=0)},
            cured={
                "network": _dense(8),
                "training": {**_training(200, "adam", 0.005, l2=0.02), "early_stopping": {"patience": 15}},
            },
        ),
        Lesson(
            name="bad-scale",
            title="Inputs of unlike scales",
            happens="The loss begins in the thousands, or a number is no longer finite within a few steps.",
            why="Incomes of 40 000 stand beside interest rates of 0.01, and no standardisation is asked for. The "
            "gradient of a weight is as large as its input, so that no one learning rate suits them all.",
            formula="<mi>d</mi><mi>W</mi><mo>=</mo><mfrac><mn>1</mn><mi>m</mi></mfrac><msup><mi>X</mi><mi>T</mi></msup>"
            "<mi>d</mi><mi>Z</mi>",
            looks=(
                ("doctor_page", "It names the columns before the first step is taken."),
                ("run_page", "The first losses, on a logarithmic scale."),
            ),
            helps="Standardised inputs, (x − mean)/deviation, which is what is done unless a spec says otherwise.",
            table=made.scales,
            target="repaid",
            sick={
                "network": {"input": {"shape": [4], "scaling": "none"}, **_dense(16)},
                "training": _training(30, "sgd", 0.05),
            },
            cured={"network": _dense(16)},
        ),
        Lesson(
            name="leaking",
            title="A column that leaks",
            happens="Nearly every row is right, also of the test part: far too good to be true.",
            why="The share of a loan that was returned is known only once the loan is over, and says by itself whether "
            "it was late. The network learns to look it up, and is of no use on the day a loan is asked for.",
            formula="<mi>P</mi><mo stretchy='false'>(</mo><mi>y</mi><mo>|</mo><msub><mi>x</mi><mtext>returned</mtext>"
            "</msub><mo stretchy='false'>)</mo><mo>=</mo><mn>1</mn>",
            looks=(
                ("run_page", "What you should know of the data, at the bottom, names the column."),
                ("try_page", "Change the share that was returned: nothing else matters."),
            ),
            helps="Leaving the column out of the features. How good the network really is shows only then.",
            table=made.leaking,
            target="late",
            sick={"network": _dense(16), "training": _training(80, "adam", 0.01)},
            cured={"features": ["income", "age", "lent"]},
        ),
    )
}
"""By name, in the order they are told."""
