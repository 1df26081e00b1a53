"""Which of several texts to say: the one that is wrong by the least on average (Kumar and Byrne 2004)."""

from __future__ import annotations

import torch
from torch import Tensor


def least_risk(tokens_BNT: Tensor, end: int) -> Tensor:
    """Of ``N`` texts for each of ``B``, each up to its first ``end``, the one with the fewest edits to all others:
    ``[B, T]``; the first of equal ones."""
    count, length = tokens_BNT.shape[1:]
    ends = tokens_BNT == end
    lengths_BN = torch.where(ends.any(-1), ends.int().argmax(-1), length)
    one = torch.arange(count, device=ends.device).repeat_interleave(count)
    other = one.view(count, count).T.flatten()
    chosen = []
    for texts_NT, lengths_N in zip(tokens_BNT, lengths_BN, strict=True):  # all pairs of all take much memory
        found = edits(texts_NT[one], lengths_N[one], texts_NT[other], lengths_N[other])
        chosen.append(texts_NT[found.view(count, count).sum(1).argmin()])
    return torch.stack(chosen)


def edits(one_PT: Tensor, lengths_P: Tensor, other_PT: Tensor, others_P: Tensor) -> Tensor:
    """Insertions, deletions and replacements of tokens between the first so many of each pair (Levenshtein 1966):
    int64 ``[P]``."""
    pairs, length = one_PT.shape
    steps = torch.arange(other_PT.shape[1] + 1, device=one_PT.device)
    row = steps.expand(pairs, -1)
    found = others_P.clone()
    for place in range(length):
        kept = torch.minimum(row[:, :-1] + (one_PT[:, place : place + 1] != other_PT), row[:, 1:] + 1)
        first = torch.full((pairs, 1), place + 1, device=row.device)
        # Insertions along a row: a running minimum of what is left once each place's own cost is taken off.
        row = (torch.cat([first, kept], 1) - steps).cummin(1).values + steps
        found = torch.where(lengths_P == place + 1, row.gather(1, others_P[:, None])[:, 0], found)
    return found
