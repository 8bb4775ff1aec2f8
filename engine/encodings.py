"""Encodings: what a user may say of how columns become the inputs of a network."""

from typing import TYPE_CHECKING, Annotated, Literal

from engine.options import Choice, Field, Spec, choice

DatetimePart = Literal["time", "year", "month", "day_of_year", "day_of_week", "hour"]


class NumberEncoding(Choice):
    """One input: (g(x) − center)/scale. Booleans and integers are numbers too."""

    type: Literal["number"] = "number"
    transform: Literal["auto", "none", "log1p", "quantile"] = Field(
        "auto",
        description="g: log1p is sign(x)·log(1 + |x|); quantile the share of training rows below x; auto is log1p for "
        "numbers from 0 on whose skewness is above 4, else none.",
    )
    scaling: Literal["standard", "min_max", "robust", "none"] = Field(
        "standard", description="standard: mean 0, deviation 1; min_max: 0 to 1; robust: median 0, quartiles 1 apart."
    )
    missing: Literal["median", "mean", "constant", "refuse"] = Field(
        "median", description="What a blank is read as, and whether one is."
    )
    fill: float = Field(0.0, description="What a blank is read as under constant.")
    indicator: bool | Literal["auto"] = Field(
        "auto", description="Another input, 1 where the cell is blank; auto: if a twentieth of the training rows are."
    )


class CategoryEncoding(Choice):
    """A column of texts, or of numbers that are names: one input for each level, or its place, or a learned vector."""

    type: Literal["category"] = "category"
    encoding: Literal["one_hot", "ordinal", "embedding"] = Field(
        "one_hot", description="embedding: each level has a vector that is learned, in one layer for all such columns."
    )
    order: tuple[str, ...] | None = Field(
        None, min_length=2, max_length=10_000, description="Every level from lowest to highest; else they are sorted."
    )
    min_count: int = Field(1, ge=1, strict=True, description="Levels of fewer training rows are merged into one.")
    max_levels: int = Field(256, ge=2, le=100_000, strict=True, description="So are all but the most frequent.")
    unseen: Literal["ignore", "other", "refuse"] = Field(
        "ignore", description="What a level is that training did not see: none of them, the merged one, or an error."
    )
    missing: Literal["most_frequent", "level", "refuse"] = Field(
        "most_frequent", description="What a blank is read as: `level` makes it a level of its own."
    )


class DatetimeEncoding(Choice):
    """A moment: each part is a number like any other, the recurring ones a sine and a cosine of their cycle."""

    type: Literal["datetime"] = "datetime"
    parts: tuple[DatetimePart, ...] = Field(
        ("time", "day_of_year", "day_of_week", "hour"), min_length=1, description="Those that never vary are dropped."
    )


Encoding = NumberEncoding | CategoryEncoding | DatetimeEncoding

if TYPE_CHECKING:
    AnyEncoding = Encoding
else:
    AnyEncoding = choice({}, NumberEncoding, CategoryEncoding, DatetimeEncoding)


class TargetEncoding(Spec):
    """Outputs of a regression: (g(y) − mean)/deviation. Predictions and metrics are in y's own unit."""

    transform: Literal["none", "log1p"] = Field(
        "none", description="g: log1p is sign(y)·log(1 + |y|), for targets over several powers of ten."
    )


class PreprocessingSpec(Spec):
    """How columns become inputs: numbers, categories and datetimes in general, and single columns in particular."""

    numbers: NumberEncoding = NumberEncoding()
    categories: CategoryEncoding = CategoryEncoding()
    datetimes: DatetimeEncoding = DatetimeEncoding()
    columns: dict[Annotated[str, Field(min_length=1, max_length=500)], AnyEncoding] = Field(
        {}, max_length=10_000, description="By name, what a column is and how it is encoded."
    )
    targets: TargetEncoding = TargetEncoding()
    embedding_dim: int | None = Field(
        None, ge=1, le=1000, strict=True, description="Of the learned vectors; by default 1.6·levels^0.56, at most 50."
    )
