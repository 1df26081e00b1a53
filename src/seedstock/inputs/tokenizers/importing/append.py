"""Our specials for a tokenizer made elsewhere: those that it has under other names, the others appended."""

from __future__ import annotations

import copy
from typing import Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import specials
from seedstock.inputs.tokenizers.config import MULTIPLE

# How others write what we mean; the first that is there counts.
USUAL = {
    "bos": ("<|bos|>", "<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "[CLS]", "<|endoftext|>"),
    "eos": ("<|eos|>", "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "[SEP]"),
    "pad": ("<|pad|>", "<pad>", "[PAD]"),
    "mask": ("<|mask|>", "<mask>", "[MASK]"),
    "im_start": ("<|im_start|>",),
    "im_end": ("<|im_end|>",),
    "fim_prefix": ("<|fim_prefix|>", "<fim_prefix>"),
    "fim_middle": ("<|fim_middle|>", "<fim_middle>"),
    "fim_suffix": ("<|fim_suffix|>", "<fim_suffix>"),
}


def vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Token → id of the ``model`` of a ``tokenizer.json``; Unigram's is a list of (token, score)."""
    vocab = model["vocab"]
    return dict(vocab) if isinstance(vocab, dict) else {entry[0]: number for number, entry in enumerate(vocab)}


def append(
    record: dict[str, Any],
    settings: dict[str, Any],
    named: dict[str, str],
    reserved: int,
    extra: tuple[str, ...] = (),
) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """(content of ``tokenizer.json``, our name → token, what was appended as [{token, id}]).

    No id that exists changes. ``extra`` names specials beyond ours. Spare specials follow those that were missing,
    ``reserved`` of them and as many more as the padding needs. Raises DataError where a token that ``named`` gives is
    not in the vocabulary.
    """
    record = copy.deepcopy(record)
    record["truncation"] = record["padding"] = None  # they would cut documents
    known = vocabulary(record["model"]) | {token["content"]: token["id"] for token in record["added_tokens"]}
    names = _names(record, settings, named, known)
    size = 1 + max(known.values())
    names |= {name: text for name in extra if name not in names and (text := specials.text_of(name)) in known}
    absent = [name for name in specials.names(0, extra=extra) if name not in names]
    missing = [specials.text_of(name) for name in absent]
    names |= dict(zip(absent, missing, strict=True))
    spare = [text for number in range(reserved) if (text := specials.text_of(f"reserved_{number}")) not in known]
    padding = -(size + len(missing) + len(spare)) % MULTIPLE
    more = (specials.text_of(f"reserved_{number}") for number in range(reserved, reserved + padding + MULTIPLE))
    spare += [text for text in more if text not in known][:padding]
    appended = [{"token": text, "id": size + place} for place, text in enumerate([*missing, *spare])]
    _mark(record, {known[text]: text for text in names.values() if text in known})
    dense = len(set(known.values())) == size
    for entry in appended:
        if isinstance(record["model"]["vocab"], dict) and not dense:
            record["model"]["vocab"][entry["token"]] = entry["id"]  # or the library would count ids from the gaps
        record["added_tokens"].append(_added(entry["token"], entry["id"]))
    bos, number = names["bos"], (known | {entry["token"]: entry["id"] for entry in appended})[names["bos"]]
    record["post_processor"] = _begins_with(bos, number)
    return record, names, appended


def _names(
    record: dict[str, Any], settings: dict[str, Any], named: dict[str, str], known: dict[str, int]
) -> dict[str, str]:
    """Our name → the token that is there already."""
    names = {}
    for name, text in named.items():
        if text not in known:
            raise DataError(
                f"{text!r} is not in the vocabulary", where=f"tokenizer.named.{name}", fix="leave it out to append it"
            )
        names[name] = text
    marked = {token["content"] for token in record["added_tokens"] if token["special"]}
    for name, usual in USUAL.items():
        said = settings.get(f"{name}_token")
        own: str | None = said.get("content") if isinstance(said, dict) else said
        candidates = [text for text in (own, *usual) if text and (text in marked or (text == own and text in known))]
        # Padding stands for what was erased, too: it must not read as the end of a document.
        if name == "pad":
            candidates = [text for text in candidates if text not in (names.get("eos"), names.get("bos"))]
        if candidates and name not in names:
            names[name] = candidates[0]
    unknown = _unknown(record["model"])
    if unknown in known and specials.UNKNOWN not in names:
        names[specials.UNKNOWN] = unknown
    return names


def _unknown(model: dict[str, Any]) -> str:
    """The token of what the vocabulary lacks, empty where the model needs none."""
    if model.get("unk_id") is not None:
        return model["vocab"][model["unk_id"]][0]
    return model.get("unk_token") or ""


def _mark(record: dict[str, Any], chosen: dict[int, str]) -> None:
    """Tokens that we use as specials are specials, whatever they were."""
    for token in record["added_tokens"]:
        if token["id"] in chosen:
            token["special"] = True
            del chosen[token["id"]]
    record["added_tokens"] += [_added(text, number) for number, text in chosen.items()]
    record["added_tokens"].sort(key=lambda token: token["id"])


def _added(text: str, number: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": text, **flags}


def _begins_with(bos: str, number: int) -> dict[str, Any]:
    """A text as the model sees it begins with BOS."""
    begin = {"SpecialToken": {"id": bos, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [
            begin,
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": bos, "type_id": 1}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {bos: {"id": bos, "ids": [number], "tokens": [bos]}},
    }
