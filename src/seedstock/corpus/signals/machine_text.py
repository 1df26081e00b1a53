"""Marks of text that a language model wrote and nobody declared: phrases of chatbots, and how evenly text flows.

Phrases of refusal and self-description are strong evidence, but few texts have any; a favourite vocabulary and an even
rhythm are weak evidence (Kobak et al. 2024, arXiv:2406.07016, on excess words). Nothing here tells who wrote a text: it
gives scores to look at, and to compare years and sources by.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# What chatbots say of themselves, or leave behind; RE2, lower case.
TELLING = (
    r"as an? (ai|artificial intelligence)( language)? (model|assistant)",
    r"as a large language model",
    r"i'?m (just )?an? (ai|artificial intelligence) (language )?(model|assistant)",
    r"i am (just )?an? (ai|artificial intelligence) (language )?(model|assistant)",
    r"my (knowledge|training data) (cut-?off|only goes up to)",
    r"as of my last (knowledge )?(update|training)",
    r"i (cannot|can'?t|am unable to|am not able to) (fulfill|assist with|comply with) (that|this|your) request",
    r"i do(n't| not) have (personal (opinions|feelings|beliefs|experiences)|access to real-?time)",
    r"i'?m sorry, but i (cannot|can'?t)",
    r"(certainly|sure|of course)[!,] here('s| is| are) (a|an|the|some|your) ",
    r"i hope this (helps|email finds you well)[!.]",
    r"(let me know|feel free to (ask|let me know)) if you (have any|need any|would like|'d like)",
    r"regenerate response",
    r"\[insert [a-z ]{2,40}\]",
    r"(als ki-sprachmodell|en tant que mod[eè]le de langage|como modelo de lenguaje|作为一个?(ai|人工智能)语言模型)",
)
# Words that models like more than people do.
_FAVOURITES = """
delve delves delving tapestry intricate intricacies pivotal showcasing underscores underscore underscoring nuanced
multifaceted realm testament seamlessly seamless leverage leveraging holistic furthermore moreover additionally
navigating fostering foster bustling vibrant meticulous meticulously crucial comprehensive landscape embark unlock
transformative ever-evolving groundbreaking cutting-edge invaluable commendable noteworthy resonate resonates elevate
harness harnessing synergy robust paramount indelible unwavering beacon
"""
FAVOURITES = _FAVOURITES.split()
FEWEST = 5  # sentences
SENTENCE = r"[.!?。！？]+[\"'”’)\]]*(\s+|$)"


class MachineText(Signal):
    """Scores of undeclared machine-generated text.

    telling      phrases in which a chatbot speaks of itself, refuses, or offers more
    favourites   words that models are fond of, for each thousand words
    evenness     one minus the variation (standard deviation by mean) of the lengths of sentences, at least 0; null
                 below five sentences
    score        0 to 1: 0.9 and more with a telling phrase, else at most 0.5 by the other two
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {
        "telling": "int32",
        "favourites": "float32",
        "evenness": "float32",
        "score": "float32",
    }
    kind: Literal["machine_text"] = "machine_text"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measures a batch."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        text = pc.replace_substring(pc.utf8_lower(batch.column("text")), "’", "'")
        telling = pc.count_substring_regex(text, _telling()).to_numpy(zero_copy_only=False)
        words, favourites = _favourites(text)
        share = 1000 * favourites / np.maximum(words, 1)
        even, known = _evenness(text)
        # Ten favourites in a thousand words, and sentences as even as a list's, are the most that weak evidence gives.
        weak = 0.35 * np.minimum(share / 10, 1) * (words >= 100) + 0.15 * np.where(known, even, 0)
        score = np.where(telling > 0, 1 - 0.1 / np.maximum(telling, 1), weak)
        return self.batch(
            telling=telling, favourites=share, evenness=pa.array(even.astype(np.float32), mask=~known), score=score
        )


@cache
def _telling() -> str:
    return "|".join(f"(?:{phrase})" for phrase in TELLING)


def _favourites(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(words, favourites among them) of each text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from seedstock.corpus.classify.tokens import tokens

    listed = pa.array(FAVOURITES, pa.large_string())
    counts, found = [], []
    for piece in tokens(text):
        among = pc.is_in(piece.vocabulary, value_set=listed).to_numpy(zero_copy_only=False)[piece.codes]
        counts.append(np.bincount(piece.row, minlength=piece.rows))
        found.append(np.bincount(piece.row, among, piece.rows))
    if not counts:
        return np.zeros(0), np.zeros(0)
    return np.concatenate(counts), np.concatenate(found)


def _evenness(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(evenness, whether there are enough sentences) of each text."""
    import numpy as np
    import pyarrow.compute as pc

    head = pc.utf8_slice_codeunits(text, 0, 20_000)
    split = pc.split_pattern_regex(head, SENTENCE)
    row = pc.list_parent_indices(split).to_numpy()
    sentences = pc.utf8_trim_whitespace(split.flatten())
    words = pc.list_value_length(pc.utf8_split_whitespace(sentences)).to_numpy().astype(float)
    full = pc.greater(pc.binary_length(sentences), 0).to_numpy(zero_copy_only=False)
    row, words, rows = row[full], words[full], len(text)
    count = np.bincount(row, minlength=rows)
    mean = np.bincount(row, words, rows) / np.maximum(count, 1)
    spread = np.sqrt(np.bincount(row, (words - mean[row]) ** 2, rows) / np.maximum(count, 1))
    return np.maximum(0, 1 - spread / np.maximum(mean, 1e-9)) * (count >= FEWEST), count >= FEWEST
