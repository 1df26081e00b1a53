"""The configuration of an encoder of sounds: convolutions over samples, then a bidirectional stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.models.configs.transformer import Positive, TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.audio import AudioNetwork

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
SHORTEST = 8  # samples of a filter


class AudioConfig(TransformerConfig):
    """A stack over frames of ``samples`` samples: one every product of ``strides`` samples, 20 ms at 16 kHz.

    ``wav2vec2``: Baevski et al. 2020, which HuBERT shares (Hsu et al. 2021): convolutions of ``channels`` outputs with
    these ``kernels`` and ``strides`` and without biases, the first one's outputs normalised over time by channel; where
    a frame lies says a convolution over ``position_taps`` frames in ``position_groups`` groups, whose weight has a
    norm and a direction; post-norm blocks. It has no head: what hidden states are for, an objective says.

    With ``filters: mel`` the convolutions begin as a bank of filters (Zeghidour et al. 2018) in the place of random
    numbers, which changes no shape: the first kernel must be long enough to tell bands apart (at 8 kHz 20 samples).
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "wav2vec2": {"norm": "layer", "norm_epsilon": 1e-5, "position": "convolution", "activation": "gelu_exact"}
        | {"biases": True, "qk_norm": False, "initialisation": "normal"},
    }
    experts: ClassVar[int | None] = None
    rope_scaling: ClassVar[None] = None
    window: ClassVar[None] = None
    local_rope_base: ClassVar[None] = None
    post_norm: ClassVar[bool] = True
    bare_start: ClassVar[bool] = False
    embedding_norm: ClassVar[bool] = True

    kind: Literal["audio"] = "audio"
    shape: Literal["wav2vec2"] = "wav2vec2"
    samples: Count = Field(default=16_000, description="of a clip: seconds by rate of the input")
    rate: Count = Field(default=16_000, description="samples a second, as the input has them")
    channels: Positive = 512
    kernels: tuple[Positive, ...] = KERNELS
    strides: tuple[Positive, ...] = STRIDES
    filters: Literal["random", "mel"] = Field(default="random", description="what the convolutions begin as")
    position_taps: Annotated[int, Field(gt=1)] = 128
    position_groups: Positive = 16
    context: Count = Field(default=0, description="frames, which follow from samples, kernels and strides")
    position: Literal["convolution"] | None = None  # type: ignore[assignment]
    convolution: Literal[0] = 0
    tied_embeddings: Literal[True] = True

    @model_validator(mode="before")
    @classmethod
    def _frames(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        samples, kernels, strides = (
            values.get(name, cls.model_fields[name].default) for name in ("samples", "kernels", "strides")
        )
        try:
            lengths = lengths_of(int(samples), [int(one) for one in kernels], [int(one) for one in strides])
        except (TypeError, ValueError):
            return values  # which the fields refuse
        if len(kernels) != len(strides):
            raise ValueError(f"{len(kernels)} kernels and {len(strides)} strides: each layer has one of each")
        if not lengths or lengths[-1] < 2:
            raise ValueError(f"clips of {samples} samples give less than two frames; make input.seconds longer")
        if values.get("context") not in (None, 0, lengths[-1]):
            raise ValueError(f"the context follows from samples, kernels and strides: {lengths[-1]}; leave it out")
        return {**values, "context": lengths[-1]}

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        found = 1
        for stride in self.strides:
            found *= stride
        return found

    @property
    def sight(self) -> int:
        """Samples that a frame is made of."""
        found, step = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            found, step = found + (kernel - 1) * step, step * stride
        return found

    def frames(self, samples: int) -> int:
        """Frames that so many samples give."""
        return max(0, lengths_of(samples, self.kernels, self.strides)[-1])

    @property
    def front(self) -> tuple[tuple[float, float, float], ...]:
        """What stands before the stack, for whoever counts (``planning.parameters.Shape.front``)."""
        c, lengths = self.channels, lengths_of(self.samples, self.kernels, self.strides)
        layers = [inputs * taps * c for inputs, taps in zip((1, *[c] * len(lengths)), self.kernels, strict=False)]
        near = self.position_taps / self.position_groups
        work = sum(one * length for one, length in zip(layers, lengths, strict=True)) / self.context
        # Where its taps are even, the convolution of positions has a place more than there are frames.
        places = 1 + (1 - self.position_taps % 2) / self.context
        vectors = 4 * c + self.position_taps  # both norms, lengths of taps; then two biases and the hidden frame
        return (sum(layers), c, near), (vectors, 3, 0), (work, c, near * places), (c * sum(lengths), 0, 0)

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.width and self.width % self.position_groups:
            found.append(f"width ({self.width}) is not a multiple of position_groups ({self.position_groups})")
        if self.filters == "mel" and self.kernels[0] < SHORTEST:
            found.append(f"filters of {self.kernels[0]} samples tell no bands apart; make the first kernel longer")
        return found

    def build(self, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> AudioNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.audio import AudioNetwork

        return AudioNetwork(self.resolved(), vocab_size, seed, device)


def lengths_of(samples: Any, kernels: Any, strides: Any) -> list[Any]:
    """How many places each convolution gives, without padding; of a number, or of an array of them."""
    found: list[Any] = []
    for kernel, stride in zip(kernels, strides, strict=False):
        samples = (samples - kernel) // stride + 1
        found.append(samples)
    return found
