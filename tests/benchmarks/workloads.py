"""What is trained in the training benchmark: networks from tiny to image, named and sized. Loads no NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One network, ReLU inside, and one batch size."""

    widths: tuple[int, ...]
    """The inputs, every hidden layer, the outputs: one output is a number, several are classes."""
    batch_size: int
    steps: int
    """Steps in one timed round."""

    @property
    def is_classification(self) -> bool:
        return self.widths[-1] > 1

    @property
    def layers(self) -> str:
        """The widths, such as 64-64-10."""
        return "-".join(map(str, self.widths))


WORKLOADS = {
    "tiny": Workload((4, 16, 3), batch_size=32, steps=512),
    "tabular": Workload((32, 64, 32, 1), batch_size=128, steps=256),
    "digits": Workload((64, 64, 10), batch_size=64, steps=256),
    "deep": Workload((64, *[64] * 8, 10), batch_size=128, steps=64),
    "image": Workload((784, 256, 128, 10), batch_size=128, steps=32),
}
