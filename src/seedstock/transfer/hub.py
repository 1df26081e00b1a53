"""Checkpoints of the Hugging Face hub, at one commit: fetched as files, of which none is run or unpickled."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedstock.errors import SeedstockError
from seedstock.ledger.ids import sha256_file

PREFIX = "hf:"
FILES = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Fetched:
    """A ``folder`` with the files of ``commit``; ``revision`` is what was asked for (None: the default branch)."""

    folder: Path
    name: str
    revision: str | None
    commit: str

    def record(self) -> dict[str, Any]:
        """What tells anybody else which files these were: repository, commit, and the digest of each."""
        files = {path.name: sha256_file(path) for path in sorted(self.folder.iterdir()) if path.is_file()}
        return {"repository": self.name, "revision": self.revision, "commit": self.commit, "files": files}


def fetch(given: str, *, cache: Path | None = None, offline: bool = False) -> Fetched:
    """``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION`` into the hub's cache; a branch or tag becomes its commit.

    ``offline`` takes what the cache has. Only configuration, safetensors and tokenizer are fetched. Raises
    SeedstockError for another form, for what the hub does not have or does not give, and where huggingface_hub is not
    installed.
    """
    found = _NAME.fullmatch(given.removeprefix(PREFIX))
    if not given.startswith(PREFIX) or found is None:
        raise SeedstockError(
            "not a checkpoint of the hub", where=given, fix="write hf:OWNER/NAME or hf:OWNER/NAME@COMMIT"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise SeedstockError("huggingface_hub is not installed", fix="pip install 'seedstock[hub]'") from None
    try:
        folder = snapshot_download(
            found["name"],
            revision=found["revision"],
            cache_dir=cache,
            local_files_only=offline,
            allow_patterns=[*FILES, *TOKENIZERS],
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except Exception as error:  # its own kinds, those of its transport and of the network
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeedstockError(
            f"the hub gives no such checkpoint: {type(error).__name__}: {reason}",
            where=given,
            fix="see owner, name and revision, the network, and for gated ones HF_TOKEN; or fetch the folder yourself",
        ) from None
    commit = Path(folder).name
    if not _COMMIT.fullmatch(commit):
        what = f"the hub's cache does not say which commit this is ({commit})"
        raise SeedstockError(what, where=given, fix="write the commit after @")
    return Fetched(Path(folder), found["name"], found["revision"], commit)
