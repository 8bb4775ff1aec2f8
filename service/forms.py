"""Forms: a body of multipart/form-data whose one part is a file, taken apart as it comes and never kept in memory."""

from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from engine.data import ANY, READERS
from service.errors import BadRequest, Fault, Unprocessable, UnsupportedMediaType

MEDIA_TYPE = "multipart/form-data"
FIELD = "file"


class FileForm:
    """The file in a form, fed block by block. Raises BadRequest for a form that is broken, Unprocessable for others."""

    def __init__(self, content_type: str, *, trusts_types: bool = True) -> None:
        self.media_type, self.file_name = ANY, ""
        self._trusts_types = trusts_types
        self._found, self._parts, self._is_whole = bytearray(), 0, False
        self._name, self._value = bytearray(), bytearray()
        self._headers = Message()
        boundary = _parameter(content_type, "boundary")
        if not boundary or not boundary.isascii():
            raise _broken("no boundary in its Content-Type")
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._check,
                "on_part_data": lambda data, start, end: self._found.extend(data[start:end]),
                "on_end": self._end,
            },
        )

    def feed(self, block: bytes) -> bytes:
        """The bytes of the file in the next block of the body."""
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise _broken(str(error)) from error
        found = bytes(self._found)
        self._found.clear()
        return found

    def finish(self) -> None:
        """Check that the form was whole, once all of it was fed."""
        if not self._is_whole:
            raise _broken("the end of the body before that of its part")
        if self._parts == 0:
            raise _other_parts("none")

    def _begin(self) -> None:
        self._parts += 1
        self._headers = Message()

    def _end_header(self) -> None:
        self._headers[self._name.decode("latin-1")] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _check(self) -> None:
        name = _parameter(self._headers.get("content-disposition", ""), "name")
        if name != FIELD:
            raise _other_parts(f"one called {name[:60]!r}")
        if self._parts > 1:
            raise _other_parts("two")
        self.media_type = self._headers.get("content-type", ANY).partition(";")[0].strip().lower()
        self.file_name = _plain_name(self._headers.get_filename("") or "")
        allowed = (*READERS, ANY)
        if not self._trusts_types and self.media_type not in allowed:
            self.media_type = ANY
        if self.media_type not in allowed:
            detail = f"expected a part of {' or '.join(allowed)}, got {self.media_type[:60]}"
            fault = Fault(f"/{FIELD}", UnsupportedMediaType.code, detail, allowed)
            raise UnsupportedMediaType(f"{FIELD}: {detail}.", errors=[fault])

    def _end(self) -> None:
        self._is_whole = True


def _plain_name(text: str) -> str:
    """A file's name without its folder and its ending."""
    name = text.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return (name.removesuffix(".gz").rpartition(".")[0] or name)[:200].strip()


def _parameter(header: str, name: str) -> str:
    """A parameter of a header's value; empty if there is none."""
    message = Message()
    message["content-type"] = header
    found = message.get_param(name, "")
    return found if isinstance(found, str) else ""


def _broken(what: str) -> BadRequest:
    return BadRequest(f"The body is not a form of {MEDIA_TYPE}: {what}.", code="not_a_form")


def _other_parts(got: str) -> Unprocessable:
    detail = f"expected one part, called {FIELD}, got {got}"
    return Unprocessable(f"{detail}.", code="wrong_form", errors=[Fault(f"/{FIELD}", "wrong_form", detail)])
