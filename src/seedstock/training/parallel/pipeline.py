"""Pipeline parallelism: layers are divided among processes, in stages that pass the stream of micro-batches on.

The schedules are those of ``torch.distributed.pipelining``. The first stage has the embedding, the last one the norm
and the head; where embedding and head are tied both have the table, and the gradients of both ends are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import pipelining
from torch.distributed.device_mesh import DeviceMesh

from seedstock.errors import RecipeError
from seedstock.training.batches import Batch
from seedstock.training.configs.parallel import STAGES
from seedstock.training.norm import local

SCHEDULES: dict[str, Any] = {
    "gpipe": pipelining.ScheduleGPipe,
    "1f1b": pipelining.Schedule1F1B,
    "interleaved": pipelining.ScheduleInterleaved1F1B,
    "zero-bubble": pipelining.ScheduleInterleavedZeroBubble,
}


SPLIT_BACKWARD = torch.__version__ >= "2.13"  # compared as versions
"""Whether torch's backward pass in two halves knows functions in Python, and counts no weight's gradient twice."""


class Absent(nn.Module):
    """In the place of a module that another stage has."""

    def forward(self, *_: Any, **__: Any) -> Any:
        """Nobody may ask."""
        raise RuntimeError("another stage has this module")


@dataclass
class Sums:
    """What a step gave: means of losses, sums of metrics over counts, and the length of a sequence."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, Tensor] = field(default_factory=dict)
    length: int = 0


