"""How far Python code is from the style of PEP 8, as pycodestyle counts it."""

from __future__ import annotations

import tokenize
import warnings
from functools import cache
from typing import Any, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

LONGEST = 200_000  # characters that are looked at: its checks are slow, and a file of more is seldom written by hand


WIDEST = 2_000  # characters of a line: some checks take the square of it, and nobody writes such lines


class PyCodeStyle(Signal):
    """Violations of PEP 8 in Python code (pycodestyle with its default checks, and lines of up to 79 characters).

    violations  how many; null where the text is no Python that can be tokenized, or a line has
                more than 2,000 characters
    lines       lines of the text, as far as it was looked at
    per_line    violations a line, null where there are none

    At most the first 200,000 characters are looked at. It needs `pip install 'seedstock[style]'`.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"violations": "int32", "lines": "int32", "per_line": "float32"}
    kind: Literal["pycodestyle"] = "pycodestyle"

    def measure(self, text: str) -> dict[str, Any]:
        lines = [line + "\n" for line in text[:LONGEST].split("\n")]
        lines = lines[:-1] if lines[-1] == "\n" else lines
        found, looked = violations(lines) if all(len(line) <= WIDEST for line in lines) else (0, -1)
        whole = looked == len(lines) > 0
        return {
            "violations": found if whole else None,
            "lines": len(lines),
            "per_line": found / len(lines) if whole else None,
        }


def violations(lines: list[str]) -> tuple[int, int]:
    """Violations in lines that end with a newline each, and how many lines were looked at.

    These are fewer than all where they are no Python that can be tokenized.
    """
    pycodestyle, options = _style()
    report = pycodestyle.BaseReport(options)
    checker = pycodestyle.Checker("text", lines, options, report)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            count = checker.check_all()
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, IndexError):
        return report.file_errors, max(0, min(checker.line_number, len(lines)) - 1)
    broken = report.counters.get("E901", 0) + report.counters.get("E902", 0)
    return int(count) - broken, max(0, min(checker.line_number, len(lines)) - 1) if broken else len(lines)


@cache
def _style() -> Any:
    from seedstock.errors import SeedstockError

    try:
        import pycodestyle
    except ImportError:
        raise SeedstockError(
            "the signal pycodestyle needs the package of that name", fix="pip install 'seedstock[style]'"
        ) from None
    return pycodestyle, pycodestyle.StyleGuide(parse_argv=False, config_file=False).options
