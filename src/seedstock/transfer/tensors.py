"""State dicts by a table of rules, both ways; nothing may be left over on either side."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.transfer.maps import Rule


def outward(ours: dict[str, Tensor], rules: Iterable[Rule]) -> dict[str, Tensor]:
    """Our tensors under their names. Raises SeedstockError where a tensor of ours has no rule."""
    theirs: dict[str, Tensor] = {}
    left = set(ours)
    for rule in rules:
        if not set(rule.ours) & ours.keys():
            continue  # a bias, a head or a norm that this configuration does not have
        parts = torch.cat([ours[name] for name in rule.ours]) if len(rule.ours) > 1 else ours[rule.ours[0]]
        if "{e}" in rule.theirs:
            theirs |= {rule.theirs.format(e=e): one.contiguous() for e, one in enumerate(parts)}
            left -= set(rule.ours)
            continue
        if rule.form == "row":
            parts = parts[None]
        theirs[rule.theirs] = (parts.t() if rule.form == "transposed" else parts).contiguous()
        left -= set(rule.ours)
    if left:
        raise SeedstockError(f"the map has no rule for {', '.join(sorted(left))}", fix="add one to transfer/maps")
    return theirs


def inward(
    theirs: dict[str, Tensor],
    rules: Iterable[Rule],
    shapes: dict[str, torch.Size],
    where: object,
    derived: Iterable[str] = (),
) -> dict[str, Tensor]:
    """Their tensors under our names, which must have ``shapes``; patterns in ``derived`` may be left over.

    Raises SeedstockError where one is missing, left over or of another shape.
    """
    ours, left = {}, {name for name in theirs if not any(fnmatchcase(name, pattern) for pattern in derived)}
    for rule in rules:
        if rule.ours[0] not in shapes:
            continue
        if "{e}" in rule.theirs:
            theirs = _stacked(theirs, rule.theirs, shapes[rule.ours[0]][0], left, where)
        if rule.theirs not in theirs:
            raise SeedstockError(f"the tensor {rule.theirs} is missing", where=where, fix="the folder is incomplete")
        whole = theirs[rule.theirs].t() if rule.form == "transposed" else theirs[rule.theirs]
        if rule.form == "row":
            whole = whole.squeeze(0)
        left.discard(rule.theirs)
        expected = sum(shapes[name][0] for name in rule.ours)
        if whole.shape != (expected, *shapes[rule.ours[0]][1:]):
            what = f"{rule.theirs} has shape {tuple(theirs[rule.theirs].shape)}, which the configuration does not give"
            raise SeedstockError(what, where=where, fix="config.json and the weights do not belong together")
        for name, part in zip(rule.ours, whole.split([shapes[name][0] for name in rule.ours]), strict=True):
            ours[name] = part.contiguous()
    if left:
        raise SeedstockError(f"no place for the tensors {', '.join(sorted(left)[:5])}", where=where)
    return ours


def _stacked(theirs: dict[str, Tensor], pattern: str, experts: int, left: set[str], where: object) -> dict[str, Tensor]:
    """With the experts of a layer as one tensor, which is called by the pattern."""
    names = [pattern.format(e=e) for e in range(experts)]
    for name in names:
        if name not in theirs:
            raise SeedstockError(f"the tensor {name} is missing", where=where, fix="the folder is incomplete")
        if theirs[name].shape != theirs[names[0]].shape:
            raise SeedstockError(f"{name} has another shape than {names[0]}", where=where, fix="fetch it again")
    left -= set(names)
    return {**theirs, pattern: torch.stack([theirs[name] for name in names])}
