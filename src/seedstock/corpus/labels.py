"""A column of few different strings over many rows, in memory as a small number a row."""

from __future__ import annotations

from typing import Any

import numpy as np


class Labels:
    """``rows`` strings, at first all equal to ``first``; read and written by row numbers or flags like an array."""

    def __init__(self, rows: int, first: str = "") -> None:
        self.codes = np.zeros(rows, np.uint8)
        self.values = [first]
        self._numbers = {first: 0}

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Any:
        """The strings of some rows, object array; one string for a row's number."""
        return np.array(self.values, object)[self.codes[rows]]

    def __setitem__(self, rows: Any, values: Any) -> None:
        """Sets some rows to one string, or each to its own."""
        if isinstance(values, str):
            codes: Any = self._number(values)
        else:
            codes = np.array([self._number(value) for value in values], np.int64)
        while len(self.values) > np.iinfo(self.codes.dtype).max + 1:
            self.codes = self.codes.astype(f"u{2 * self.codes.itemsize}")
        self.codes[rows] = codes

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, value: object) -> np.ndarray:  # type: ignore[override]
        """Which rows hold ``value``, bool [rows]."""
        number = self._numbers.get(value) if isinstance(value, str) else None
        return np.zeros(len(self), bool) if number is None else self.codes == number

    def _number(self, value: str) -> int:
        if value not in self._numbers:
            self._numbers[value] = len(self.values)
            self.values.append(value)
        return self._numbers[value]
