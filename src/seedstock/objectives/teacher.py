"""What a teacher says of each next token: its log-probabilities, and how they are written once for a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.inputs import logits
from seedstock.inputs.loader import windows
from seedstock.inputs.write import dtype_of
from seedstock.ledger.files import write_json
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.causal import Causal

if TYPE_CHECKING:
    from seedstock.inputs.shards import Shards
    from seedstock.ledger.store import Store
    from seedstock.progress import Reporter

AT_ONCE = 2**22  # logits
TOKENS = 8192  # of windows that the teacher reads together


def fits(teacher: Any, spec: Spec, name: str) -> None:
    """Raises RecipeError where a teacher's vocabulary or context is not the student's."""
    if teacher.vocab_size != spec.vocab_size:
        raise RecipeError(
            f"{name} has {teacher.vocab_size:,} tokens, this run {spec.vocab_size:,}",
            where="objective.teacher",
            fix="train this run with the teacher's tokenizer (tokenizer: {kind: imported, path: …})",
        )
    if teacher.config.context < spec.context and teacher.config.position == "learned":
        raise RecipeError(
            f"{name} sees {teacher.config.context:,} positions, this run has {spec.context:,}",
            where="objective.teacher",
            fix="shorten model.context",
        )


@torch.no_grad()
def log_shares(teacher: Any, hidden: Tensor, temperature: float) -> Tensor:
    """Log-probabilities ``[N, V]`` in fp32 of hidden states ``[N, D]``."""
    return F.log_softmax(teacher.head(hidden) / temperature, -1)


def likeliest(shares: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(ids ``[N, k]``, log-probabilities ``[N, k + 1]``) of the k likeliest tokens, and of all others together."""
    top = shares.topk(k, -1)
    rest = shares.scatter(1, top.indices, float("-inf")).logsumexp(-1, keepdim=True)
    return top.indices, torch.cat([top.values, rest], 1)


def inputs_of(teacher: str, shards: Shards, places: np.ndarray, length: int, k: int, temperature: float) -> Any:
    """What stored distributions follow from: their digest names their folder in the store.

    ``teacher`` is the SHA-256 of its checkpoint's manifest.
    """
    from seedstock.ledger import manifest
    from seedstock.ledger.ids import sha256

    return {
        "format": logits.FORMAT,
        "teacher": teacher,
        "shards": manifest.read(shards.folder).origin,
        "windows": sha256(np.ascontiguousarray(places, "<i8").tobytes()),
        "length": length,
        "k": k,
        "temperature": temperature,
    }


@torch.inference_mode()
def write(
    teacher: Any,
    shards: Shards,
    places: np.ndarray,
    length: int,
    *,
    inputs: dict[str, Any],
    store: Store,
    reporter: Reporter,
) -> Path:
    """Writes a teacher's distributions over windows into the store and returns their folder; does nothing where they
    are there. Raises RecipeError where the vocabulary has fewer tokens than are to be kept."""
    folder, k, size = store.folder(logits.STAGE, inputs), int(inputs["k"]), len(places)
    if store.has(logits.STAGE, inputs):
        return folder
    if k >= teacher.vocab_size:
        what = f"{k:,} tokens are to be stored of a vocabulary of {teacher.vocab_size:,}"
        raise RecipeError(what, where="objective.stored", fix="store fewer, or leave it out")
    device, own = next(teacher.parameters()).device, Causal()
    with store.build(logits.STAGE, inputs) as partial:
        np.save(partial / "windows.npy", places)
        ids = np.lib.format.open_memmap(partial / "ids.npy", "w+", dtype_of(teacher.vocab_size), (size, length, k))
        logs = np.lib.format.open_memmap(partial / "logs.npy", "w+", np.dtype("<f2"), (size, length, k + 1))
        step = max(1, TOKENS // length)
        with reporter.bar("teacher", size * length, "token") as bar:
            for start in range(0, size, step):
                part = slice(start, min(start + step, size))
                stored = windows(shards, "train", places[part, :1], places[part, 1:], length + 1)
                batch = {name: torch.from_numpy(stored[name]).to(device) for name in stored if name != "digests"}
                top, values = _of_windows(teacher, own, batch, k, inputs["temperature"])
                outside = (batch["documents"][:, :-1] < 0).cpu().numpy()  # nothing is predicted there
                top[outside], values[outside] = 0, 0
                ids[part], logs[part] = top, values
                bar.advance((part.stop - start) * length)
        ids.flush()
        logs.flush()
        index = {name: inputs[name] for name in ("format", "teacher", "length", "k", "temperature")}
        index |= {"shards": shards.folder.name, "vocab_size": teacher.vocab_size, "windows": size}
        write_json(partial / "index.json", index)
    return folder


def _of_windows(teacher: Any, own: Causal, batch: Batch, k: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Ids ``[B, T, k]`` and log-probabilities ``[B, T, k + 1]``."""
    hidden = teacher.backbone(**own.inputs({"network": teacher}, batch)).hidden
    rows = hidden.flatten(0, 1).split(max(1, AT_ONCE // teacher.vocab_size))
    found = [likeliest(log_shares(teacher, part, temperature), k) for part in rows]
    ids, logs = (torch.cat(parts).unflatten(0, hidden.shape[:2]).cpu() for parts in zip(*found, strict=True))
    return ids.numpy(), logs.half().numpy()
