"""How a run is spread over processes, as recipes write it. Free of torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Config
from seedstock.errors import RecipeError

Degree = Annotated[int, Field(ge=1)]

PRODUCTS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            ("data",),
            ("shard",),
            ("data", "shard"),
            ("tensor",),
            ("data", "tensor"),
            ("shard", "tensor"),
            ("data", "shard", "tensor"),
            ("context",),
            ("data", "context"),
            ("shard", "context"),
            ("data", "shard", "context"),
            ("context", "tensor"),
            ("shard", "expert"),
            ("data", "shard", "expert"),
            ("shard", "context", "expert"),
            ("pipeline",),
            ("pipeline", "data"),
            ("pipeline", "shard"),
            ("pipeline", "data", "shard"),
        ),
    )
)
"""The products of layouts that are proven (``docs/parallelism.md``): degrees above 1 that may stand together."""


@dataclass(frozen=True)
class Degrees:
    """How many parts each dimension of the mesh has, outermost first; ``expert`` is cut out of data and shard."""

    pipeline: int = 1
    data: int = 1
    shard: int = 1
    context: int = 1
    tensor: int = 1
    expert: int = 1

    @property
    def ranks(self) -> int:
        """Processes in all."""
        return self.pipeline * self.batch * self.context * self.tensor

    @property
    def batch(self) -> int:
        """Processes that a batch is divided among."""
        return self.data * self.shard

    @property
    def several(self) -> frozenset[str]:
        """The names of what has more than one part."""
        return frozenset(name for name, degree in asdict(self).items() if degree > 1)

    def __str__(self) -> str:
        found = [f"{name} {degree}" for name, degree in asdict(self).items() if degree > 1]
        return " × ".join(found) or "one process"


class ParallelConfig(Config):
    """The layout over processes, one a device. What is left open is 1; of data and shard the one left open takes the
    rest, ``shard`` first.

    ``data``: copies of the model, each fed a part of the batch (DDP). ``shard``: the same with weights, gradients and
    optimizer state cut up among the processes (FSDP2; with ``data`` HSDP). ``tensor``: matrices cut along heads and
    hidden units (Shoeybi et al. 2019), with ``sequence`` the stream between them cut along positions too (Korthikanti
    et al. 2022). ``context``: the positions of every sequence, whose keys and values attention gathers, or with
    ``ring`` passes from process to process (Liu et al. 2023). ``expert``: experts, among as many of the processes of
    ``shard``. ``pipeline``: layers, in stages that pass micro-batches on, as ``schedule`` says (GPipe: Huang et al.
    2018; 1F1B, interleaved: Narayanan et al. 2021; zero bubble: Qi et al. 2023).
    ``reshard`` drops gathered weights after the forward pass and
    gathers them again for the backward pass: less memory, half as much traffic again. ``timeout`` is how many seconds a
    process waits for the others before the lost one is named and the rest leave. The layout is no part of what a run
    is: a run can be resumed under another one.
    """

    data: Degree | None = None
    shard: Degree | None = None
    tensor: Degree = 1
    pipeline: Degree = 1
    context: Degree = 1
    expert: Degree = 1
    schedule: Literal["gpipe", "1f1b", "interleaved", "zero-bubble"] = "1f1b"
    sequence: bool = True
    ring: bool = False
    reshard: Literal["auto"] | bool = "auto"
    timeout: Annotated[float, Field(gt=0)] = 600.0

    def degrees(self, ranks: int) -> Degrees:
        """The degrees of every dimension over ``ranks`` processes. Raises RecipeError where they do not divide."""
        fixed = self.tensor * self.pipeline * self.context
        given = fixed * (self.data or 1) * (self.shard or 1)
        if ranks % given or (self.data and self.shard and ranks != given):
            raise RecipeError(
                f"{ranks} process{'es' * (ranks != 1)} cannot be laid out as {self.written()}, "
                f"which {'needs' if self.data and self.shard else 'needs a multiple of'} {given}",
                where="training.parallel",
                fix="change a degree, or training.processes",
            )
        rest = ranks // given
        data = self.data or (rest if self.shard else 1)
        shard = self.shard or (ranks // (fixed * data))
        return Degrees(self.pipeline, data, shard, self.context, self.tensor, self.expert)

    def written(self) -> str:
        """The degrees that were given."""
        names = ("data", "shard", "tensor", "pipeline", "context", "expert")
        given = [f"{name} {getattr(self, name)}" for name in names if getattr(self, name) not in (None, 1)]
        return " × ".join(given) or "one"


def check(
    config: ParallelConfig,
    ranks: int,
    *,
    model: Any = None,
    examples: int | None = None,
    by_position: bool = True,
    lengths: Collection[int] = (),
) -> Degrees:
    """The degrees, where this layout of this model is one that works.

    ``model`` is a model's configuration, every size known; ``examples`` are those of a step; ``by_position`` is what
    the objective says of its losses; ``lengths`` are those of examples that are shorter at times. Raises RecipeError
    with the first thing that does not fit.
    """
    degrees = config.degrees(ranks)
    where, several = "training.parallel", degrees.several
    if several and several not in PRODUCTS:
        known = ", ".join(" × ".join(sorted(product)) for product in PRODUCTS)
        what = f"{' × '.join(sorted(several))} is not a layout that is supported"
        raise RecipeError(what, where=where, fix=f"supported: {known}")
    if examples is not None and examples < degrees.batch:
        raise RecipeError(
            f"a batch of {examples} example{'s' * (examples != 1)} cannot be divided among {degrees.batch} processes",
            where="training.batch_examples",
            fix=f"give it at least {degrees.batch} examples, or take fewer processes (training.processes)",
        )
    shorter = [("context", "training.phases: a length", length) for length in lengths] if degrees.context > 1 else []
    for dimension, name, size in (*_cut(model, degrees), *shorter):
        if size % getattr(degrees, dimension):
            raise RecipeError(
                f"{name} is {size}, which {dimension} {getattr(degrees, dimension)} does not divide",
                where=f"training.parallel.{dimension}",
                fix="take another degree, or another size",
            )
    for dimension, what in _refused(config, model, degrees, by_position=by_position):
        raise RecipeError(
            f"{what} cannot be laid out over {dimension} {getattr(degrees, dimension)}",
            where=f"training.parallel.{dimension}",
            fix="use data, shard or tensor",
        )
    return degrees


def _cut(model: Any, degrees: Degrees) -> Iterator[tuple[str, str, int]]:
    """What each dimension cuts: its name, what that is called, and how much of it there is."""
    if degrees.tensor > 1:
        for name, size in _cut_by_tensor(model):
            yield "tensor", f"model.{name}", size
    if degrees.context > 1 and getattr(model, "context", None):
        yield "context", "model.context", model.context
    if degrees.expert > 1:
        yield "expert", "training.parallel.shard", degrees.shard
        yield "expert", "model.experts", getattr(model, "experts", None) or 0


STAGES = {"interleaved": 2}
"""How many stages each process has under a schedule; under the others one."""


def _refused(config: ParallelConfig, model: Any, degrees: Degrees, *, by_position: bool) -> Iterator[tuple[str, str]]:
    """What a dimension cannot lay out, by its name."""
    for dimension in sorted(degrees.several & {"pipeline", "context"}):
        if getattr(model, "cross", False):
            yield dimension, "a model that reads another sequence (encoder-decoder)"
        if model is not None and getattr(model, "kind", "decoder") not in ("decoder", "encoder"):
            yield dimension, f"a model of kind {model.kind}"
        if getattr(model, "position", None) == "relative":
            yield dimension, "a model with relative positions"
        if not by_position:
            yield dimension, "an objective with heads of its own, or whose losses are not sums over positions alone,"
    if degrees.pipeline > 1:
        stages, layers = degrees.pipeline * STAGES.get(config.schedule, 1), getattr(model, "depth", None)
        if config.schedule == "zero-bubble" and degrees.batch > 1:
            yield "pipeline", "sharded or copied weights under the zero-bubble schedule"
        if layers is not None and layers < stages:
            yield "pipeline", f"a model of {layers} layer{'s' * (layers != 1)}, fewer than the {stages} stages,"
    if degrees.expert > 1 and not getattr(model, "experts", None):
        yield "expert", "a model without experts"
    if degrees.context > 1 and getattr(model, "convolution", False):
        yield "context", "a model with convolutions over positions"


def _cut_by_tensor(model: Any) -> list[tuple[str, int]]:
    """The sizes of a model that tensor parallelism cuts."""
    if model is None:
        return []
    if getattr(model, "towers", ()):  # networks side by side, each with sizes of its own
        return [(f"{name}.{of}", size) for name in model.towers for of, size in _cut_by_tensor(getattr(model, name))]
    names = ["heads", "kv_heads"]
    if getattr(model, "experts", None):
        names += ["expert_width", "shared_expert"]
    if not getattr(model, "experts", None) or getattr(model, "cross", False):
        names.append("mlp_width")
    found = ((name, getattr(model, name, None)) for name in names)
    return [(name, size) for name, size in found if size]
