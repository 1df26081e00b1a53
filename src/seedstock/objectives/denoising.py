"""Denoising (Lewis et al. 2019): text infilling and sentence permutation, and the whole text as the target."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from seedstock.errors import RecipeError
from seedstock.objectives import infilling, spans
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.configs.denoising import DenoisingConfig
from seedstock.objectives.text_to_text import TextToText

ENDS = (b".", b"!", b"?")
_CLOSING = b" \t\r\n\"')]"


class Denoising(TextToText):
    """The text as it was, from what is left of it.

    A window is one text: attention is over all of it, and documents are parted by their marks. Sentences stay in
    their document. A sentence ends with a token whose text ends with a full stop (or ! or ?), closing quotes and white
    space aside.
    """

    name = "denoising"

    def __init__(self, config: DenoisingConfig | None = None, spec: Spec | None = None) -> None:
        self.config = config or DenoisingConfig()
        super().__init__(spec, self.config.z_loss, ("mask", "bos", "eos", "pad"))
        self.ends = np.zeros(self.spec.vocab_size, bool)
        if self.config.permute:
            if self.spec.tokenizer is None:
                what = "where sentences end is not known without the tokenizer"
                raise RecipeError(what, where="objective.permute", fix="write permute: false")
            texts = self.spec.tokenizer.bytes_of(range(self.spec.tokenizer.vocab_size))
            self.ends[: len(texts)] = [text.rstrip(_CLOSING).endswith(ENDS) for text in texts]
            self.ends[list(self.spec.specials.values())] = False

    def window(self, context: int) -> int:
        """One less than the context: source and target end with an ``eos``."""
        return context - 1

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``source``, ``tokens``, ``targets`` and what goes with them (see ``TextToText.finished``)."""
        length = items["tokens"].shape[1]
        whole, documents, lengths = spans.compact(items["tokens"], items["documents"])
        inside = np.arange(length) < lengths[:, None]
        order = np.broadcast_to(np.arange(length), whole.shape)
        if self.config.permute:
            order = self._order(whole, documents, keys.uniform("sentences", length))
        sizes = infilling.poisson(keys.uniform("spans", length), self.config.mean_span)
        draws = keys.uniform("places", length + 1)
        shown = np.take_along_axis(whole, order, 1)
        given, gone = infilling.behind_masks(
            shown, np.where(lengths > 1, lengths, 0), self.config.rate, sizes, draws, self.spec.specials["mask"]
        )
        hidden = np.zeros((len(whole), length + 1), bool)
        np.put_along_axis(hidden, order, gone, 1)  # the last column is that of eos
        room = np.full((len(whole), 1), -1)
        asked = np.where(inside & (lengths > 1)[:, None], whole, -1)
        return self.finished(np.hstack([given, room]), np.hstack([asked, room]), hidden)

    def _order(self, tokens: np.ndarray, documents: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The shuffled sentences' order ``[B, L]``; ``bos`` and ``eos`` stay where they are."""
        begins = np.ones(tokens.shape, bool)
        begins[:, 1:] = self.ends[tokens[:, :-1]] | (documents[:, 1:] != documents[:, :-1])
        marks = [(tokens == self.spec.specials[name]).astype(np.int64) for name in ("bos", "eos")]
        begins[:, 1:] |= (marks[0][:, :-1] + marks[1][:, 1:]) > 0
        return infilling.shuffled(documents, begins, marks[1] - marks[0], draws)

    def generate(
        self, nets: Any, ids: list[int], tokens: int, *, seed: int, stop: Collection[int] = (), **options: Any
    ) -> list[int]:
        """What follows ``ids``; or where there are masks among them, the whole text."""
        from seedstock.models.generate import generate

        mask = self.spec.specials["mask"]
        ids = ids[-(self.spec.context - 2) :]
        gaps = mask in ids
        source = [*ids, *([] if gaps else [mask]), self.eos]
        prompt = [self.start] if gaps else [self.start, *ids]
        ends = {*stop, self.eos}
        forbidden = set(options.pop("forbidden", ())) - ends - ({self.spec.specials["bos"]} if gaps else set())
        network = nets["network"]
        return generate(network, prompt, tokens, source=source, seed=seed, stop=ends, forbidden=forbidden, **options)
