"""Notices: what should be said of rows, counted over as many stretches of them as are encoded one after another."""

from collections.abc import Iterable

MAXIMUM_EXTRA = 100
"""Columns that are not the run's, listed of one request."""


class Notices:
    """Columns that were ignored, and texts that training did not see."""

    def __init__(self) -> None:
        self.rows = 0
        """Rows encoded so far."""
        self._extra: dict[str, None] = {}
        self._unseen: dict[str, int] = {}
        self._read_as: dict[str, str] = {}

    def ignore(self, names: Iterable[str]) -> None:
        """Note columns that the run did not learn from."""
        self._extra |= dict.fromkeys(names)

    def unseen(self, name: str, count: int, *, read_as: str = "") -> None:
        """Note cells of a column whose texts training did not see, and what they are read as."""
        self._unseen[name] = self._unseen.get(name, 0) + count
        self._read_as[name] = read_as

    @property
    def warnings(self) -> tuple[str, ...]:
        """All of it in words."""
        named = [name.encode(errors="replace").decode() for name in list(self._extra)[:MAXIMUM_EXTRA]]
        return (
            *(f"{name}: not a column this run learned from; ignored" for name in named),
            *(
                f"{name}: {count} of {self.rows} rows hold a text not seen in training"
                + (f"; it is read as {self._read_as[name]}" if self._read_as[name] else "")
                for name, count in self._unseen.items()
            ),
        )
