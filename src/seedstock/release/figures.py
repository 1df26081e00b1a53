"""How figures are printed, and which value each printed text stands for."""

from __future__ import annotations

from typing import Any

from seedstock.planning.plan import duration, quantity

NOT_SAID = "not stated"


class Figures:
    """The filters of the templates; ``printed`` holds (value, text) of every figure."""

    def __init__(self) -> None:
        self.printed: list[tuple[float, str]] = []

    def _keep(self, value: float | None, text: str) -> str:
        if value is None:
            return "–"
        self.printed.append((value, text))
        return text

    def count(self, value: int | None) -> str:
        """``1,234,567``."""
        return self._keep(value, f"{value:,}")

    def decimals(self, value: float | None, places: int) -> str:
        """Fixed decimal places."""
        return self._keep(value, "" if value is None else f"{value:.{places}f}")

    def figures(self, value: float | None, digits: int) -> str:
        """Significant digits: ``0.0123``, ``1.2e+15``."""
        return self._keep(value, "" if value is None else f"{value:.{digits}g}")

    def share(self, value: float) -> str:
        """``12.3 %``; what is below a tenth of a percent says so."""
        return self._keep(value, f"{100 * value:.1f} %" if value >= 0.0005 or not value else "< 0.1 %")

    def size(self, value: int) -> str:
        """``24.1 MB``."""
        return self._keep(
            value, f"{quantity(value)}B" if value < 1000 else f"{quantity(value)[:-1]} {quantity(value)[-1]}B"
        )

    def time(self, seconds: float | None) -> str:
        """``4 min 10 s``."""
        return self._keep(seconds, "" if seconds is None else duration(seconds))


def said(value: Any) -> str:
    """What a person said, or that nobody did."""
    return str(value) if value else NOT_SAID


def yes_no(value: bool | None) -> str:
    """Three-valued: yes, no, or not answered."""
    return "not answered" if value is None else "yes" if value else "no"
