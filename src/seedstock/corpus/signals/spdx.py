"""SPDX licence expressions: spelling, parsing, and what an allow-list permits.

Source: the SPDX specification 2.3, annex D; the licence list is that of the ``packaging`` library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

# The licence list deprecates bare GNU names; they meant these.
_GNU = re.compile(r"^(A?GPL|LGPL|GFDL)-(\d\.\d)(\+?)$")
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


@dataclass(frozen=True)
class Licence:
    """One licence of an expression, with its exception where it has one (``GPL-2.0-only WITH …``)."""

    name: str
    exception: str | None = None


@dataclass(frozen=True)
class Compound:
    """Expressions joined by AND (all of them bind) or OR (one may be chosen)."""

    operator: str
    parts: tuple[Licence | Compound, ...]


def canonical(text: str | None) -> str | None:
    """The expression in the spelling of the licence list, or None where it is no SPDX expression."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if not text or not text.strip():
        return None
    try:
        known = canonicalize_license_expression(text)
    except (InvalidLicenseExpression, RecursionError):
        return None
    return " ".join(_modern(token) for token in known.split(" "))


def _modern(token: str) -> str:
    name = token.strip("()")
    if found := _GNU.match(name):
        ending = "or-later" if found[3] else "only"
        return token.replace(name, f"{found[1]}-{found[2]}-{ending}")
    return token


@cache
def parse(expression: str) -> Licence | Compound:
    """The tree of an expression that ``canonical`` accepts. AND binds more tightly than OR."""
    tokens = iter([*_TOKEN.findall(canonical(expression) or ""), ""])
    tree, _ = _either(tokens)
    return tree


def _either(tokens: Iterator[str]) -> tuple[Licence | Compound, str]:
    return _joined(tokens, "OR", lambda rest: _joined(rest, "AND", _one))


def _joined(tokens, operator, operand) -> tuple[Licence | Compound, str]:
    """Operands joined by ``operator``, and the token that follows them."""
    first, following = operand(tokens)
    parts = [first]
    while following == operator:
        part, following = operand(tokens)
        parts.append(part)
    return (parts[0] if len(parts) == 1 else Compound(operator, tuple(parts))), following


def _one(tokens: Iterator[str]) -> tuple[Licence | Compound, str]:
    token = next(tokens)
    if token == "(":
        tree, _ = _either(tokens)  # what follows is the closing bracket
        return tree, next(tokens)
    following = next(tokens)
    if following == "WITH":
        return Licence(token, next(tokens)), next(tokens)
    return Licence(token), following


def permits(allowed: Iterable[str] | None, expression: str, denied: Iterable[str] = ()) -> bool:
    """Whether lists permit an expression: all parts of an AND, at least one of an OR.

    ``allowed`` holds licences, with or without ``WITH``; None allows all. An exception only adds permissions, so a
    licence that is allowed without it is allowed with it, and not the other way round; and one that is denied is denied
    with it, unless both are named in ``allowed``. "Or later" (``+``, ``-or-later``) leaves the choice of version to who
    uses it, so a named version is enough to allow it; to deny it, that version or the licence itself must be named.
    """
    known = None if allowed is None else frozenset(allowed)
    return _permits(known, frozenset(denied), parse(expression))


def _permits(allowed: frozenset[str] | None, denied: frozenset[str], tree: Licence | Compound) -> bool:
    if isinstance(tree, Compound):
        test = all if tree.operator == "AND" else any
        return test(_permits(allowed, denied, part) for part in tree.parts)
    names = {tree.name, tree.name.removesuffix("+"), tree.name.replace("-or-later", "-only")}
    exact = {f"{name} WITH {tree.exception}" for name in names} if tree.exception else set[str]()
    if not names.isdisjoint(denied) or not exact.isdisjoint(denied):
        return allowed is not None and not exact.isdisjoint(allowed - denied)
    return allowed is None or not (names | exact).isdisjoint(allowed)
