"""What a recipe says about training. Free of torch."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock import kinds
from seedstock.config import Config, Count, Seconds
from seedstock.errors import RecipeError
from seedstock.training.configs.batches import (
    Batches,
    BatchWarmupConfig,
    Course,
    Phase,
    course,
    examples_before,
    starts,
)
from seedstock.training.configs.float8 import Float8Config
from seedstock.training.configs.guard import GuardConfig
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.configs.schedule import DecayScheduleConfig, ScheduleConfig

Positive = Annotated[Count, Field(ge=1)]
FromRun = Annotated[str, Field(pattern=r"^run:[^@]+(@[0-9]+)?$")]


class TrainingConfig(Config):
    """How long, with which optimizer, at which precision, and what is kept.

    The horizon is ``steps``, ``tokens`` (turned into steps) or ``time`` (measured once, then frozen as steps); without
    any, the size dial's.
    ``batch_tokens`` is rounded to whole examples, ``batch_examples`` of them a step, fewer during a ``batch_warmup``.
    ``phases`` list other lengths of an example and other batches, the first ``from: 0 %``: of examples shorter than
    ``model.context`` there are as many more a step, so that tokens stay level. ``micro_batch`` is how many examples of
    the whole context go through the network at once, as many more of shorter ones. ``precision``, ``micro_batch``,
    ``threads`` and ``compile`` are measured where they are not given, and the run's record and resolved recipe hold
    what was chosen; ``float8`` has hidden matrices multiplied in it, beside bf16. ``groups`` are optimizers of their
    own for parameters whose names fit a pattern, the first that fits (``{"*.router.weight": {kind:
    adamw, learning_rate: 1e-4}}``); ``schedule`` is of all rates, ``decay_schedule`` of weight decays. ``clip``
    bounds the gradient's norm (0: no bound), and ``guard`` says what is done about steps that are not finite
    (``stop``: end the run, with nothing of it saved). ``ema`` is the decay of an average of the weights. The
    ``keep`` newest checkpoints stay, those at multiples of ``keep_every``, and the one before a WSD schedule's
    fall. With ``start`` the run goes on from another run's weights, with an optimizer and a schedule of its own: at
    a longer context, on other data, or with experts where the other has MLPs (models.upcycle); a network of several
    parts may take some of them from runs of their own (``{picture: run:NAME}``). What patterns of names in ``locked``
    fit (``[network.picture.*]``) learns nothing: neither gradient nor decay moves it. ``processes`` is how
    many train together on this machine, by default one for each GPU, and ``parallel`` how the work is divided among
    them; ``recompute`` says what of a block's activations is dropped and worked out again for its gradients (``full``:
    all but its input, ``selective``: all but the outputs of matrix products), for less memory and the same numbers;
    ``background`` writes checkpoints beside training, and ``profile`` a profile of a few steps. These may change from
    one attempt to the next.
    """

    how: ClassVar[tuple[str, ...]] = ("processes", "parallel", "recompute", "background", "store", "profile")

    start: FromRun | Annotated[dict[str, FromRun], Field(min_length=1)] | None = Field(
        default=None, description="run:NAME or run:NAME@step, whose weights are the initial ones; or one for each part"
    )
    locked: tuple[str, ...] = Field(default=(), description="patterns of names of parameters that learn nothing")
    steps: Positive | None = None
    tokens: Positive | None = None
    time: Annotated[Seconds, Field(gt=0)] | None = None
    checkpoint_every: Positive = 1000
    batch_tokens: Positive = 32_768
    batch_examples: Positive | None = None
    batch_warmup: BatchWarmupConfig | None = None
    phases: Annotated[tuple[Phase, ...], Field(max_length=64)] = ()
    micro_batch: Positive | None = None
    optimizer: kinds.field("optimizers", "muon") = Field(  # type: ignore[valid-type]
        default_factory=lambda: {"kind": "muon"}, validate_default=True
    )
    groups: dict[str, kinds.field("optimizers", "muon")] = Field(default={})  # type: ignore[valid-type]
    schedule: ScheduleConfig = ScheduleConfig()
    decay_schedule: DecayScheduleConfig = DecayScheduleConfig()
    clip: Annotated[float, Field(ge=0)] = 1.0
    guard: Literal["stop"] | GuardConfig = GuardConfig()
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    float8: Float8Config | None = None
    compile: Literal["auto"] | bool = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    deterministic: bool = True
    validate_every: Positive | None = None
    sample_every: Positive | None = None
    keep: Annotated[int, Field(ge=1)] = 3
    keep_every: Positive | None = None
    processes: Positive | None = None
    parallel: ParallelConfig = ParallelConfig()
    recompute: Literal["none", "selective", "full"] = "none"
    background: bool = True
    store: str | None = Field(
        default=None, description="a folder of a store, as s3://bucket/run, for copies of checkpoints"
    )
    profile: bool = False
    callbacks: list[kinds.field("callbacks")] = []  # type: ignore[valid-type]  # noqa: RUF012 - pydantic copies it

    @model_validator(mode="after")
    def _one_horizon(self) -> TrainingConfig:
        given = [name for name in ("steps", "tokens", "time") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"a run's length is one of steps, tokens and time, not {' and '.join(given)}")
        return self

    @model_validator(mode="after")
    def _float8_beside_bf16(self) -> TrainingConfig:
        if self.float8 and self.precision == "fp32":
            raise ValueError(
                "what is multiplied in float8 is bf16 elsewhere; leave training.precision out, or say bf16"
            )
        return self

    @model_validator(mode="after")
    def _known_precision(self) -> TrainingConfig:
        for pattern, one in self.groups.items():
            if getattr(one, "precision", None) == "auto":
                raise ValueError(
                    f"what is measured is the precision of training.optimizer; give groups {pattern!r} a precision, "
                    "fp32 or bf16"
                )
        return self

    @model_validator(mode="after")
    def _phases_in_order(self) -> TrainingConfig:
        found = [phase.start for phase in self.phases]
        if found and (found[0] != 0 or found != sorted(set(found))):
            raise ValueError("training.phases begin at 0 % and follow each other")
        return self

    def resolved(self, context: int) -> TrainingConfig:
        """With ``batch_examples``, all of ``phases`` and, from ``tokens``, ``steps`` worked out for examples of
        ``context`` tokens."""
        batch = self.batch_examples or max(1, round(self.batch_tokens / context))
        phases = tuple(phase.filled(context, batch * context) for phase in self.phases)
        found: dict[str, Any] = {"batch_examples": batch, "phases": phases}
        if self.tokens is not None:
            given, sizes = self.model_copy(update=found), {phase.batch_tokens or 0 for phase in phases}
            most = max(sizes, default=batch * context)
            steps = max(1, round(self.tokens / most))
            if self.batch_warmup or len(sizes) > 1:
                least = range(max(1, len(phases), int(self.tokens / most)), len(phases) + self.tokens + 1)
                steps = least[bisect_left(least, self.tokens, hi=len(least) - 1, key=partial(given.reads, context))]
            found |= {"steps": steps, "tokens": None}
        made = self.model_copy(update=found)
        if made.steps and len(set(starts(phases, made.steps))) < len(phases):
            raise RecipeError(
                f"{len(phases)} phases in {made.steps} steps: two begin with the same one",
                where="training.phases",
                fix="train longer, or list fewer phases",
            )
        return made

    def course(self, context: int, steps: int | None = None) -> Course:
        """The (first step, examples a step, tokens an example) of a resolved configuration, by step; of ``steps`` by
        default its own. The data plan has a change of length wait for a moment (``inputs.plan``).

        Raises RecipeError where something changes over a part of a run whose length is not known.
        """
        steps, full = steps or self.steps, self.batch_examples or 1
        if not self.batch_warmup and not self.phases:
            return ((0, full, context),)
        if steps is None:
            key, what = ("phases", "what it reads") if self.phases else ("batch_warmup", "the batch")
            raise RecipeError(
                f"{what} changes over the run, and the run's length is not known",
                where=f"training.{key}",
                fix="set training.steps or training.tokens",
            )
        begun = zip(starts(self.phases, steps), self.phases, strict=True)
        phases = [(start, one.examples(), one.length or context) for start, one in begun]
        return course(steps, phases or [(0, full, context)], self.batch_warmup)

    def batches(self, steps: int | None = None) -> Batches:
        """The (first step, examples a step) of the same course."""
        return tuple((start, examples) for start, examples, _ in self.course(1, steps))

    def examples(self, steps: int) -> int:
        """How many examples a run of ``steps`` steps has."""
        return examples_before(self.batches(steps), steps)

    def reads(self, context: int, steps: int | None = None) -> int:
        """How many tokens a resolved run of ``steps`` steps reads, by default of its own."""
        steps, found = steps or self.steps or 0, self.course(context, steps)
        ends = [start for start, *_ in found[1:]] + [steps]
        return sum(n * length * (end - start) for (start, n, length), end in zip(found, ends, strict=True))

    @property
    def begun(self) -> dict[str, str]:
        """The runs whose weights are the initial ones, by the part of the network; all of it has the name ``""``."""
        return {"": self.start} if isinstance(self.start, str) else dict(self.start or {})

    @property
    def smallest_batch(self) -> int | None:
        """The fewest examples of a step, where the batch is known."""
        known = self.batch_examples is not None and (self.steps or not (self.batch_warmup or self.phases))
        return min(size for _, size in self.batches()) if known else self.batch_examples

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of an example in each of its ``phases``, of a resolved configuration."""
        return tuple(phase.length for phase in self.phases if phase.length)

    @property
    def measured(self) -> bool:
        """Whether nothing is left to measure."""
        chosen = self.precision != "auto" and self.compile != "auto"
        return chosen and None not in (self.threads, self.micro_batch, self.steps)
