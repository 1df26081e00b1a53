"""One thing that the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["problem", "warning", "note", "good"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note", "good")


@dataclass(frozen=True)
class Finding:
    """``problem``: the run is broken; ``warning``: it could be better; ``note``: worth knowing; ``good``: checked."""

    level: Level
    what: str
    evidence: str
    advice: str = ""

    def record(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)
