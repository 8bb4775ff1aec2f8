"""Dialects: how a CSV file is written, found out from the file itself: its encoding, and what separates its cells."""

import codecs
import re
from itertools import count
from pathlib import Path

from engine.data.readers.contents import BLOCK_BYTES
from engine.errors import DataError

ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf-16": "utf-16",
    **{name: name for name in ("utf-16-le", "utf-16-be")},
    **{f"windows-{number}": f"cp{number}" for number in range(1250, 1259)},
    **{f"iso-8859-{number}": f"iso8859_{number}" for number in range(1, 17) if number != 12},
    **{name: name for name in ("shift_jis", "euc-jp", "euc-kr", "big5", "gb18030", "koi8-r", "koi8-u")},
    "macintosh": "mac_roman",
}
"""Python's codec for each encoding by its name."""


def encoding_by_charset(charset: str) -> str | None:
    """The encoding that a charset of the web names, whatever it calls it: latin1 is iso-8859-1; None of others."""
    try:
        codec = codecs.lookup(charset).name
    except LookupError:
        return None
    names = {codecs.lookup(python).name: name for name, python in ENCODINGS.items()}
    return {**names, "utf-8": "utf-8", "ascii": "utf-8"}.get(codec)


DELIMITERS = ",;\t|"
"""Looked for, the likelier first."""

_SAMPLE_BYTES, _SAMPLE_LINES = 256 * 1024, 100
_WORDS = "utf-8, utf-16 or windows-1252"
_MARKS = {
    codecs.BOM_UTF32_LE: None,
    codecs.BOM_UTF32_BE: None,
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8",
}
"""Byte order marks, the longer first."""
_NO_TEXT = bytes({*range(0x20), 0x7F} - set(b"\t\n\r\f")) + b"\x81\x8d\x8f\x90\x9d"
"""Bytes that a text in Windows-1252 does not hold."""
_DECIMAL = re.compile(r"\s*[+-]?[0-9]*,[0-9]*([eE][+-]?[0-9]+)?\s*")
_QUOTED = re.compile(r'(?:(?<=[,;\t|\n])|^)"(?:[^"]++|"")*+"')


def encoding_of(source: Path) -> tuple[str, str | None]:
    """The encoding of a file of text, and what should be said about it. Raises DataError for a file of other bytes."""
    with source.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            if encoding is None:
                raise DataError("file", f"expected text in {_WORDS}, got UTF-32", code="not_text")
            if encoding == "utf-16":
                return encoding, None
    wrong = first_not_utf8(source)
    if wrong is None:
        return "utf-8", None
    if no_text := _first_no_text(source):
        raise DataError("file", f"expected text in {_WORDS}, got {no_text}", code="not_text")
    return "windows-1252", f"the file is not UTF-8, with {wrong}, and was read as Windows-1252; encoding says another"


def first_not_utf8(source: Path) -> str | None:
    """The first byte that is not UTF-8, in words; None if there is none."""
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0
    with source.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                kept = len(error.object) - len(block)
                return _place_of(error.object, error.start, offset - kept)
            if not block:
                return None
            offset += len(block)


def _first_no_text(source: Path) -> str | None:
    """The first byte that no text holds, in words."""
    with source.open("rb") as file:
        for number in count():
            block = file.read(BLOCK_BYTES)
            if not block:
                break
            if len(block.translate(None, _NO_TEXT)) < len(block):
                start = next(place for place, byte in enumerate(block) if byte in _NO_TEXT)
                return _place_of(block, start, number * BLOCK_BYTES)
    return None


def _place_of(block: bytes, start: int, offset: int) -> str:
    line = block.count(b"\n", 0, start) + 1
    return f"the byte 0x{block[start]:02x} at byte {offset + start}" + (f", line {line}" if offset == 0 else "")


def recode(source: Path, target: Path, encoding: str) -> Path:
    """Write a text in another encoding as UTF-8, block by block. Raises DataError for bytes that are none of it."""
    decoder = codecs.getincrementaldecoder(ENCODINGS[encoding])()
    offset = 0
    with source.open("rb") as file, target.open("wb") as text:
        while True:
            block = file.read(BLOCK_BYTES)
            try:
                text.write(decoder.decode(block, final=not block).encode())
            except UnicodeError as error:
                raise DataError(
                    "file",
                    f"expected text in {encoding}, got bytes that are none, from byte {offset} on",
                    code="not_text",
                ) from error
            if not block:
                return target
            offset += len(block)


def delimiter_of(source: Path) -> str:
    """What separates the cells of a file in UTF-8: what divides most of the first lines into as many as the header.

    Among equals it is what makes more cells, but no comma where each can be a decimal one; a file of a single column
    has commas.
    """
    lines = _first_lines(source)
    scores = {delimiter: _score(lines, delimiter) for delimiter in DELIMITERS if lines and delimiter in lines[0]}
    shares = {delimiter: share for delimiter, (share, _) in scores.items() if delimiter != ","}
    if any(
        share >= scores.get(",", (1.0, 1))[0] and _have_decimals(lines[1:], other) for other, share in shares.items()
    ):
        scores.pop(",", None)
    return max(scores, key=scores.__getitem__, default=",")


def _score(lines: list[str], delimiter: str) -> tuple[float, int]:
    """The share of lines with as many cells as the first, and how many these are."""
    counts = [line.count(delimiter) + 1 for line in lines]
    return sum(count == counts[0] for count in counts) / len(counts), counts[0]


def _have_decimals(lines: list[str], delimiter: str) -> bool:
    """Whether commas stand only in cells such as 1,5."""
    return all(_DECIMAL.fullmatch(cell) for line in lines for cell in line.split(delimiter) if "," in cell)


def width_of(source: Path, delimiter: str) -> int:
    """How many cells the first line has, without reading what it may take to hold them."""
    with source.open("rb") as file:
        line = file.readline(BLOCK_BYTES).decode(errors="replace")
    return _QUOTED.sub("", line).count(delimiter) + 1


def _first_lines(source: Path) -> list[str]:
    """The first lines that hold something, without what stands in quotes."""
    with source.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        is_whole = not file.read(1)
    text = sample.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = _QUOTED.sub("", text).split("\n")
    whole = lines if is_whole or len(lines) == 1 else lines[:-1]
    return [line for line in whole if line.strip(" ")][:_SAMPLE_LINES]
