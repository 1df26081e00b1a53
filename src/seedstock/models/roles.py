"""What each parameter is for, as plain data: optimizers choose by it, and so do parallel layouts."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

ROLES: tuple[tuple[str, str], ...] = (
    ("*norm.weight", "vector"),
    ("embedding.*.weight", "embedding"),
    ("head.weight", "head"),
    ("head.dense.weight", "column"),
    ("*.router.weight", "router"),
    ("*.mlp.gate", "column"),
    ("*.mlp.up", "column"),
    ("*.mlp.down", "row"),
    ("*.query.weight", "column"),
    ("*.key.weight", "column"),
    ("*.value.weight", "column"),
    ("*.gate.weight", "column"),
    ("*.up.weight", "column"),
    ("*.modulation.weight", "modulation"),
    ("*.output.weight", "row"),
    ("*.down.weight", "row"),
    ("*relative.weight", "vector"),
    ("*.bias", "vector"),
    ("*convolution.taps.*", "vector"),
)
"""Name pattern → role, first match. ``embedding`` and ``head`` [vocabulary, width]. The hidden matrices [out, in]:
``column``, which tensor parallelism would cut along out, and ``row``, along in; those of experts are
stacked, [experts, out, in]. ``router``: [experts, width]. ``modulation``: [6 · width, width], which every layout leaves
whole, and which starts at zero. ``vector``: gains, biases and taps.
``kernel``, of networks of convolutions alone: [out, in, taps, taps], AdamW's whatever the optimizer of matrices is."""


def assign(names: Iterable[str], patterns: Iterable[tuple[str, str]] = ROLES) -> dict[str, str]:
    """The role of each parameter by name. Raises KeyError that names one that no pattern covers."""
    patterns = tuple(patterns)
    roles = {}
    for name in names:
        roles[name] = next((role for pattern, role in patterns if fnmatchcase(name, pattern)), None)
        if roles[name] is None:
            raise KeyError(f"parameter {name} has no role: add a pattern to the module's roles")
    return roles  # type: ignore[return-value]
