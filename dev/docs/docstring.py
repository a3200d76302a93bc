"""Parse docstrings with `:param name: meaning` fields, as Airflow's own have them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_FIELD = re.compile(r"^:(param|return|raises)\b(?: ([\w.]+))?: ?(.*)$")


@dataclass
class Docstring:
    """A parsed docstring.

    :param text: paragraphs, without the fields
    :param params: parameter -> meaning
    :param returns: text of `:return:`
    :param raises: exception -> when it is raised
    """

    text: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    raises: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """Return the first paragraph."""
        return self.text[0] if self.text else ""


def read(of: object) -> Docstring:
    """Parse an object's docstring."""
    lines = inspect.cleandoc(getattr(of, "__doc__", None) or "").splitlines()
    start = next((number for number, line in enumerate(lines) if _FIELD.match(line)), len(lines))
    text = "\n".join(lines[:start]).strip()
    found = Docstring([" ".join(part.split()) for part in text.split("\n\n") if part])
    for kind, name, meaning in _fields(lines[start:]):
        if kind == "return":
            found.returns = meaning
        else:
            (found.params if kind == "param" else found.raises)[name] = meaning
    return found


def _fields(lines: list[str]) -> list[tuple[str, str, str]]:
    """Return kind, name and meaning of each field."""
    fields: list[tuple[str, str, str]] = []
    for line in lines:
        if match := _FIELD.match(line):
            fields.append((match[1], match[2] or "", match[3]))
        elif line.strip():
            kind, name, meaning = fields[-1]
            fields[-1] = (kind, name, f"{meaning} {line.strip()}")
    return fields
