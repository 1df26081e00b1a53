"""Training from scratch beside continuing a model that is there, by a scaling law.

Tokens that a base has read are worth some share w of as many tokens of one's own. Of them the base brings along w D_b:
the effective data transferred of Hernandez et al. 2021 (arXiv 2102.01293), who measure it as the further data of its
own with which a model from scratch would reach the same loss. With a law L(N, D) of one's own data,

    scratch:     L(N, D)          with D = C / c tokens of C FLOPs, c FLOPs a token
    continuing:  L(N_b, D + w D_b)  with D = C / c_b

so w = 1 is a base of the same data (one longer run), w = 0 one whose weights are worth no more than fresh ones. They
find w D_b to grow as D^0.18 N^0.38 for Python after text, so that w is no constant of two corpora; below 0 it may be,
where a base is in the way (what they call ossification), and no law here knows that. What does not depend on w:
from which w on continuing is ahead, and that a small base is overtaken, since its loss stays above E + A / N_b^alpha.
The restart of the learning rate, another tokenizer and what is forgotten are not in it. Free of torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seedstock.planning.scaling import Law

PUBLISHED = {"A": 482.0, "B": 2085.0, "E": 1.8169, "alpha": 0.348, "beta": 0.366}
"""Chinchilla's runs as Besiroglu et al. 2024 (arXiv 2404.10102) fit them: nats a token of the text of those runs."""
BUDGETS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""What is compared, in budgets of the recipe."""
FARTHEST = 1e6
"""Times the recipe's budget, either way, as far as one overtakes the other."""
SIZES = 17
"""Sizes among which the best one from scratch is looked for, over four powers of ten, and twice more about the best."""


@dataclass(frozen=True)
class Base:
    """A model that can be continued: ``parameters``, the ``tokens`` that it has read, FLOPs a token of a step."""

    name: str
    parameters: int
    tokens: float
    flops_a_token: float
    same: bool = False
    """Whether it learned from the documents that it would be continued on, which then come again."""
    record: dict[str, Any] | None = None
    """The run and step that it is, where it is one."""


@dataclass(frozen=True)
class Question:
    """One comparison: the law, what is planned from scratch, and the base. ``unique`` tokens are there to learn from
    (None: as many as it takes)."""

    law: Law
    parameters: float
    flops_a_token: float
    base: Base
    unique: float | None = None

    def scratch(self, flops: float) -> float:
        """The loss of the recipe's own model for so many FLOPs."""
        return self.law.loss(self.parameters, flops / self.flops_a_token, self.unique)

    def best(self, flops: float) -> tuple[float, float]:
        """The size from scratch with the least loss for so many FLOPs, at as many a parameter as the recipe's own model
        takes, and that loss."""
        each, size, span = self.flops_a_token / self.parameters, self.law.optimal(flops)[0], 4.0
        for _ in range(3):
            sizes = [size * 10 ** (span * (n / (SIZES - 1) - 0.5)) for n in range(SIZES)]
            loss, size = min((self.law.loss(one, flops / (each * one), self.unique), one) for one in sizes)
            span *= 2 / (SIZES - 1)
        return size, loss

    def continued(self, flops: float, worth: float) -> float:
        """The loss of the base after so many FLOPs more."""
        return self.law.loss(self.base.parameters, *self.reads(flops, worth))

    def reads(self, flops: float, worth: float) -> tuple[float, float | None, float]:
        """Tokens, unique ones, and tokens of the base besides, as ``Law.loss`` takes them."""
        more = flops / self.base.flops_a_token
        if self.base.same:
            return more + worth * self.base.tokens, self.unique, 0.0
        return more, self.unique, worth * self.base.tokens

    def needed(self, flops: float) -> float | None:
        """The worth of the base's tokens from which on continuing is ahead of the recipe; None where even 1 is not."""
        wanted = self.scratch(flops)
        return _crossing(lambda worth: self.continued(flops, worth) <= wanted, 0.0, 1.0)

    def reached(self, loss: float, most: float, worth: float) -> float | None:
        """FLOPs from which on the base is at a loss; None where it is not at ``most`` either."""
        return _crossing(lambda flops: self.continued(flops, worth) <= loss, 0.0, most)

    def overtaken(self, flops: float, worth: float) -> float | None:
        """FLOPs from which on a model from scratch, of the best size for them, is ahead of the base for good.

        None where that is beyond ``FARTHEST`` times ``flops``; 0 where it is ahead at ever fewer.
        """

        def ahead(power: float) -> bool:
            budget = flops * 10**power
            return self.best(budget)[1] < self.continued(budget, worth)

        far = math.log10(FARTHEST)
        powers = [-far + n * far / 24 for n in range(49)]
        behind = [power for power in powers if not ahead(power)]
        if not behind:
            return 0.0
        if behind[-1] == powers[-1]:
            return None
        found = _crossing(ahead, behind[-1], behind[-1] + far / 24)
        return None if found is None else float(flops * 10**found)

    def compare(self, tokens: float, worths: Sequence[float]) -> dict[str, Any]:
        """Everything at the recipe's budget of ``tokens`` from scratch, for each worth of the base's tokens."""
        flops = tokens * self.flops_a_token
        scratch = self.law.predict(self.parameters, tokens, self.unique)
        size, least = self.best(flops)
        found = []
        for worth in worths:
            said = self.law.predict(self.base.parameters, *self.reads(flops, worth))
            enough = self.reached(scratch["loss"], flops * FARTHEST, worth)
            known = {"worth": worth, "tokens": flops / self.base.flops_a_token, **said}
            found.append(known | {"reaches_scratch": enough, "overtaken": self.overtaken(flops, worth)})
        return {
            "flops": flops,
            "scratch": {"parameters": self.parameters, "tokens": tokens, **scratch},
            "best": {"parameters": size, "loss": least},
            "continued": found,
            "worth_needed": self.needed(flops),
            "budgets": [self._budget(flops * times, worths) for times in BUDGETS],
        }

    def _budget(self, flops: float, worths: Sequence[float]) -> dict[str, Any]:
        size, least = self.best(flops)
        continued = [self.continued(flops, worth) for worth in worths]
        own = self.scratch(flops)
        ahead = "continuing" if max(continued) < least else "scratch" if least < min(continued) else "open"
        return {"flops": flops, "own": own, "best": least, "size": size, "continued": continued, "ahead": ahead}


def worth(law: Law, parameters: float, tokens: float, base: float, unique: float | None, loss: float) -> float:
    """The share of a base's tokens that a run was spared: the w with L(N, D + w D_b) = ``loss``; 0 or 1 beyond."""
    found = _crossing(lambda share: law.loss(parameters, tokens, unique, share * base) <= loss, 0.0, 1.0)
    return 1.0 if found is None else found


def _crossing(holds: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least value between the two from which on something holds, which once it does goes on to; None where it
    does not at ``high``."""
    if not holds(high):
        return None
    if low == 0.0 and holds(low + 1e-12 * high):
        return 0.0
    for _ in range(200):
        middle = (low + high) / 2 if low <= 0 or high < 8 * low else math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
        if abs(high - low) <= 1e-9 * abs(high):
            break
    return high
