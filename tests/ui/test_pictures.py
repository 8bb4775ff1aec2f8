"""Pictures: a PNG that holds each number as its pixel, and images made of columns."""

import struct
import zlib
from base64 import b64decode
from math import nan

import numpy as np
import pytest

from service.ui import pictures
from service.ui.pictures import Pixels


def decoded(content: bytes) -> np.ndarray:
    """(rows, columns, 3): the colours of a PNG, read by its specification."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[lines[:, 1:]]


def test_each_number_is_a_pixel_of_its_colour() -> None:
    values = np.array([[-2.0, 0.0, 2.0], [-9.0, nan, 1.0]])

    address = pictures.address(values, -2, 2)

    prefix, _, content = address.partition(",")
    assert prefix == "data:image/png;base64"
    found = decoded(b64decode(content))
    ends = [tuple(bytes.fromhex(colour)) for colour in (pictures.SIGNED[0], pictures.SIGNED[4], pictures.SIGNED[-1])]
    assert [tuple(each) for each in found[0]] == ends
    assert tuple(found[1, 0]) == ends[0], "what is below has the first colour"
    assert tuple(found[1, 1]) == pictures.NOT_FINITE
    assert tuple(found[1, 2]) not in ends


def test_images_stand_side_by_side_on_a_sheet() -> None:
    images = np.arange(1, 13).reshape(3, 2, 2)

    found = pictures.sheet(images, columns=2, between=0)

    assert found.shape == (7, 7)
    assert found[1:3, 1:3].tolist() == [[1, 2], [3, 4]]
    assert found[1:3, 4:6].tolist() == [[5, 6], [7, 8]]
    assert found[4:6, 1:3].tolist() == [[9, 10], [11, 12]]
    assert found[0].sum() + found[:, 3].sum() == 0


@pytest.mark.parametrize(
    ("names", "side"),
    [
        ([f"p{place}" for place in range(64)], 8),
        ([f"pixel_{row}_{column}" for row in range(4) for column in range(4)], 4),
        ([f"p{place}" for place in range(63)], None),
        ([f"p{place}" for place in range(9)], None),
        ([*(f"p{place}" for place in range(15)), "q15"], None),
        ([], None),
    ],
)
def test_a_square_number_of_columns_named_alike_is_an_image(names: list[str], side: int | None) -> None:
    found = Pixels.of(names)

    assert (None if found is None else found.side) == side


def test_pixels_that_are_not_there_are_black() -> None:
    pixels = Pixels.of([f"p{place}" for place in range(16)])
    assert pixels is not None

    [image] = pixels.images(np.array([[5.0, 7.0]]), ["p6", "p0"])

    assert (image[1, 2], image[0, 0], image.sum()) == (5, 7, 12)
