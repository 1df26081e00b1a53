"""Which process this is, among those that were started together. Free of torch: read before anything heavy."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Process ``rank`` of ``size``, the ``local``-th on its machine, as ``starter`` (torchrun, slurm) started it."""

    rank: int
    size: int
    local: int
    starter: str
    address: str
    port: int


def find(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place, where a launcher started several; None where it is on its own."""
    names = environment.keys()
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= names:
        place = _place(environment, "RANK", "WORLD_SIZE", "LOCAL_RANK", "torchrun")
    elif {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST"} <= names:  # srun, not sbatch alone
        place = _place(environment, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "slurm")
    else:
        return None
    return place if place.size > 1 else None


def _place(environment: Mapping[str, str], rank: str, size: str, local: str, starter: str) -> Place:
    address = environment.get("MASTER_ADDR") or first_host(environment["SLURM_STEP_NODELIST"])
    port = environment.get("MASTER_PORT") or str(20_000 + int(environment["SLURM_JOB_ID"]) % 20_000)
    own = int(environment[rank])
    return Place(own, int(environment[size]), int(environment.get(local, own)), starter, address, int(port))


def first_host(hosts: str) -> str:
    """The first of Slurm's list of hosts: ``gpu[03-05,9],login`` → ``gpu03``."""
    found = re.match(r"([^,\[]+)(?:\[([^\],-]+)[^\]]*\])?([^,\[]*)", hosts)
    if not found:
        raise ValueError(f"{hosts!r} is no list of hosts")
    return found[1] + (found[2] or "") + found[3]
