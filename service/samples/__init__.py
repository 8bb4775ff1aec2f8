"""Two small real tables to try things on; CREDITS.md says whose they are."""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Sample:
    """A bundled table and the column worth predicting."""

    name: str
    target: str

    def content(self) -> bytes:
        """The CSV file."""
        return files(__package__).joinpath(f"{self.name}.csv").read_bytes()


PENGUINS = Sample("penguins", "species")
DIGITS = Sample("digits", "digit")
SAMPLES = {sample.name: sample for sample in (PENGUINS, DIGITS)}
