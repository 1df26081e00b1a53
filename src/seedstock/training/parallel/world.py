"""What one process knows of the others, and what they agree on. Alone, everything here costs nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from seedstock.training.configs.parallel import Degrees, ParallelConfig

T = TypeVar("T")


class World:
    """The processes of a run. ``rank`` 0 is the ``main`` one, which writes records and speaks.

    ``part`` of ``parts`` is this process's share of every batch: processes that cut the model, not the batch, have the
    same one. Without a mesh it is alone.
    """

    def __init__(self, degrees: Degrees | None = None, device: torch.device | None = None) -> None:
        self.degrees = degrees or Degrees()
        self.device = device or torch.device("cpu")
        self.rank, self.size, self.part, self.parts = 0, self.degrees.ranks, 0, self.degrees.batch
        self.mesh: Any = None
        self.within: Any = None
        """The mesh with ``shard`` taken apart, where experts or sequences are divided."""
        self._batch: Any = None
        self._pieces: Any = None
        self._all: Any = None
        if degrees is not None and degrees.ranks > 1:
            from seedstock.training.parallel import mesh

            self.rank = dist.get_rank()
            self.mesh = mesh.build(degrees, self.device.type)
            self._batch = mesh.batch_group(self.mesh, degrees, self.device.type)
            self._pieces = self._batch
            if degrees.context > 1 or degrees.expert > 1:
                self.within = mesh.within(self.mesh, degrees)
            if degrees.context > 1:
                self._pieces = mesh.piece_group(self.mesh, degrees, self.device.type)
            self.part = dist.get_rank(self._batch)

    @classmethod
    def of(cls, config: ParallelConfig, device: torch.device) -> World:
        """The world of this process's group; alone where there is none."""
        ranks = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        return cls(config.degrees(ranks), device)

    def apart(self) -> World:
        """The same world over connections of its own, for a thread beside the training loop; all call it together."""
        other = copy.copy(self)
        if not self.alone:
            other._all = dist.new_group(backend="gloo")
        return other

    @property
    def main(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.size == 1

    def sum(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors on the device, added up over the parts of a batch; every process names the same ones."""
        return self._summed(values, self._batch, self.parts)

    def whole(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same over all whose work has a share in them: parts of a batch, and pieces of its sequences."""
        return self._summed(values, self._pieces, self.parts * self.degrees.context)

    def _summed(self, values: dict[str, Tensor], group: Any, size: int) -> dict[str, Tensor]:
        if size == 1 or not values:
            return values
        names = list(values)
        flat = torch.cat([values[name].detach().reshape(-1).double() for name in names])
        dist.all_reduce(flat, group=group)
        split = flat.split([values[name].numel() for name in names])
        return {
            name: one.view(values[name].shape).to(values[name].dtype) for name, one in zip(names, split, strict=True)
        }

    def add(self, tensor: Tensor) -> Tensor:
        """One tensor on the device, added up over the parts of a batch and the pieces of its sequences."""
        return self.whole({"": tensor})[""]

    def everywhere(self, tensor: Tensor) -> Tensor:
        """One tensor on the device, added up over all processes."""
        if not self.alone:
            dist.all_reduce(tensor)
        return tensor

    def most(self, *numbers: int) -> list[int]:
        """The largest of each of these over all processes; waits for them, not for devices."""
        return self._agree(numbers, dist.ReduceOp.MAX, self._all)

    def total(self, *numbers: int) -> list[int]:
        """Each of these added up over the parts of a batch; waits for them, not for devices."""
        return self._agree(numbers, dist.ReduceOp.SUM, self._batch)

    def _agree(self, numbers: tuple[int, ...], how: Any, group: Any) -> list[int]:
        if self.alone:
            return list(numbers)
        flat = torch.tensor(numbers, dtype=torch.int64)
        dist.all_reduce(flat, how, group=group)
        return flat.tolist()

    def any(self, flag: object) -> bool:
        """Whether it holds for any process."""
        return bool(self.most(int(bool(flag)))[0])

    def rows(self, array: np.ndarray) -> np.ndarray:
        """The rows of all parts of a batch, one part after another; ``array`` is ``[n, …]``, n may differ."""
        if self.parts == 1:
            return array
        width = array[:1].nbytes if len(array) else int(np.prod(array.shape[1:])) * array.itemsize
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.parts)]
        dist.all_gather(counts, torch.tensor([len(array)]), group=self._batch)
        most = max(int(count) for count in counts)
        own = np.zeros((most, width), np.uint8)
        own[: len(array)] = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), width)
        found = [torch.empty(most, width, dtype=torch.uint8) for _ in range(self.parts)]
        dist.all_gather(found, torch.from_numpy(own), group=self._batch)
        rows = b"".join(one[: int(count)].numpy().tobytes() for one, count in zip(found, counts, strict=True))
        return np.frombuffer(rows, array.dtype).reshape(-1, *array.shape[1:])

    def first(self, function: Callable[[], T]) -> T:
        """What the main process's call gives, for all. Raises what it raised there, everywhere."""
        if self.alone:
            return function()
        held: list[Any] = [None, None]
        if self.main:
            try:
                held[0] = function()
            except Exception as error:  # everybody must hear of it, or wait for ever
                held[1] = error
        dist.broadcast_object_list(held, src=0, group=self._all, device=torch.device("cpu"))
        if held[1] is not None:
            raise held[1]
        return held[0]

    def together(self, function: Callable[[], T]) -> T:
        """Everybody's own call; where one raises, all do, what the first of them raised."""
        if self.alone:
            return function()
        result, failure = None, None
        try:
            result = function()
        except Exception as error:
            failure = error
        for found in self.gather(failure):
            if found is not None:
                raise found
        return result  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Everybody's value, by rank, on every process."""
        if self.alone:
            return [value]
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, value, group=self._all)
        return held

    def barrier(self) -> None:
        """Waits for everybody."""
        if not self.alone:
            self.most(0)
