"""What a recipe will take, before anything is spent: parameters, FLOPs, memory, time, energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from seedstock.errors import RecipeError
from seedstock.planning import flops, parameters
from seedstock.planning.energy import Energy, estimate
from seedstock.planning.hardware import CPU_WATTS, Hardware, processors, this_machine
from seedstock.planning.layout import Layout, recommend, under, what_would_fit
from seedstock.planning.memory import ROOM, Use, memory, peak
from seedstock.planning.memory import largest as largest_micro_batch
from seedstock.planning.size import Derived, resolve

MOST = 4096
"""The largest micro-batch that is looked for."""


@dataclass(frozen=True)
class Plan:
    """Figures of a run. Times and energies are None where the horizon is a time or a speed is not known."""

    vocab_size: int
    parameters: dict[str, int]
    active: int
    steps: int | None
    batch_tokens: int
    tokens: float
    flops_a_token: float
    memory: dict[str, int]
    hardware: Hardware
    tokens_per_second: float
    measured: bool
    seconds: float
    energy: Energy
    derived: list[Derived]
    disk: float = 0
    """Bytes that the objective keeps beside checkpoints, at most."""
    peak_memory: int = 0
    """Bytes of one device at the fullest moment; ``memory`` by part, which are not all there at once."""
    micro_batch: int = 1
    largest_micro_batch: int | None = None
    """Examples at once that a device has room for under the layout; None where its memory is not known."""
    devices: int = 1
    layout: dict[str, int] | None = None
    """What ``training.parallel`` should say; None where no layout fits."""
    advice: str = ""
    """What would fit where nothing does."""
    dollars: float | None = None
    device_hours: float = 0.0
    course: tuple[tuple[int, int, int], ...] = ()
    """(first step, examples a step, tokens an example) where they change over the run."""
    predicted: dict[str, Any] | None = None
    """The held-out loss that a sweep's law foresees, with its interval."""

    @property
    def flops(self) -> float:
        """Of the whole run, as the model's work."""
        return self.flops_a_token * self.tokens

    def rows(self) -> list[tuple[str, str]]:
        """The table that people read: what, how much."""
        count = sum(self.parameters.values())
        speed = "measured" if self.measured else f"expected: {self.hardware.utilisation:.0%} of {self.hardware.name}"
        parts = ", ".join(f"{name} {quantity(size)}" for name, size in self.parameters.items() if size)
        places = ", ".join(f"{name} {quantity(size, 1024)}B" for name, size in self.memory.items() if size)
        some = f", {quantity(self.active)} of them for each token" if self.active < count else ""
        energy = self.energy
        steps = f"{self.steps:,} steps of {self.batch_tokens:,}" if self.steps else f"steps of {self.batch_tokens:,}"
        steps = steps.replace(" of ", " of up to ") if len({n * length for _, n, length in self.course}) > 1 else steps
        kept = [("disk", f"at most {quantity(self.disk, 1024)}B that the objective keeps")] if self.disk else []
        return [
            ("parameters", f"{count:,} ({parts}){some}"),
            ("tokens", f"{quantity(self.tokens)} ({steps}), {self.tokens / count:.3g} a parameter"),
            *([("changes", self._changes())] if self.course else []),
            ("FLOPs", f"{self.flops:.3g} ({self.flops_a_token:.3g} a token)"),
            ("memory", f"about {quantity(self.peak_memory, 1024)}B a device at its fullest ({places})"),
            ("fits", self._fits()),
            *kept,
            ("time", f"{duration(self.seconds)} at {quantity(self.tokens_per_second)} tokens/s ({speed})"),
            ("energy", f"{energy.watt_hours:.3g} Wh ({energy.low:.3g} to {energy.high:.3g}; {energy.method})"),
            ("CO2", f"{energy.co2_grams:.3g} g at {energy.grid_grams_a_kwh:g} g/kWh"),
            *(
                [("cost", f"{self.dollars:,.2f} dollars for {self.device_hours:.3g} device hours")]
                if self.dollars
                else []
            ),
            *([("loss", _foreseen(self.predicted))] if self.predicted else []),
        ]

    def _changes(self) -> str:
        """Where batch or length change."""
        return "; ".join(f"from step {start:,} {n:,} examples of {length:,}" for start, n, length in self.course)

    def _cost(self) -> str:
        return (
            f"{self.dollars:,.2f} dollars for {self.device_hours:.3g} device hours (give --price where yours differs)"
        )

    def _fits(self) -> str:
        if self.layout is None:
            return f"no: {self.advice}"
        layout = " × ".join(f"{name} {degree}" for name, degree in self.layout.items()) or "one device"
        if self.largest_micro_batch is None:
            return "not known: this machine does not say how much memory it has"
        name = self.hardware.name
        most = f"up to {self.largest_micro_batch:,} examples at once on {name}, planned with {self.micro_batch:,}"
        return f"{most}; layout: {layout}" if self.devices > 1 else most

    def table(self) -> str:
        """The rows as text, and below them every value that the recipe left open, with its reason."""
        lines = [f"{what:<12}{how_much}" for what, how_much in self.rows()]
        return "\n".join([*lines, *(["", "derived:"] if self.derived else []), *(f"  {item}" for item in self.derived)])

    def record(self) -> dict[str, Any]:
        """Every figure, for ``--json`` and the record."""
        return asdict(self) | {"flops": self.flops}


