"""Negotiation: which of the formats on offer a client gets (RFC 9110 §12.5.1)."""

from collections.abc import Mapping

from service.errors import Fault, NotAcceptable, Parameter


def accepted(accept: str, media_types: Mapping[str, str]) -> str:
    """The format, by media type in `media_types`, that an Accept header prefers. Raises NotAcceptable for others."""
    choices = []
    for place, part in enumerate(accept.split(",")):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((_weight(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if media_type.lower() in media_types and weight > 0:
            choices.append((-weight, place, media_types[media_type.lower()]))
    if not choices:
        fault = Fault(Parameter("header", "Accept"), "not_acceptable", "expected one that is offered", (*media_types,))
        raise NotAcceptable(f"Accept: expected one of {', '.join(media_types)}.", errors=[fault])
    return min(choices)[2]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
