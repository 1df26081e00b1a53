"""How much of a text is the vocabulary of pornographic pages: a density, not a verdict.

The list is short and of our own writing. It holds words that are hardly ever used outside such pages; words that
medicine, law, education or people's names use as well are left out, so that texts about bodies, sexuality and identity
stay low. English alone. A trained ``classifier`` sees more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

_WORDS = """
porn porno pornos xxx milf milfs blowjob blowjobs handjob handjobs cumshot cumshots creampie gangbang gangbangs
deepthroat camgirl camgirls camsex sexcam sexcams upskirt bukkake hentai futanari redtube pornhub xvideos xhamster
youporn brazzers bangbros nsfw sexchat sextape dildo dildos buttplug threesome threesomes titjob footjob rimjob
masturbates pussy pussies cunt cunts titties boobs slut sluts whore whores horny jizz cumming bdsm femdom
"""
WORDS = _WORDS.split()
STRONG = 0.02  # a share of such words from which a page is little else


class Adult(Signal):
    """Words of pornographic pages.

    words     how many there are
    distinct  how many different ones
    score     0 to 1: their share of all words over 2 %, at most 1, where at least two different ones occur; else 0
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"words": "int64", "distinct": "int32", "score": "float32"}
    kind: Literal["adult"] = "adult"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Counts in a batch, a few texts at a time."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from seedstock.corpus.classify.tokens import tokens

        listed = pa.array(WORDS, pa.large_string())
        parts = []
        for piece in tokens(batch.column("text")):
            number = pc.fill_null(pc.index_in(piece.vocabulary, listed), -1).to_numpy().astype(np.int64)[piece.codes]
            row, number = piece.row[number >= 0], number[number >= 0]
            seen = np.unique(row * len(WORDS) + number) // len(WORDS)
            words, distinct = np.bincount(row, minlength=piece.rows), np.bincount(seen, minlength=piece.rows)
            share = words / np.maximum(np.bincount(piece.row, minlength=piece.rows), 1)
            parts.append((words, distinct, np.where(distinct > 1, np.minimum(share / STRONG, 1), 0)))
        found = [np.concatenate(side) for side in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
        return self.batch(words=found[0].astype(np.int64), distinct=found[1].astype(np.int32), score=found[2])
