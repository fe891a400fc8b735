"""What is wrong with a season file, each thing with its place.

Owns the collecting. TOML libraries do not tell lines of values, so a place is the path of a key,
as `production.hamlet.performance[3].start`; what cannot be read as TOML at all has its line.
"""

from typing import Any, Final

from msgspec import Struct

from renderers.i18n import Translator

MAX_PROBLEMS: Final = 1_000


class Problem(Struct, frozen=True):
    """`code` is the end of a key in the catalogues, under "season.problem"; `values` fill it."""

    path: str
    code: str
    values: tuple[tuple[str, str], ...] = ()

    def words(self, t: Translator) -> str:
        told = t(f"season.problem.{self.code}", **dict(self.values))
        return f"{self.path}: {told}" if self.path else told


class Problems:
    """All that was found, each once: a value that many performances inherit is wrong once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, path: str, code: str, **values: Any) -> None:
        told = tuple((name, str(value)) for name, value in values.items())
        if len(self._found) < MAX_PROBLEMS:
            self._found[Problem(path, code, told)] = None

    def __len__(self) -> int:
        return len(self._found)

    def found(self) -> tuple[Problem, ...]:
        return tuple(self._found)


class SeasonError(Exception):
    """A season file that cannot be used; nothing of it was."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def joined(path: str, key: str) -> str:
    """The path of a key in a table, quoted where TOML wants it."""
    plain = key and all(sign.isascii() and (sign.isalnum() or sign in "_-") for sign in key)
    name = key if plain else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{path}.{name}" if path else name
