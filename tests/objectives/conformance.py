"""What every objective is held to, whatever it is: helpers of ``test_conformance``, over real shards and the real
loader. A family is one entry of ``conformance_families.FAMILIES``."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "inputs"))
from drawn_items import made_items
from texts_corpus import TextsCorpus, real_texts

from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.items.loader import ItemLoader
from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import Loader
from seedstock.inputs.logits import Stored, places
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BytesConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.models.keys import generator
from seedstock.objectives import teacher
from seedstock.objectives.base import Spec, assemble
from seedstock.progress import Silent
from seedstock.training import batches
from seedstock.training.gradients import accumulate

SEED, BATCH, CONTEXT = 1, 6, 48
EXAMPLES = 400  # of a run
_KEPT: list[TemporaryDirectory] = []  # until the tests end


@dataclass(frozen=True)
class Secret:
    """``array[row, place]`` of the prepared batch is to be guessed: ``hidden`` says from where it may not be seen.
    ``place`` is an index, or several into an array of pixels.

    ``hidden`` is boolean over the positions of the first pass through the backbone; where ``input`` is true, nothing
    that goes into the network may change with it.
    """

    array: str
    row: int
    place: int | tuple[int, ...]
    hidden: torch.Tensor
    input: bool = False
    of: int | None = None
    """The row of hidden states that may not change, where it is not the same."""


@dataclass(frozen=True)
class Family:
    """An objective with a small network, and what only it knows.

    ``secrets(objective, batch)`` names targets of a corrupted batch; ``statistics(objective, batch)`` gives (what,
    found, expected, tolerance) of many examples. ``frozen`` are beginnings of names in ``nets`` that no gradient may
    reach, ``idle`` of parameters that this objective does not use. ``by_heart`` is what the sum of the losses must
    come to on one batch, as a part of the first one's, after ``steps`` of AdamW, both above the ``least`` that it can
    be. ``batch`` is the number of that batch. ``padded`` is whether padding may be put behind every row.
    ``export(made, folder)`` returns (theirs, ours), logits of the same tokens, for a network that no class of
    transformers holds. ``parents`` are configurations of the networks that the objective learns from. ``unknown`` are
    losses of which nobody can say where they begin. ``guessed`` is whether anything is hidden (noise lies over all,
    and hides nothing). ``input`` is that of an objective over items (drawn pictures and the like, by ``made_items``),
    None over tokens; ``made`` gives tokenizer and shards of tokens that are no texts.
    """

    objective: Any
    model: Any
    secrets: Callable[[Any, dict[str, Any]], Iterable[Secret]]
    statistics: Callable[[Any, dict[str, Any]], Iterable[tuple[str, float, float, float]]] | None = None
    frozen: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    by_heart: float = 0.1
    least: Callable[[dict[str, Any]], float] = lambda batch: 0.0
    steps: int = 100
    batch: int = 0
    padded: bool = True
    export: Callable[[Made, Path], tuple[torch.Tensor, torch.Tensor]] | None = None
    parents: dict[str, Any] = field(default_factory=dict)
    input: Any = None
    guessed: bool = True
    unknown: tuple[str, ...] = ()
    made: Callable[[], tuple[Tokenizer, Shards]] | None = None


@cache
def real_shards(specials: tuple[str, ...], scores: tuple[str, ...] = ()) -> tuple[Tokenizer, Shards]:
    """Real texts by bytes, with the specials and the scores that an objective asks for."""
    _KEPT.append(TemporaryDirectory(prefix="conformance-"))
    folder = Path(_KEPT[-1].name)
    corpus, store = TextsCorpus(folder, real_texts()), Store(folder / "runs")
    config = BytesConfig(specials=specials, reserved=4)
    tokenizer = Tokenizer(train(config, corpus, seed=SEED, store=store, reporter=Silent()))
    return tokenizer, Shards(write(corpus, tokenizer, store=store, reporter=Silent(), scores=scores))


class Made:
    """A family's shards, objective and batches; ``nets()`` is fresh at each call."""

    def __init__(self, family: Family) -> None:
        self.family = family
        if family.made is not None:
            self.tokenizer, self.shards = family.made()
        elif family.input is None:
            self.tokenizer, self.shards = real_shards(family.objective.specials(), family.objective.scores())
        else:
            self.tokenizer, self.shards = made_items(family.input, family.objective.specials())
        self.model = family.model.resolved()
        size = self.tokenizer.vocab_size if self.tokenizer else 0
        self.spec = Spec(
            vocab_size=size,
            context=self.model.context,
            specials=self.tokenizer.specials if self.tokenizer else {},
            model=self.model,
            seed=SEED,
            models={name: one.build(size, 7).requires_grad_(False) for name, one in family.parents.items()},
            tokenizer=self.tokenizer,
            shards=self.shards,
            examples=EXAMPLES,
            fields={name: one.shape for name, one in getattr(self.shards, "fields", {}).items()},
            labels=tuple(getattr(self.shards, "labels", ())),
            batch=BATCH,
        )
        if getattr(family.objective, "stored", None):
            self.spec = replace(self.spec, logits=self._stored())
        self.objective = family.objective.measured(self.shards, lambda told: None).build(self.spec)

    def _stored(self) -> Stored:
        """What the family's parent says of the windows that the suite reads, written as a run would."""
        config, (name, parent) = self.family.objective, *self.spec.models.items()
        plan = DataPlan.of(self.shards, MixtureConfig(max_repeats=None), seed=SEED, length=CONTEXT, batch=BATCH)
        found, length = places(plan, 100)
        options = {"k": config.stored, "temperature": config.temperature}
        inputs = teacher.inputs_of(name, self.shards, found, length, **options)
        _KEPT.append(TemporaryDirectory(prefix="conformance-"))
        store = Store(Path(_KEPT[-1].name))
        return Stored(teacher.write(parent, self.shards, found, length, inputs=inputs, store=store, reporter=Silent()))

    def nets(self, lively: bool = False) -> torch.nn.ModuleDict:
        """New ones; ``lively`` ones have weights of a size at which every part of them matters."""
        network = self.model.build(self.spec.vocab_size, SEED)
        nets = assemble(network, copy.deepcopy(self.objective))
        if lively:
            with torch.no_grad():
                for name, parameter in nets.named_parameters():
                    if not name.startswith(self.family.frozen or ("-",)):
                        noise = torch.randn(parameter.shape, generator=generator("lively", name))
                        parameter.add_(noise * (0.1 if parameter.ndim == 1 else 0.3 / parameter.shape[-1] ** 0.5))
        return nets.train()

    def loader(self, batch: int = BATCH, rank: int = 0, world: int = 1, shorter: int = 0) -> Loader:
        """The real loader; ``shorter`` leaves room for padding."""
        o = self.objective
        if self.family.input is not None:
            plan = DataPlan.of(self.shards, MixtureConfig(max_repeats=None), seed=SEED, length=1, batch=batch)
            return ItemLoader(self.shards, plan, prepare=o.prepare, seed=SEED, rank=rank, world=world)
        window = o.window(self.spec.context - shorter)
        plan = DataPlan.of(self.shards, MixtureConfig(max_repeats=None), seed=SEED, length=window, batch=batch)
        options = {"raw_length": o.raw_length, "partners": o.partners, "seed": SEED, "rank": rank, "world": world}
        return Loader(self.shards, plan, prepare=o.prepare, **options)

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The batch that is learned by heart, and more: the first one, or another that tells more."""
        return self.loader().batch(self.family.batch)

    def corrupted(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Tensors, as the trainer would hand them to ``inputs``."""
        return self.objective.corrupt(batches.tensors(arrays, torch.device("cpu")), Keys(SEED, arrays["examples"]))

    def gradients(self, nets: Any, arrays: dict[str, Any], size: int | None = None, **options: Any) -> tuple[Any, dict]:
        """A step's losses, and its gradients by parameter (those that have any)."""
        nets.zero_grad(set_to_none=True)
        batch = batches.tensors(arrays, torch.device("cpu"))
        size = size or len(arrays["examples"])
        step = accumulate(nets, self.objective, batch, arrays["examples"], size=size, seed=SEED, **options)
        return step, {name: p.grad.clone() for name, p in nets.named_parameters() if p.grad is not None}

    @cached_property
    def learned(self) -> tuple[torch.nn.ModuleDict, list[dict[str, float]]]:
        """Nets that learned the first batch by heart, in at most ``steps``, and the losses on the way."""
        nets, course = self.nets(), []
        trained = [p for p in nets.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=0.005, betas=(0.9, 0.95), weight_decay=0.0)
        for number in range(self.family.steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.005 * min(1.0, (number + 1) / 10, 2 - 2 * number / self.family.steps)
            step, _ = self.gradients(nets, self.arrays)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            if hasattr(nets["network"], "after_step"):
                nets["network"].after_step(lambda found: found)
            self.objective.after_step(nets, BATCH * (number + 1))
            course.append({name: float(value) for name, value in step.losses.items()})
            if self.left(course) < 0.7 * self.family.by_heart:
                break
        return nets, course

    def left(self, course: list[dict[str, float]]) -> float:
        """What part of the first loss of a course the last one is, both above the least that it can be."""
        least = self.family.least(self.arrays)
        return (sum(course[-1].values()) - least) / (sum(course[0].values()) - least)


@dataclass
class Windows:
    """One batch as ``evaluation.objective_loss`` reads held-out windows."""

    arrays: dict[str, Any]
    seed: int = SEED

    @property
    def numbers(self) -> np.ndarray:
        return self.arrays["examples"]

    def batches(self, size: int) -> Iterator[dict[str, Any]]:
        yield self.arrays


def outputs(objective: Any, nets: Any, batch: dict[str, Any]) -> tuple[list[dict[str, Any]], list[torch.Tensor]]:
    """What goes into the backbone, and the hidden states that come out, for every pass."""
    given = objective.inputs(nets, batch)
    passes = given if isinstance(given, list) else [given]
    return passes, [nets["network"].backbone(**one).hidden for one in passes]


def altered(array: np.ndarray, place: Any, vocab_size: int, specials: set[int]) -> np.ndarray:
    """The array with another token in a place, or with other pixels."""
    changed = array.copy()
    if array.dtype == np.uint8:
        changed[place] = 255 - changed[place]
        return changed
    if array.dtype == np.int16:  # samples of a sound
        changed[place] ^= 0x2000
        return changed
    if array.dtype.kind == "f":
        changed[place] += 1.5
        return changed
    old = int(changed[place])
    vocab_size = vocab_size or 2  # actions
    free = (token % vocab_size for token in range(old + 1, old + vocab_size))
    changed[place] = next(token for token in free if token not in specials)
    return changed


def padded(arrays: dict[str, Any], count: int, pad: int) -> dict[str, Any]:
    """``count`` columns of padding behind every array of symbols."""
    found = {}
    for name, array in arrays.items():
        if name == "digests" or array.ndim != 2:
            found[name] = array
            continue
        value = -1 if name.endswith("documents") else pad if name.endswith("tokens") else 0
        found[name] = np.pad(array, ((0, 0), (0, count)), constant_values=value)
    return found
