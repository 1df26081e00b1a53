"""Span corruption (Raffel et al. 2020), and mixtures of it (Tay et al. 2022)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from typing import Any

import numpy as np

from seedstock.errors import RecipeError
from seedstock.objectives import spans
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.configs.span_corruption import Denoiser, SpanCorruptionConfig
from seedstock.objectives.text_to_text import TextToText


class SpanCorruption(TextToText):
    """The spans that sentinels stand for, from the text between them.

    A window is one text: attention is over all of it, as in the paper, and documents are parted by their marks.
    """

    name = "spans"

    def __init__(self, config: SpanCorruptionConfig | None = None, spec: Spec | None = None) -> None:
        self.config = config or SpanCorruptionConfig()
        super().__init__(spec, self.config.z_loss, self.config.specials())
        self.sentinels = [self.spec.specials[f"sentinel_{number}"] for number in range(self.config.sentinels)]
        self.denoisers = self.config.mixture()
        self.modes = [self.spec.specials[f"mode_{d.mode}"] if d.mode else -1 for d in self.denoisers]
        self.window(self.spec.context)

    def window(self, context: int) -> int:
        """The most tokens whose source and target both fit the context whatever the denoiser: with T5's, 568 tokens
        make a source of 512 and a target of 114. Raises RecipeError where there are too few sentinels for it."""
        lengths = range(2, 2 * context + 2)
        length = 1 + bisect_right(lengths, context, key=lambda n: max(max(_lengths(n, d)[:2]) for d in self.denoisers))
        most = max(_lengths(length, denoiser)[2] for denoiser in self.denoisers)
        if most > len(self.sentinels):
            what = f"a window of {length} tokens has {most} hidden spans, and there are {len(self.sentinels)} sentinels"
            raise RecipeError(what, where="objective.sentinels", fix=f"write {most}, or a shorter model.context")
        return length

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``source``, ``tokens``, ``targets`` and what goes with them (see ``TextToText.finished``)."""
        length = items["tokens"].shape[1]
        tokens, _, lengths = spans.compact(items["tokens"], items["documents"])
        which = (keys.uniform("denoiser", 1)[:, 0] * len(self.denoisers)).astype(np.int64)
        hidden, counts = np.zeros((2, len(tokens)), np.int64)
        for number, denoiser in enumerate(self.denoisers):
            own = which == number
            hidden[own], counts[own] = spans.amounts(lengths[own], denoiser.rate, denoiser.mean_span)
        draws = keys.uniform("seen spans", length), keys.uniform("hidden spans", length)
        chosen = spans.hide(lengths, hidden, counts, draws)
        widths = [max(_lengths(length, denoiser)[side] for denoiser in self.denoisers) for side in (0, 1)]
        given, asked = spans.behind_sentinels(tokens, lengths, chosen, self.sentinels, (widths[0], widths[1]))
        modes = np.array(self.modes)[which]
        first = (modes >= 0).astype(np.int64)
        if first.any():
            given = np.where(first[:, None] > 0, np.concatenate([modes[:, None], given[:, :-1]], axis=1), given)
        return self.finished(given, asked, (asked >= 0) & ~np.isin(asked, self.sentinels))

    def generate(
        self, nets: Any, ids: list[int], tokens: int, *, seed: int, stop: Collection[int] = (), **options: Any
    ) -> list[int]:
        """What follows ``ids``; or where there are sentinels among them, the target that fills those in
        (``spans.join`` puts it back)."""
        from seedstock.models.generate import generate

        gaps = set(ids) & set(self.sentinels)
        modes = {d.mode: mode for d, mode in zip(self.denoisers, self.modes, strict=True)}
        mode = modes.get("r" if gaps else "s", next(iter(modes.values())))
        begin, end = [mode] if mode >= 0 else [], [self.eos] if gaps else [self.sentinels[0], self.eos]
        source = [*begin, *ids[-(self.spec.context - len(begin) - len(end)) :], *end]
        prompt = [self.start] if gaps else [self.start, self.sentinels[0]]
        ends = {*stop, self.eos, *([] if gaps else self.sentinels[1:])}
        forbidden = set(options.pop("forbidden", ())) - ends - gaps
        network = nets["network"]
        return generate(network, prompt, tokens, source=source, seed=seed, stop=ends, forbidden=forbidden, **options)


def _lengths(length: int, denoiser: Denoiser) -> tuple[int, int, int]:
    """Tokens of the source and of the target of ``length`` tokens, and spans."""
    hidden, count = (int(found[0]) for found in spans.amounts(np.array([length]), denoiser.rate, denoiser.mean_span))
    return length - hidden + count + 1 + int(denoiser.mode is not None), hidden + count + 1, count
