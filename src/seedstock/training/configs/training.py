"""What a recipe says about training. Free of torch."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock import kinds
from seedstock.config import Config, Count, Seconds
from seedstock.errors import RecipeError
from seedstock.training.configs.batches import Batches, BatchWarmupConfig, examples_before
from seedstock.training.configs.guard import GuardConfig
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.configs.schedule import DecayScheduleConfig, ScheduleConfig

Positive = Annotated[Count, Field(ge=1)]


class TrainingConfig(Config):
    """How long, with which optimizer, at which precision, and what is kept.

    The horizon is ``steps``, ``tokens`` (turned into steps) or ``time`` (measured once, then frozen as steps); without
    any, the size dial's.
    ``batch_tokens`` is rounded to whole examples, ``batch_examples`` of them a step, fewer during a ``batch_warmup``.
    ``micro_batch`` is how many
    examples go through the network at once. ``precision``, ``micro_batch``, ``threads`` and ``compile`` are
    measured where they are not given, and the run's record and resolved recipe hold what was chosen. ``groups`` are
    optimizers of their own for parameters whose names fit a pattern, the first that fits (``{"*.router.weight": {kind:
    adamw, learning_rate: 1e-4}}``); ``schedule`` is of all rates, ``decay_schedule`` of weight decays. ``clip``
    bounds the gradient's norm (0: no bound), and ``guard`` says what is done about steps that are not finite
    (``stop``: end the run, with nothing of it saved). ``ema`` is the decay of an average of the weights. The
    ``keep`` newest checkpoints stay, those at multiples of ``keep_every``, and the one before a WSD schedule's
    fall. With ``start`` the run goes on from another run's weights, with an optimizer and a schedule of its own: at
    a longer context, on other data, or with experts where the other has MLPs (models.upcycle). ``processes`` is how
    many train together on this machine, by default one for each GPU, and ``parallel`` how the work is divided among
    them; ``recompute`` says what of a block's activations is dropped and worked out again for its gradients (``full``:
    all but its input, ``selective``: all but the outputs of matrix products), for less memory and the same numbers;
    ``background`` writes checkpoints beside training, and ``profile`` a profile of a few steps. These may change from
    one attempt to the next.
    """

    how: ClassVar[tuple[str, ...]] = ("processes", "parallel", "recompute", "background", "store", "profile")

    start: Annotated[str, Field(pattern=r"^run:[^@]+(@[0-9]+)?$")] | None = Field(
        default=None, description="run:NAME or run:NAME@step, whose weights are the initial ones"
    )
    steps: Positive | None = None
    tokens: Positive | None = None
    time: Annotated[Seconds, Field(gt=0)] | None = None
    checkpoint_every: Positive = 1000
    batch_tokens: Positive = 32_768
    batch_examples: Positive | None = None
    batch_warmup: BatchWarmupConfig | None = None
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
    def _known_precision(self) -> TrainingConfig:
        for pattern, one in self.groups.items():
            if getattr(one, "precision", None) == "auto":
                raise ValueError(
                    f"what is measured is the precision of training.optimizer; give groups {pattern!r} a precision, "
                    "fp32 or bf16"
                )
        return self

    def resolved(self, context: int) -> TrainingConfig:
        """With ``batch_examples`` and, from ``tokens``, ``steps`` worked out for examples of ``context`` tokens."""
        batch = self.batch_examples or max(1, round(self.batch_tokens / context))
        found: dict[str, Any] = {"batch_examples": batch}
        if self.tokens is not None:
            steps = max(1, round(self.tokens / (batch * context)))
            if self.batch_warmup:
                given = self.model_copy(update=found)
                least = range(steps, steps * batch + 1)
                steps = least[bisect_left(least, self.tokens / context, hi=len(least) - 1, key=given.examples)]
            found |= {"steps": steps, "tokens": None}
        return self.model_copy(update=found)

    def batches(self, steps: int | None = None) -> Batches:
        """The (first step, examples a step) of a resolved configuration, by step; of ``steps`` by default its own.

        Raises RecipeError where the batch grows over a part of a run whose length is not known.
        """
        steps, full = steps or self.steps, self.batch_examples or 1
        if not self.batch_warmup:
            return ((0, full),)
        if steps is None:
            raise RecipeError(
                "the batch grows over a part of the run, and the run's length is not known",
                where="training.batch_warmup",
                fix="set training.steps or training.tokens",
            )
        return self.batch_warmup.batches(full, steps)

    def examples(self, steps: int) -> int:
        """How many examples a run of ``steps`` steps has."""
        return examples_before(self.batches(steps), steps)

    @property
    def smallest_batch(self) -> int | None:
        """The fewest examples of a step, where the batch is known."""
        known = self.batch_examples is not None and (self.steps or not self.batch_warmup)
        return min(size for _, size in self.batches()) if known else self.batch_examples

    @property
    def measured(self) -> bool:
        """Whether nothing is left to measure."""
        chosen = self.precision != "auto" and self.compile != "auto"
        return chosen and None not in (self.threads, self.micro_batch, self.steps)
