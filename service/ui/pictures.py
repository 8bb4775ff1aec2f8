"""Pictures: matrices as images that a page holds itself, each number a pixel."""

import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np

from engine.parameters import Array

SIGNED = ("8f3a00", "c2622a", "e39a6d", "f4cfb6", "f1f1f1", "bcd5f0", "7bacdf", "3a76bd", "10458a")
"""From the least to the most, 0 in the middle: d0 to d8 of charts.css."""
GREY = ("000000", "ffffff")
CLASSES = ("0757b8", "b34700", "6b3fa0", "00695c", "8a1c5b", "5c5200", "1b1f24", "2f6f9f", "94492f", "59636e")
"""s0 to s9 of charts.css."""
SHADES = 25
NOT_FINITE = (255, 255, 255)
STEPS = 255


def address(values: Array, low: float, high: float, colours: Sequence[str] = SIGNED) -> str:
    """A data URI of a PNG of (rows, columns) numbers, `low` in the first colour and `high` in the last.

    What is below or above has their colours, what is not finite is white. (PNG: W3C Recommendation, third
    edition, 2025.)
    """
    return f"data:image/png;base64,{b64encode(png(indices(values, low, high), palette(colours))).decode()}"


def classes_address(shares: Array, colours: Sequence[str] = CLASSES) -> str:
    """A data URI of a PNG of each place's likeliest class, in its colour, the paler the less sure it is.

    `shares` (rows, columns, classes): each class's probability. There are as many colours as classes are told apart.
    """
    count = shares.shape[2]
    likeliest = shares.argmax(axis=2)
    sure = (shares.max(axis=2) - 1 / count) / (1 - 1 / count)
    places = (likeliest % len(colours)) * SHADES + np.rint(sure.clip(0, 1) * (SHADES - 1)).astype(np.int64)
    known = np.array([_channels(colour) for colour in colours])
    strength = np.linspace(0.08, 0.62, SHADES)[:, None]
    shades = np.concatenate([255 + (colour - 255) * strength for colour in known])
    found = png(places.astype(np.uint8), shades.round().astype(np.uint8))
    return f"data:image/png;base64,{b64encode(found).decode()}"


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (0, 2, 4)]


def indices(values: Array, low: float, high: float) -> Array:
    """(rows, columns) places in a palette of 255 colours; 255 is what is not finite."""
    with np.errstate(invalid="ignore"):
        found = np.rint((values.astype(np.float64) - low) / ((high - low) or 1) * (STEPS - 1)).clip(0, STEPS - 1)
    return np.where(np.isfinite(values), found, STEPS).astype(np.uint8)


def palette(colours: Sequence[str]) -> Array:
    """(256, 3): 255 colours from the first to the last, evenly between those given, and that of what is not finite."""
    known = np.array([_channels(colour) for colour in colours])
    at, stops = np.linspace(0, len(colours) - 1, STEPS), np.arange(len(colours))
    found = np.column_stack([np.interp(at, stops, known[:, channel]) for channel in range(3)])
    return np.vstack([found.round(), NOT_FINITE]).astype(np.uint8)


def png(places: Array, colours: Array) -> bytes:
    """A PNG of (rows, columns) places in a palette (n, 3) of at most 256 colours."""
    rows, columns = places.shape
    lines = np.zeros((rows, columns + 1), np.uint8)  # each line begins with its filter, 0
    lines[:, 1:] = places
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    ]
    told = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def sheet(images: Array, *, columns: int, between: float) -> Array:
    """Images (n, height, width) side by side in rows of `columns`, with a line of `between` around each."""
    n, height, width = images.shape
    rows = ceil(n / columns)
    found = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), between)
    for place, image in enumerate(images):
        top, left = (place // columns) * (height + 1) + 1, (place % columns) * (width + 1) + 1
        found[top : top + height, left : left + width] = image
    return found


@dataclass(frozen=True)
class Pixels:
    """A square image whose pixels are columns of a table, line by line."""

    side: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Pixels | None":
        """The image that columns of these names make: a square number of them, at least 16, alike but for digits.

        pixel0 to pixel783, p_0_0 to p_7_7; None where they make none.
        """
        side = isqrt(len(names))
        plain = {re.sub(r"\d+", "", name) for name in names}
        is_image = side >= 4 and side * side == len(names) and len(plain) == 1
        return cls(side, tuple(names)) if is_image else None

    @classmethod
    def among(cls, names: Sequence[str]) -> "Pixels | None":
        """The image that most of a table's columns make, those alike but for digits."""
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(re.sub(r"\d+", "", name), []).append(name)
        return cls.of(max(groups.values(), key=len, default=[]))

    def images(self, vectors: Array, names: Sequence[str]) -> Array:
        """(n, side, side) of vectors (n, len(names)) of some of the pixels; the others are 0."""
        places = {name: place for place, name in enumerate(self.names)}
        found = np.zeros((len(vectors), len(self.names)))
        found[:, [places[name] for name in names]] = vectors
        return found.reshape(-1, self.side, self.side)
