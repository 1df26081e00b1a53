"""Tokenizers made elsewhere: their files read, their ids kept, our specials appended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers.config import ImportedConfig
from seedstock.inputs.tokenizers.importing.append import append, vocabulary
from seedstock.inputs.tokenizers.importing.read import locate, read
from seedstock.ledger.files import write_json
from seedstock.progress import Reporter

__all__ = ["files", "load", "size", "vocabulary", "write"]


def files(config: ImportedConfig) -> list[Path]:
    """The files that an import follows from."""
    path = locate(config)
    settings = path.with_name("tokenizer_config.json")
    return [path, *([settings] if path.suffix == ".json" and settings.is_file() else [])]


def load(config: ImportedConfig) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]], dict[str, Any]]:
    """(content of tokenizer.json, our name → token, what was appended, the settings beside it).

    Raises DataError where the file cannot be read, or the library would number the appended tokens differently.
    """
    record, settings = read(config)
    known = vocabulary(record["model"]) | {token["content"]: token["id"] for token in record["added_tokens"]}
    made, names, appended = append(record, settings, config.named, config.reserved, config.specials)
    _prove(made, known | {entry["token"]: entry["id"] for entry in appended}, locate(config))
    return made, names, appended, settings


def size(config: ImportedConfig) -> int:
    """The vocabulary that an import gives, for a plan."""
    made, _, appended, _ = load(config)
    tokens = [*vocabulary(made["model"]).values(), *(token["id"] for token in made["added_tokens"])]
    return 1 + max([*tokens, *(entry["id"] for entry in appended)])


def write(config: ImportedConfig, folder: Path, chat_template: str, reporter: Reporter) -> dict[str, Any]:
    """Writes ``tokenizer.json`` and ``tokenizer_config.json``; returns what the report says of the import."""
    made, names, appended, settings = load(config)
    write_json(folder / "tokenizer.json", made)
    usual = ("bos", "eos", "pad", "mask", "unk")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **{f"{name}_token": names[name] for name in usual if name in names},
            "clean_up_tokenization_spaces": False,
            "chat_template": settings.get("chat_template") or chat_template,
            "seedstock_specials": names,
        },
    )
    reporter.say(f"   imported: {len(appended)} specials appended, no id changed")
    return {"imported": {"file": locate(config).name, "specials": names, "appended": appended}}


def _prove(made: dict[str, Any], ids: dict[str, int], path: Path) -> None:
    """Every token has the id that it is said to have, in the library that reads the file."""
    import json

    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(json.dumps(made))
    found = backend.get_vocab(with_added_tokens=True)
    wrong = [text for text, number in ids.items() if found.get(text) != number]
    if wrong:
        raise DataError(
            f"{len(wrong)} tokens would change their ids, {wrong[0]!r} first",
            where=path,
            fix="this vocabulary has gaps that the library fills; it cannot be extended",
        )
