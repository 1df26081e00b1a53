"""What every network has besides its parts."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import nn

from seedstock.models.block import Block
from seedstock.models.initialise import initialise
from seedstock.models.roles import ROLES, assign


class Whole(nn.Module):
    """A network that says of what it is made (``assemble``), and is built, filled and compiled by that.

    ``vocab_size`` is 0 where nothing is a token. ``device`` ``meta`` builds shapes alone.
    """

    role_patterns: ClassVar[tuple[tuple[str, str], ...]] = ROLES
    block_class: ClassVar[type[nn.Module]] = Block
    """What is compiled, each by itself."""

    def __init__(self, config: Any, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> None:
        super().__init__()
        self.config, self.vocab_size, self.seed = config, vocab_size, seed
        self.compute_dtype = torch.float32
        with torch.device("meta"):
            self.assemble()
        if device != "meta":
            self.to_empty(device=device)
            with torch.no_grad():
                self.initialise()

    def assemble(self) -> None:
        """Makes the parts, without values."""
        raise NotImplementedError

    def initialise(self) -> None:
        """Gives every parameter its first value, by name and seed."""
        initialise(self, self.roles(), self.config, self.seed)

    @classmethod
    def by_parts(cls) -> bool:
        """Whether ``initialise`` looks at one parameter at a time, and so can fill what is cut up among processes."""
        return cls.initialise is Whole.initialise

    def roles(self) -> dict[str, str]:
        """The role of each parameter by name (see ``models.roles``)."""
        return assign((name for name, _ in self.named_parameters()), self.role_patterns)

    def use(self, dtype: torch.dtype) -> Self:
        """Computes matrix products and activations in ``dtype`` from now on; the weights stay fp32."""
        self.compute_dtype = dtype
        return self

    def compile(self, **options: Any) -> None:
        """Compiles the block, which every layer shares, rather than the whole network: once, and soon."""
        for module in self.modules():
            if isinstance(module, self.block_class):
                module.compile(**options)