def plan(
    recipe: Any,
    vocab_size: int | None = None,
    *,
    hardware: Hardware | None = None,
    devices: int = 1,
    tokens_per_second: float | None = None,
    dollars_an_hour: float | None = None,
) -> Plan:
    """Plans a recipe. ``hardware`` is this machine, measured now, where it is not given; ``dollars_an_hour`` is the
    price of one device.

    ``vocab_size`` is the tokenizer's where it is known already; ``tokens_per_second`` a measured speed. Raises
    RecipeError as ``size.resolve`` does, and below one device.
    """
    if devices < 1:
        raise RecipeError(f"{devices} devices train nothing", where="devices", fix="give 1 or more")
    coded = getattr(getattr(recipe, "input", None), "coded", None)
    more = len(coded.specials()) if coded is not None else 0
    vocab_size = vocab_size or (vocabulary(recipe.tokenizer, more) if recipe.input.tokenized else 0)
    hardware = hardware or this_machine()
    first, *_ = resolve(recipe.model, recipe.training, vocab_size)
    shape = parameters.Shape.of(first)
    rate = hardware.flops * hardware.utilisation * devices
    speed = tokens_per_second or rate / flops.training(shape, vocab_size)
    _, training, derived = resolve(recipe.model, recipe.training, vocab_size, tokens_per_second=speed)
    training = training.resolved(shape.context)
    course = training.course(shape.context)
    a_token = _work(shape, vocab_size, training, course)
    speed = tokens_per_second or rate / a_token
    examples = training.batch_examples
    batch = examples * shape.context
    tokens = training.reads(shape.context) if training.steps else training.time * speed
    seconds = training.time or tokens / speed
    objective = getattr(recipe, "objective", None)
    if hardware.local:
        low, middle, high = (one * processors() for one in CPU_WATTS)
    else:
        low, middle, high = (share * hardware.watts * devices for share in (0.5, 0.8, 1.2))
    use = Use(
        micro_batch=training.micro_batch or examples,
        optimizer=training.optimizer.kind,
        precision="fp32" if training.precision == "fp32" else "bf16",
        ema=training.ema is not None,
        device=hardware.kind,
        recompute=getattr(training, "recompute", "none"),
    )
    own = _own(getattr(training, "parallel", None), devices)
    laid = _laid(shape, vocab_size, use, hardware, devices, examples, training.micro_batch, own)
    hours = devices * seconds / 3600
    price = hardware.dollars if dollars_an_hour is None else dollars_an_hour
    return Plan(
        vocab_size=vocab_size,
        parameters=parameters.parameters(shape, vocab_size),
        active=sum(parameters.active(shape, vocab_size).values()),
        steps=training.steps or max(1, round(tokens / batch)),
        batch_tokens=batch,
        tokens=float(tokens),
        flops_a_token=a_token,
        hardware=hardware,
        tokens_per_second=speed,
        measured=tokens_per_second is not None,
        seconds=seconds,
        energy=estimate(seconds, (low, middle, high)),
        derived=derived,
        disk=objective.disk(tokens, vocab_size) if objective else 0,
        devices=devices,
        dollars=None if price is None else price * hours,
        device_hours=hours,
        course=course if len(course) > 1 else (),
        **laid,
    )


def _work(shape: parameters.Shape, vocab_size: int, training: Any, course: Sequence[tuple[int, int, int]]) -> float:
    """FLOPs a token, on the mean over the run: the lengths of its phases have their own."""
    if len({length for *_, length in course}) == 1:
        return flops.training(shape, vocab_size, course[0][2])
    ends = [start for start, *_ in course[1:]] + [training.steps]
    tokens = [n * length * (end - start) for (start, n, length), end in zip(course, ends, strict=True)]
    each = [flops.training(shape, vocab_size, length) for *_, length in course]
    return sum(a * b for a, b in zip(each, tokens, strict=True)) / sum(tokens)


