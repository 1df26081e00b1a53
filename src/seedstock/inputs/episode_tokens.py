"""Episodes among texts as tokens: what was seen and done, each number in a bin (Gato)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from seedstock.config import Config, Count
from seedstock.corpus.media.types import Undecodable

MU = 100.0


class EpisodeTokensConfig(Config):
    """An episode becomes its steps, one after another (Reed et al. 2022, section 2.1 and appendix B).

    A step is with ``returns`` the return that was still to come, then the ``observation`` numbers that were seen, the
    token ``acts``, and what was done: the number of one of ``action`` actions where they are ``discrete``, else so many
    numbers. Numbers that are seen and returns go to -1 … 1 by the mu-law, sign(x) log(100 |x| + 1) / log(100 largest +
    1), numbers that are done as they are; what is beyond is cut off; each falls into one of ``bins`` even bins. Every
    bin is a special token, of its own for what is seen (``seen_``), done (``act_``) and to come (``return_``). Episodes
    that return less than ``at_least`` are left out, and so are their texts.
    """

    field: ClassVar[str] = "episodes"

    observation: Annotated[int, Field(gt=0, description="numbers that are seen at a step")]
    action: Annotated[int, Field(gt=0, description="numbers that are done at a step, or how many actions there are")]
    discrete: bool = False
    returns: bool = False
    at_least: float | None = None
    bins: Annotated[Count, Field(gt=1, le=65_536)] = 1024
    largest: Annotated[float, Field(gt=0, description="number that the mu-law takes to 1")] = 256.0

    def specials(self) -> tuple[str, ...]:
        """The names of the special tokens, in the order of their ids."""
        kinds = [("seen", self.bins), ("act", self.action if self.discrete else self.bins)]
        kinds += [("return", self.bins)] * self.returns
        return "acts", *(f"{kind}_{number}" for kind, count in kinds for number in range(count))

    @property
    def step(self) -> int:
        """Tokens of a step."""
        return self.returns + self.observation + 1 + (1 if self.discrete else self.action)

    def binned(self, numbers: np.ndarray, *, law: bool = True) -> np.ndarray:
        """The bins of numbers, int64 of the same shape."""
        x = np.asarray(numbers, np.float64)
        if law:
            x = np.sign(x) * np.log(MU * np.abs(x) + 1) / np.log(MU * self.largest + 1)
        return np.clip(np.floor((x + 1) / 2 * self.bins), 0, self.bins - 1).astype(np.int64)

    def middles(self, bins: np.ndarray) -> np.ndarray:
        """The numbers in the middle of bins of what is done, from -1 to 1."""
        return (np.asarray(bins) + 0.5) / self.bins * 2 - 1


class Episodes:
    """Writes documents with episodes as tokens of a tokenizer that has the bins among its specials."""

    media: ClassVar[str] = "application/x-npz"
    missing: ClassVar[str] = "no episode of such sizes"

    def __init__(self, config: EpisodeTokensConfig, specials: dict[str, int]) -> None:
        self.config = config
        self.acts, self.bos = specials["acts"], specials.get("bos")
        self.first = {kind: specials.get(f"{kind}_0", -1) for kind in ("seen", "act", "return")}

    def record(self) -> dict[str, Any]:
        """What the tokens follow from."""
        return {"config": self.config.model_dump(mode="json")}

    def written(
        self, documents: Sequence[bytes], captions: Sequence[np.ndarray], media: Sequence[bytes | None]
    ) -> tuple[list[np.ndarray], list[int]]:
        """The tokens of each document: its text, then its episode where it has one; and the rows of those that cannot
        be used, which become their text alone."""
        found, broken = [], []
        for row, (caption, data) in enumerate(zip(captions, media, strict=True)):
            own = caption
            if data is not None:
                try:
                    own = np.concatenate([caption, self.tokens(self.arrays(data))])
                except Undecodable:
                    broken.append(row)
            found.append(own.astype(np.uint32))
        return found, broken

    def arrays(self, data: bytes) -> dict[str, np.ndarray]:
        """Observations ``[T, …]``, actions and returns of a whole episode. Raises Undecodable."""
        from seedstock.inputs.items.config import Document
        from seedstock.inputs.items.trajectories import TrajectoriesConfig

        c = self.config
        options: dict[str, Any] = {"returns": c.returns, "at_least": c.at_least, "discrete": c.discrete}
        whole = TrajectoriesConfig(steps=4096, observation=c.observation, action=c.action, **options)
        items = list(whole.items(Document(data, "", "", {})))
        return {
            name: np.concatenate([item[name][: int(item["length"])] for item in items])
            for name in ("observations", "actions", *["returns"] * c.returns)
        }

    def seen(self, observations: np.ndarray, returns: np.ndarray | None = None) -> np.ndarray:
        """The tokens of steps up to what is done, int64 ``[T, …]``."""
        parts = [self.first["return"] + self.config.binned(returns)[:, None]] if returns is not None else []
        parts += [self.first["seen"] + self.config.binned(observations)]
        return np.concatenate([*parts, np.full((len(observations), 1), self.acts)], axis=1)

    def done(self, actions: np.ndarray) -> np.ndarray:
        """The tokens of what is done, int64 ``[T, …]``."""
        c = self.config
        numbers = actions[:, None].astype(np.int64) if c.discrete else c.binned(actions, law=False)
        return self.first["act"] + numbers

    def tokens(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """A whole episode as tokens."""
        seen = self.seen(arrays["observations"], arrays.get("returns"))
        return np.concatenate([seen, self.done(arrays["actions"])], axis=1).ravel()