class Pipeline:
    """This process's stages in a mesh of one dimension; what is of other stages is taken out of the nets."""

    def __init__(self, passing: Any, mesh: DeviceMesh, schedule: str) -> None:
        if schedule == "zero-bubble" and not SPLIT_BACKWARD:
            raise RecipeError(
                f"the zero-bubble schedule of torch {torch.__version__} gives wrong gradients or none",
                where="training.parallel.schedule",
                fix="take torch 2.13, or another schedule",
            )
        self.network: Any = passing.nets["network"]
        self.group, self.size, self.rank = mesh.get_group(), mesh.size(), mesh.get_local_rank()
        self.schedule, depth = schedule, self.network.config.depth
        count = self.size * STAGES.get(schedule, 1)
        self.layers = [range(depth * n // count, depth * (n + 1) // count) for n in range(count)]
        self.chunks = [n for n in range(count) if n % self.size == self.rank]
        self.tied = self.network.head._tied is not None
        self.embeds = False
        """Whether the stage that is at work reads the embedding."""
        self._known: dict[Any, tuple[Any, list[_Chunk]]] = {}
        self._names: tuple[list[str], list[str]] | None = None
        self._taken: dict[str, nn.Module] = {}
        self._bare: dict[tuple[nn.Module, str], tuple[int, nn.Parameter | None]] = {}
        """Parameters of embedding and head that are in no module of their own: who has them; elsewhere the shape."""
        self._here = False
        self._embed: Callable[..., Tensor] = self.network.embed
        self.network.embed = self.embed
        for path, owners in self._owners():
            if self.rank not in owners:
                self._taken[path] = self.network.get_submodule(path)
                self.network.set_submodule(path, Absent())
                _emptied(self._taken[path])
        for module, owner in ((self.network.embedding, 0), (self.network.head, self.size - 1)):
            for name, held in module._parameters.items():
                if held is not None:
                    away = self.rank != owner
                    self._bare[module, name] = owner, _shape(held) if away else None
                    module._parameters[name] = None if away else held

    def copies(self) -> set[nn.Parameter]:
        """Parameters of this stage that the first one has too."""
        return set(self.network.embedding.tokens.parameters()) if self.tied and self.rank == self.size - 1 else set()

    def embed(self, tokens: Tensor, positions: Tensor, *args: Any, **more: Any) -> Tensor:
        """The network's own; in a stage that is handed its input, the shape of that alone."""
        if self.embeds or self._here:
            return self._embed(tokens, positions, *args, **more)
        empty = torch.zeros((), dtype=self.network.compute_dtype, device=tokens.device)
        return empty.expand(*tokens.shape, self.network.config.width)

    def _owners(self) -> Iterator[tuple[str, frozenset[int]]]:
        """What is divided among stages, in one order, and the ranks that have it, of which the first gives it away."""
        last = self.size - 1
        for name, _ in self.network.embedding.named_children():
            yield f"embedding.{name}", frozenset({0, last} if name == "tokens" and self.tied else {0})
        for stage, layers in enumerate(self.layers):
            for number in layers:
                yield f"backbone.blocks.{number}", frozenset({stage % self.size})
        yield "backbone.norm", frozenset({last})
        for name, _ in self.network.head.named_children():
            yield f"head.{name}", frozenset({last})

    def step(
        self, passing: Any, ready: list[Batch], blank: Batch, size: int, count: int, counts: dict[str, Tensor]
    ) -> Sums:
        """Adds the gradients of a batch's mean loss to the parameters of this process's stages.

        ``ready`` are micro-batches of up to ``size`` examples, ``blank`` one example that counts nothing: all are
        filled up with it, since stages pass on one shape, and so is their ``count``, which schedules want to be at
        least that of processes.
        """
        count = max(count, self.size)
        if self.schedule in ("interleaved", "zero-bubble"):
            count = -(-count // self.size) * self.size
        parts = [_filled(part, blank, size) for part in ready]
        parts += [_filled(None, blank, size)] * (count - len(parts))
        length = passing.objective.inputs(passing.nets, parts[0])["x"].shape[1]
        schedule, chunks = self._scheduled(passing, size, count, length, parts[0]["examples"].device)
        for chunk in chunks:
            chunk.begin(parts, counts)
        given = (torch.zeros(count, 1),) if 0 in self.chunks else ()
        last = len(self.layers) - 1 in self.chunks
        more = {"target": torch.zeros(count, 1)} if last else {}
        schedule.step(*given, return_outputs=False, **more)
        self._tie()
        found = self._agreed(chunks, counts)
        found.length = length
        return found

    def _scheduled(self, passing: Any, size: int, count: int, length: int, device: torch.device) -> Any:
        key = (size, count, length)
        if key not in self._known:
            network = self.network
            stream = torch.empty(size, length, network.config.width, dtype=network.compute_dtype, device=device)
            stream.requires_grad_()
            entry, end = torch.zeros(1, 1), torch.zeros((), device=device, requires_grad=True)
            chunks = [_Chunk(self, passing, self.layers[number]) for number in self.chunks]
            stages = [
                pipelining.PipelineStage(
                    chunk,
                    number,
                    len(self.layers),
                    device,
                    input_args=stream if number else entry,
                    output_args=stream if number < len(self.layers) - 1 else end,
                    group=self.group,
                )
                for number, chunk in zip(self.chunks, chunks, strict=True)
            ]
            several: Any = stages if self.schedule in ("interleaved", "zero-bubble") else stages[0]
            made = SCHEDULES[self.schedule](several, count, loss_fn=_as_it_is, scale_grads=False)
            self._known[key] = made, chunks
        return self._known[key]

    def _tie(self) -> None:
        """Adds up the gradients of a table that both ends have: the same bits at both."""
        if not self.tied or self.rank not in (0, self.size - 1):
            return
        gradient = self.network.embedding.tokens.weight.grad
        own, other = local(gradient).contiguous(), torch.empty_like(local(gradient))
        peer = self.size - 1 - self.rank
        sending = dist.P2POp(dist.isend, own, group=self.group, group_peer=peer)
        receiving = dist.P2POp(dist.irecv, other, group=self.group, group_peer=peer)
        for work in dist.batch_isend_irecv([sending, receiving] if self.rank == 0 else [receiving, sending]):
            work.wait()
        local(gradient).add_(other)

    def _agreed(self, chunks: list[_Chunk], counts: dict[str, Tensor]) -> Sums:
        """Losses and metrics of all stages, on each."""
        losses: dict[str, Tensor] = {}
        metrics: dict[str, Tensor] = {}
        first = next(iter(counts.values()))
        for chunk in chunks:
            for means, sums in chunk.seen:
                for name, mean in means.items():
                    losses[name] = losses[name] + mean if name in losses else mean
                for name, total in sums.items():
                    share = total / counts.get(name, first)
                    metrics[name] = metrics[name] + share if name in metrics else share
        if self._names is None:
            held = [(list(losses), list(metrics))]
            dist.broadcast_object_list(held, group_src=self.size - 1, group=self.group, device=torch.device("cpu"))
            self._names = held[0]
        known, shown = self._names
        values = [losses.get(name, 0.0) for name in known] + [metrics.get(name, 0.0) for name in shown]
        flat = torch.stack([torch.as_tensor(value, dtype=torch.float64, device=first.device) for value in values])
        dist.all_reduce(flat, group=self.group)
        whole = flat.float().unbind()
        return Sums(
            dict(zip(known, whole[: len(known)], strict=True)), dict(zip(shown, whole[len(known) :], strict=True))
        )

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Inside, every process has all modules, with the values of their stages, and can be used as one of its own."""
        first = next(self.network.parameters())
        for path, owners in self._owners():
            source = min(owners)
            if path in self._taken:
                module = self._taken[path].to_empty(device=first.device)
                self.network.set_submodule(path, module.train(self.network.training))
            module = self.network.get_submodule(path)
            for tensor in [*module.parameters(), *module.buffers()]:
                dist.broadcast(_whole(tensor), group_src=source, group=self.group)
        for (module, name), (source, shape) in self._bare.items():
            if shape is not None:
                module._parameters[name] = nn.Parameter(torch.empty_like(shape, device=first.device))
            dist.broadcast(_whole(module._parameters[name]), group_src=source, group=self.group)
        self._here = True
        try:
            yield
        finally:
            self._here = False
            for (module, name), (_, shape) in self._bare.items():
                if shape is not None:
                    module._parameters[name] = None
            for path, module in self._taken.items():
                self.network.set_submodule(path, Absent())
                _emptied(module)


class _Chunk(nn.Module):
    """One stage: its layers, micro-batch after micro-batch."""

    def __init__(self, pipeline: Pipeline, passing: nn.Module, layers: range) -> None:
        super().__init__()
        self.pipeline, self.passing, self.layers = pipeline, passing, layers
        self.seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def begin(self, parts: list[Batch], counts: dict[str, Tensor]) -> None:
        """What the next step is of."""
        self.parts, self.counts, self.seen = iter(parts), counts, []  # schedules keep the order of micro-batches

    def forward(self, x: Tensor) -> Tensor:
        """From the stream before these layers to that behind them, or to the loss."""
        self.pipeline.embeds = not self.layers.start
        try:
            found, seen = self.passing(next(self.parts), self.counts, stage=(self.layers, x))
        finally:
            self.pipeline.embeds = False
        self.seen.append(seen)
        return found


def _shape(held: nn.Parameter) -> nn.Parameter:
    empty = torch.empty(held.shape, dtype=held.dtype, device="meta")
    return nn.Parameter(empty, requires_grad=held.requires_grad)


def _whole(tensor: Any) -> Tensor:
    found: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return found.detach().contiguous()


def _emptied(module: nn.Module) -> None:
    """Shapes are left."""
    for one in module.modules():
        for name, held in one._parameters.items():
            if held is not None:
                one._parameters[name] = _shape(held)
        for name, buffer in one._buffers.items():
            if buffer is not None:
                one._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device="meta")


def _as_it_is(loss: Tensor, _: Any) -> Tensor:
    return loss


def _filled(part: Batch | None, blank: Batch, size: int) -> Batch:
    """A micro-batch of ``size`` examples."""
    have = 0 if part is None else len(part["examples"])
    found = {}
    for name, value in blank.items():
        own = None if part is None else part[name]
        if value.dim() and len(value) == 1 and (own is None or (own.dim() and len(own) == have)):
            rows = value.expand(size - have, *value.shape[1:])
            found[name] = rows if own is None else torch.cat([own, rows])
        else:
            found[name] = value if own is None else own
    return found
