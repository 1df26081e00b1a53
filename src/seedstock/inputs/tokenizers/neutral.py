"""A copy of a tokenizer in which no text is a special token, however it is spelled: what encodes documents."""

from __future__ import annotations

import copy
from typing import Any

# Specials are given names that no word can have: a space is a sign of another kind, or the end of a word, wherever a
# model has its vocabulary; and Unicode keeps this noncharacter out of interchanged text.
HIDDEN = " \ufdd0"


def neutral(record: dict[str, Any]) -> dict[str, Any]:
    """The content of ``tokenizer.json`` with the same ids, whose specials cannot be reached from a text.

    Besides reading specials out of text before anything else, which libraries can be told not to do, models reach them
    by themselves where a special lies in their own vocabulary: a Unigram model takes ``<s>`` for the piece that it is.
    """
    record = copy.deepcopy(record)
    hidden = {token["content"] for token in record["added_tokens"] if token["special"]}
    for token in record["added_tokens"]:
        if token["content"] in hidden:
            token["content"] = HIDDEN + token["content"]
    model = record["model"]
    vocab = model["vocab"]
    if isinstance(vocab, dict):
        model["vocab"] = {HIDDEN * (text in hidden) + text: number for text, number in vocab.items()}
    else:
        model["vocab"] = [[HIDDEN * (text in hidden) + text, score] for text, score in vocab]
    if model.get("merges"):
        pairs = [pair if isinstance(pair, list) else pair.split(" ", 1) for pair in model["merges"]]
        model["merges"] = [pair for pair in pairs if not {"".join(pair), *pair} & hidden]
    if model.get("unk_token") in hidden:
        model["unk_token"] = HIDDEN + model["unk_token"]
    record["post_processor"] = record["truncation"] = record["padding"] = None
    return record
