"""Metadata conditioning, then cool-down (MeCo: Gao et al. 2025, section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.objectives import causal
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.configs.metadata import MetadataConfig

LINE = "{field}: {value}\n\n"


class Metadata(causal.Causal):
    """Next-token prediction behind lines such as ``host: example.org``, on which no loss is taken.

    They are put in here and not into the shards, so that a stream stays the documents as they are: for ``trace``, for
    ``forget``, for the cool-down, and for other objectives. A window moves on by ``room`` tokens less than the
    context. Where it holds several documents, the lines of the later ones push as much of its end out.
    """

    def __init__(self, config: MetadataConfig, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        self.config: MetadataConfig = config
        self.pad = spec.specials["pad"] if spec is not None else 0
        examples = spec.examples if spec is not None else None
        self.last = int(examples * (1 - config.cooldown)) if examples and config.cooldown else None
        values = spec.shards.values.get(config.scores()[0], ()) if spec is not None and spec.shards is not None else ()
        lines = [LINE.format(field=config.field, value=value) for value in values]
        found = spec.tokenizer.encode_batch(lines) if spec is not None and lines else []
        self.lines = [np.asarray(one, np.int64)[: config.room] for one in found]

    def window(self, context: int) -> int:
        """The context without the room for a line."""
        return context - self.config.room

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents``, ``positions`` int64 and ``given`` bool ``[B, window + room + 1]``.

        ``given`` are the lines, and the token after one, if it is that of a document which began in another window:
        none of them is a target.
        """
        rows, length = items["tokens"].shape
        width = length + self.config.room
        tokens = np.full((rows, width), self.pad, np.int64)
        documents = np.full((rows, width), -1, np.int64)
        positions, given = np.zeros((rows, width), np.int64), np.zeros((rows, width), bool)
        for row in range(rows):
            plain = self.last is not None and int(keys.examples[row]) >= self.last
            at = 0
            edges = np.flatnonzero(np.diff(items["documents"][row])) + 1
            for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), length], strict=True):
                number = int(items["documents"][row, start])
                line = self._line(items["scores"][row, start, 0]) if number >= 0 and not plain else _NONE
                # BOS stays first, where a document begins in this window.
                head = int(items["tokens"][row, start] == self.spec.specials["bos"]) if self.spec is not None else 0
                body = items["tokens"][row, start:stop]
                piece = np.concatenate([body[:head], line, body[head:]])[: width - at]
                end = at + len(piece)
                tokens[row, at:end], documents[row, at:end] = piece, number
                positions[row, at:end] = np.arange(len(piece))
                given[row, at : min(end, at + head + len(line) + (1 - head if len(line) else 0))] = True
                at = end
        return {"tokens": tokens, "documents": documents, "positions": positions, "given": given}

    def _line(self, value: float) -> np.ndarray:
        return self.lines[int(value)] if np.isfinite(value) else _NONE

    def targets(self, batch: Batch) -> Tensor:
        """``[B, T]``: the token after each position, or -1 where it is given."""
        return torch.where(batch["given"][:, 1:], -1, causal.targets(batch))


_NONE = np.zeros(0, np.int64)
