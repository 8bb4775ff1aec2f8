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
    image: tuple[int, int, int] | None = None
    """Height, width and channels of the inputs, where they are an image."""
    filters: tuple[int, ...] = ()
    """Of each convolution by 3×3 at the start, a max pool by 2×2 behind each."""

    @property
    def is_classification(self) -> bool:
        return self.widths[-1] > 1

    @property
    def layers(self) -> str:
        """The widths, such as 64-128-64-10; equal ones in a row are counted: 32-[64]×10-10.

        Of an image, its shape and the filters: 28×28×1, 8 and 16 filters, 10.
        """
        if self.image:
            shape = "×".join(map(str, self.image))
            return f"{shape}, {' and '.join(map(str, self.filters))} filters, {self.widths[-1]}"
        runs = [(width, len(list(group))) for width, group in groupby(self.widths)]
        return "-".join(f"[{width}]×{count}" if count > 3 else "-".join([str(width)] * count) for width, count in runs)


WORKLOADS = {
    "tiny": Workload((2, 16, 1), batch_size=32, steps=512),
    "tabular": Workload((30, 64, 64, 3), batch_size=128, steps=256),
    "digits": Workload((64, 128, 64, 10), batch_size=64, steps=256),
    "deep": Workload((32, *[64] * 10, 10), batch_size=128, steps=64),
    "image": Workload((784, 512, 256, 10), batch_size=128, steps=32),
    "wide": Workload((1024, 2048, 2048, 10), batch_size=512, steps=4),
    "conv 8×8": Workload((64, 10), batch_size=64, steps=64, image=(8, 8, 1), filters=(16, 32)),
    "conv 28×28": Workload((784, 10), batch_size=64, steps=8, image=(28, 28, 1), filters=(16, 32)),
}
