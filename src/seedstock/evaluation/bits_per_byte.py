"""Bits per byte of a network on the held-out split.

Every document is read from its start: BOS is given, every token of text is predicted exactly once, and its nats are
summed; BOS and EOS are not counted. Bits per byte is that sum, over ln 2, over the UTF-8 bytes that the tokens stand
for, so models with different tokenizers can be compared, and so can count models over the same bytes. The codes of
pictures stand for no text: they are read, and their nats are summed apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from seedstock.evaluation.tally import LN2, by_group, ratio
from seedstock.evaluation.windows import Documents, documents, windows
from seedstock.models.mask import Mask
from seedstock.progress import Reporter, Silent

_ROWS = 512


@dataclass(frozen=True)
class Scored:
    """Sums by document ``[D]`` (``nats``, ``tokens``, ``bytes``, and ``code_…`` of pictures' codes), and by position in
    the context ``[context + 1]``.

    ``position_…[k]`` is over the tokens that were predicted from the k tokens before them in the window.
    """

    documents: Documents
    nats: np.ndarray
    tokens: np.ndarray
    bytes: np.ndarray
    code_nats: np.ndarray
    code_tokens: np.ndarray
    position_nats: np.ndarray
    position_tokens: np.ndarray
    position_bytes: np.ndarray

    def bits_per_byte(self, rows: Any = slice(None)) -> float | None:
        """Of all documents, or of some rows."""
        return ratio(self.nats[rows] / LN2, self.bytes[rows])[0]

    def summary(self, rows: Any = slice(None)) -> dict[str, Any]:
        """The figures of all documents, or of some rows, with standard errors over documents."""
        bits, bits_error = ratio(self.nats[rows] / LN2, self.bytes[rows])
        nats, nats_error = ratio(self.nats[rows], self.tokens[rows])
        return {
            "bits_per_byte": bits,
            "standard_error": bits_error,
            "nats_per_token": nats,
            "nats_per_token_error": nats_error,
            "documents": int((self.tokens[rows] > 0).sum()),
            "tokens": int(self.tokens[rows].sum()),
            "bytes": int(self.bytes[rows].sum()),
        }

    def codes(self) -> dict[str, Any] | None:
        """Nats a code of pictures, with its error; None where there are none."""
        mean, error = ratio(self.code_nats, self.code_tokens)
        if mean is None:
            return None
        return {"nats_per_token": mean, "standard_error": error, "tokens": int(self.code_tokens.sum())}

    def by(self) -> dict[str, dict[str, Any]]:
        """The figures by source, domain and language."""
        return by_group(self.documents.labels, self.summary)

    def in_context(self) -> list[dict[str, Any]]:
        """The in-context curve: loss by how many tokens of the window came before, in doubling steps."""
        curve, last = [], len(self.position_tokens) - 1
        first = 1
        while first <= last:
            part = slice(first, min(2 * first - 1, last) + 1)
            if tokens := int(self.position_tokens[part].sum()):
                nats, size = float(self.position_nats[part].sum()), int(self.position_bytes[part].sum())
                curve.append(
                    {
                        "from": first,
                        "to": part.stop - 1,
                        "tokens": tokens,
                        "nats_per_token": nats / tokens,
                        "bits_per_byte": nats / LN2 / size if size else None,
                    }
                )
            first *= 2
        return curve


def token_nats(network: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Nats of ``tokens[:, 1:]``, each given the ones before it in its row: ``[B, T + 1]`` → fp32 ``[B, T]``.

    A row is one document, or the beginning of one and padding, which a causal network does not see from the document.
    Logits are made ``_ROWS`` positions at a time: all of them at once would be most of the memory, and slower.
    """
    inputs = tokens[:, :-1]
    positions = torch.arange(inputs.shape[1], device=tokens.device)[None]
    hidden = network.backbone(network.embed(inputs, positions), positions, Mask("causal")).hidden.flatten(0, 1)
    pieces = zip(hidden.split(_ROWS), tokens[:, 1:].flatten().split(_ROWS), strict=True)
    nats = [F.cross_entropy(network.head(part).float(), targets, reduction="none") for part, targets in pieces]
    return torch.cat(nats).view(inputs.shape)


@torch.inference_mode()
def score(
    network: Any,
    shards: Any,
    tokenizer: Any,
    *,
    context: int,
    stride: int | None = None,
    batch_tokens: int = 4096,
    limit: int | None = None,
    split: str = "held_out",
    reporter: Reporter | None = None,
) -> Scored:
    """Scores documents of a split: all, or about ``limit`` bytes of them.

    A document longer than ``context`` tokens is cut into windows; ``stride`` is how far each moves on (``context``,
    so no overlap, where it is not given; less gives every token more context and costs as much more). The network is
    used at its own precision, on the device where it lies, without dropout.
    """
    found = documents(shards, split, limit)
    device = next(network.parameters()).device
    byte_lengths = np.asarray(tokenizer.byte_lengths, np.int64)
    sums = [np.zeros(len(found.ids)) for _ in range(5)]
    by_position = np.zeros((3, context + 1))
    pad = tokenizer.specials.get("pad", 0)
    training = network.training
    network.eval()
    try:
        with (reporter or Silent()).bar("held-out text", int(found.sizes.sum()), "tokens") as bar:
            for window in windows(shards, split, found, context, min(stride or context, context), batch_tokens, pad):
                tokens = torch.from_numpy(window.tokens).to(device)
                found_nats = token_nats(network, tokens).cpu().numpy()
                wanted = window.tokens[:, 1:]
                codes = window.scored & np.isin(wanted, shards.of_pictures)
                text = window.scored & ~codes
                parts = (found_nats * text, text, byte_lengths[wanted] * text, found_nats * codes, codes)
                for whole, part in zip(sums, parts, strict=True):
                    np.add.at(whole, window.documents, part.sum(1, dtype=np.float64))
                for total, part in zip(by_position, parts[:3], strict=True):
                    total[1 : tokens.shape[1]] += part.sum(0, dtype=np.float64)
                bar.advance(int(window.scored.sum()))
    finally:
        network.train(training)
    nats, counted, size, code_nats, code_counted = sums
    whole_numbers = counted.astype(np.int64), size.astype(np.int64)
    return Scored(found, nats, *whole_numbers, code_nats, code_counted.astype(np.int64), *by_position)
