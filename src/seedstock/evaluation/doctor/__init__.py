"""Is this run healthy, and if not, why: small checks over what a run recorded."""

from __future__ import annotations

from seedstock.evaluation.doctor.diagnose import doctor
from seedstock.evaluation.doctor.finding import Finding

__all__ = ["Finding", "doctor"]
