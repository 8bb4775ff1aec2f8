"""What is trained in the training benchmark: networks from tiny to image, named and sized. Loads no NumPy."""

from dataclasses import dataclass
from itertools import groupby


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
        """The widths, such as 64-128-64-10; equal ones in a row are counted: 32-[64]×10-10."""
        runs = [(width, len(list(group))) for width, group in groupby(self.widths)]
        return "-".join(f"[{width}]×{count}" if count > 3 else "-".join([str(width)] * count) for width, count in runs)


WORKLOADS = {
    "tiny": Workload((2, 16, 1), batch_size=32, steps=512),
    "tabular": Workload((30, 64, 64, 3), batch_size=128, steps=256),
    "digits": Workload((64, 128, 64, 10), batch_size=64, steps=256),
    "deep": Workload((32, *[64] * 10, 10), batch_size=128, steps=64),
    "image": Workload((784, 512, 256, 10), batch_size=128, steps=32),
    "wide": Workload((1024, 2048, 2048, 10), batch_size=512, steps=4),
}