def _laid(
    shape: parameters.Shape,
    vocab_size: int,
    use: Use,
    hardware: Hardware,
    devices: int,
    examples: int,
    micro_batch: int | None,
    own: tuple[int, int, int] | None,
) -> dict[str, Any]:
    """What a plan says of memory: parts, peak, the largest micro-batch, and the layout that fits: the recipe's ``own``
    (data, shard, tensor) where it has one."""
    room = hardware.memory
    layout: Layout | None = None
    if room:
        best = recommend(shape, vocab_size, use, devices=devices, memory_bytes=room, examples=examples)
        layout = under(shape, vocab_size, use, *own, memory_bytes=room, examples=examples) if own else best
    shares = layout or Layout(devices, 1, 1, use, 0)
    share = -(-examples // (shares.data * shares.shard))
    chosen = shares.use if layout else replace(use, micro_batch=1 if room else share, passes=share if room else 1)
    if micro_batch:
        size = min(micro_batch, share)
        chosen = replace(chosen, micro_batch=size, passes=-(-share // size))
    parts = memory(shape, vocab_size, chosen)
    found: dict[str, Any] = {"memory": parts, "peak_memory": peak(parts, chosen), "micro_batch": chosen.micro_batch}
    if not room:
        return found | {"layout": {}}
    if layout is None or found["peak_memory"] > room:
        told = what_would_fit(shape, vocab_size, use, memory_bytes=room, examples=examples)
        if layout is None and own and best is not None:
            told = f"not as training.parallel says; {best} would do"
        elif layout is not None:
            told = f"{micro_batch} examples at once are too many; {layout.use.micro_batch} fit"
        return found | {"layout": None, "advice": told}
    most = largest_micro_batch(shape, vocab_size, replace(chosen, passes=1), ROOM * room, MOST)
    return found | {"layout": layout.written(), "largest_micro_batch": most}


def _own(parallel: Any, devices: int) -> tuple[int, int, int] | None:
    """The degrees of a recipe's layout (data, shard, tensor); None where it has none, or for so many devices."""
    if parallel is None or parallel == type(parallel)() or devices == 1:
        return None
    try:
        degrees = parallel.degrees(devices)
    except RecipeError:
        return None
    return (degrees.data, degrees.shard, degrees.tensor) if degrees.pipeline * degrees.context == 1 else None


def _foreseen(predicted: dict[str, Any]) -> str:
    low, high = predicted["interval"]
    name = predicted["name"]
    far = f", {predicted['times_the_largest']:.3g} times the compute of its largest run"
    told = f"{predicted['loss']:.4f} {name} ({low:.4f} to {high:.4f}), by the law of {predicted['sweep']}{far}"
    passes = predicted["tokens"] / predicted["unique"] if predicted["unique"] else 1.0
    told += f"; {passes:.3g} passes over the data are counted" if passes > 1 else ""
    if unknown := predicted.get("unknown"):
        told += f". The sweep hardly determines {' and '.join(unknown)}: do not rely on it"
    return told if predicted["converged"] else f"{told}. Its fit did not converge: do not rely on it"


def vocabulary(tokenizer: Any, more: int = 0) -> int:
    """The vocabulary that a tokenizer's configuration will give, a multiple of 64; bytes and characters roughly, with
    so many ``more`` special tokens."""
    if tokenizer.kind == "imported":
        from seedstock.inputs.tokenizers import importing

        return importing.size(tokenizer)
    wanted = getattr(tokenizer, "vocab_size", None) or {"bytes": 320}.get(tokenizer.kind, 192) + more
    return -(-wanted // 64) * 64


def quantity(value: float, base: int = 1000) -> str:
    """``4.01M`` (or ``3.8Gi`` with base 1024): three significant digits."""
    names = ["", "k", "M", "G", "T", "P"] if base == 1000 else ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    power = 0
    while abs(value) >= base and power < len(names) - 1:
        value, power = value / base, power + 1
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{names[power]}" if power else f"{value:.3g}"


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``5 h 10 min``, ``12 days 3 h``."""
    units = [("day", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    for place, (name, size) in enumerate(units):
        if seconds >= size or name == "s":
            whole = int(seconds // size)
            plural = "s" if name == "day" and whole != 1 else ""
            rest = ""
            if name != "s" and (more := int(seconds % size // units[place + 1][1])):
                rest = f" {more} {units[place + 1][0]}"
            return f"{whole} {name}{plural}{rest}"
    return ""
