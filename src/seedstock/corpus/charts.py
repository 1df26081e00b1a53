"""Histograms as inline SVG: one drawing for each column that rules look at, with the rules' bounds as lines."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log1p, log10
from typing import Any

WIDTH, HEIGHT = 640, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 26, 24
LINES = 4  # bounds of single languages that are drawn before they are only counted


def histogram(column: dict[str, Any], title: str) -> str:
    """One column's histogram (an entry of ``histograms``) as an ``svg`` element.

    Counts are on a logarithmic axis, and each is drawn from zero: all documents behind, those that stayed before them,
    and in the middle of a bin those that a rule on this column dropped. What a rule cuts off is shaded.
    """
    drawn = "".join(_number(column) if column["type"] == "number" else _value(column))
    name = escape(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}" class="chart">'
        f"<title>{name}</title>{drawn}</svg>"
    )


def short(value: float) -> str:
    """A number with three digits: ``0.25``, ``12.3k``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


class _Axes:
    def __init__(self, highest: int) -> None:
        self.highest = max(1, highest)

    def y(self, count: float) -> float:
        """Where a count's bar ends, in pixels from the top."""
        full = HEIGHT - TOP - BOTTOM
        return HEIGHT - BOTTOM - full * log1p(count) / log1p(self.highest)

    def bar(self, kind: str, left: float, width: float, count: int) -> str:
        top = self.y(count)
        return (
            f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{max(0.6, width):.1f}" '
            f'height="{HEIGHT - BOTTOM - top:.1f}"/>'
            if count
            else ""
        )

    def ticks(self) -> Iterator[str]:
        """Lines at powers of ten."""
        for power in range(int(log10(self.highest)) + 1):
            y = self.y(10**power)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text class="tick" x="{LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{short(10**power)}</text>'


def _bars(column: dict[str, Any], axes: _Axes, places: list[tuple[float, float]]) -> Iterator[str]:
    for at, (left, right) in enumerate(places):
        width = right - left - 0.6
        yield axes.bar("read", left, width, column["read"][at])
        yield axes.bar("kept", left, width, column["kept"][at])
        yield axes.bar("here", left + width * 0.25, width * 0.5, column["here"][at])


def _number(column: dict[str, Any]) -> Iterator[str]:
    edges = column["edges"]
    scale = log1p if column["scale"] == "log" else float
    low, high = scale(edges[0]), scale(edges[-1])

    def x(value: float) -> float:
        inside = (scale(value) - low) / (high - low) if high > low else 0.0
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, inside))

    axes = _Axes(max(column["read"]))
    for rule in column["rules"]:
        for test in ("below", "above"):
            if rule.get(test) is not None:
                cut = x(rule[test])
                left, right = (LEFT, cut) if test == "below" else (cut, WIDTH - RIGHT)
                yield f'<rect class="cut" x="{left:.1f}" y="{TOP}" width="{max(0, right - left):.1f}" '
                yield f'height="{HEIGHT - TOP - BOTTOM}"/>'
    yield from axes.ticks()
    yield from _bars(column, axes, [(x(edges[at]), x(edges[at + 1])) for at in range(len(edges) - 1)])
    for at in range(0, len(edges), 8):
        yield f'<text class="tick" x="{x(edges[at]):.1f}" y="{HEIGHT - 6}" text-anchor="{_anchor(at, edges)}">'
        yield f"{short(edges[at])}</text>"
    for rule in column["rules"]:
        yield from _bound(rule, x)


def _anchor(at: int, edges: list[float]) -> str:
    return "start" if at == 0 else "end" if at == len(edges) - 1 else "middle"


def _bound(rule: dict[str, Any], x: Any) -> Iterator[str]:
    for test in ("below", "above"):
        if rule.get(test) is None:
            continue
        where = x(rule[test])
        yield f'<line class="bound" x1="{where:.1f}" x2="{where:.1f}" y1="{TOP - 6}" y2="{HEIGHT - BOTTOM}"/>'
        anchor = "end" if where > WIDTH * 0.6 else "start"
        yield f'<text class="name" x="{where:.1f}" y="{TOP - 10}" text-anchor="{anchor}">'
        yield f"{test} {short(rule[test])}{escape(_limits(rule))}</text>"
        for bound in list(filter(None, (rule.get("by_language") or {}).values()))[:LINES]:
            at = x(bound)
            yield f'<line class="bound other" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'


def _limits(rule: dict[str, Any]) -> str:
    limits = [*(rule.get("domain") or ()), *(rule.get("language") or ())]
    return f" ({', '.join(limits[:3])}{', …' if len(limits) > 3 else ''})" if limits else ""


def _value(column: dict[str, Any]) -> Iterator[str]:
    axes = _Axes(max(column["read"], default=1))
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(column["edges"]))
    places = [(LEFT + wide * at + wide * 0.15, LEFT + wide * at + wide * 0.85) for at in range(len(column["edges"]))]
    yield from axes.ticks()
    yield from _bars(column, axes, places)
    for at, value in enumerate(column["edges"]):
        yield f'<text class="tick" x="{LEFT + wide * (at + 0.5):.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
        yield f"{escape(str(value).lower() if isinstance(value, bool) else str(value))[:12]}</text>"
