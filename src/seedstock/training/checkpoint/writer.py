"""A storage writer for PyTorch's distributed checkpoint that writes safetensors and a JSON index."""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem, WriteItemType
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from seedstock.training.checkpoint import index


class Writer(StorageWriter):
    """Writes a flat dictionary of tensors named ``part.name`` into ``part.safetensors`` of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def reset(self, checkpoint_id: str | os.PathLike | None = None) -> None:
        """Takes the folder of the next save."""
        if checkpoint_id is not None:
            self.folder = Path(checkpoint_id)

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Nothing to prepare: the folder is there."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Refuses what is not a tensor, which the planner would pickle."""
        for item in plan.items:
            if item.type is WriteItemType.BYTE_IO:
                raise TypeError(f"{item.index.fqn} is not a tensor; state that is not belongs in state.json")
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Gives every rank its own files."""
        return [replace(plan, storage_data=rank) for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Writes a file for each part. Raises OSError where the disk refuses."""
        files: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
        results = []
        for item in plan.items:
            file, key = _place(item, plan.storage_data or 0)
            data = planner.resolve_data(item)
            assert isinstance(data, torch.Tensor)
            files[file][key] = data.detach().cpu().contiguous()
            results.append(WriteResult(item.index, data.nbytes, (file, key)))
        for file in sorted(files):
            _save(files[file], self.folder / file)
        done: Future[list[WriteResult]] = Future()
        done.set_result(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Writes the index, once all ranks have written."""
        index.write(self.folder, metadata, {result.index: result.storage_data for rank in results for result in rank})

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike) -> bool:
        """Any folder on this machine will do."""
        return "://" not in str(checkpoint_id)


def _place(item: WriteItem, rank: int) -> tuple[str, str]:
    file, key = index.file_of(item.index.fqn, rank)
    if item.type is WriteItemType.SHARD and item.index.offset is not None:
        key += "@" + ",".join(str(offset) for offset in item.index.offset)
    return file, key


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        # The library hides the number that tells a full disk from other trouble in its message.
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
