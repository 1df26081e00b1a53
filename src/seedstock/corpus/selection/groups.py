"""Groups of documents by (source, domain, language, …), and the names that recipes give them."""

from __future__ import annotations

from collections.abc import Iterable

from seedstock.errors import DataError, nearest

Group = tuple[str, ...]


def matches(name: str, group: Group) -> bool:
    """Whether ``python/en``, ``python`` (every group that begins so) or ``*/en`` means a group."""
    parts = name.split("/")
    if len(parts) > len(group):  # a name may itself hold strokes
        return name == "/".join(group)
    return all(part in ("*", own) for part, own in zip(parts, group, strict=False))


def owners(names: Iterable[str], groups: Iterable[Group], by: Iterable[str], where: str) -> dict[Group, str]:
    """Which name means each group; groups that none means are left out.

    Raises DataError where a name means no group, or two mean the same.
    """
    groups, owner = list(groups), dict[Group, str]()
    for name in names:
        found = [group for group in groups if matches(name, group)]
        if not found:
            known = ["/".join(group) for group in groups]
            close = nearest(name, known)
            advice = f"did you mean {close!r}? " if close else ""
            raise DataError(
                f"{where} names {name!r}, which is no group of {'/'.join(by)}",
                fix=f"{advice}Groups: {', '.join(known)}",
            )
        for group in found:
            if group in owner:
                raise DataError(
                    f"{where} names {'/'.join(group)} twice: {owner[group]!r} and {name!r}",
                    fix="let every group have one of them",
                )
            owner[group] = name
    return owner
