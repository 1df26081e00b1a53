"""The configuration of a network that hears and writes: an encoder of spectra, a decoder of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Count
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.configs.transformer import Positive, problems

if TYPE_CHECKING:
    from seedstock.models.speech import SpeechNetwork


class SpeechConfig(EncoderDecoderConfig):
    """A stack that reads log-mel spectra of ``frames`` frames in ``bins`` bands, and one that writes text.

    ``whisper``: Radford et al. 2022: two convolutions over three frames, the second of which takes every other one;
    fixed sines and cosines for where a frame lies, learned positions for where a token does; keys without biases.
    ``context`` is that of the text; ``layers`` are the encoder's.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "whisper": {"norm": "layer", "norm_epsilon": 1e-5, "position": "learned", "activation": "gelu_exact"}
        | {"biases": True, "tied_embeddings": True, "start": "bos"}
        | {"post_norm": False, "embedding_norm": False, "qk_norm": False, "initialisation": "normal"},
    }
    key_biases: ClassVar[bool] = False

    kind: Literal["speech"] = "speech"  # type: ignore[assignment]
    shape: Literal["whisper"] = "whisper"  # type: ignore[assignment]
    frames: Annotated[Count, Field(gt=1, multiple_of=2, description="of a spectrum")] = 3000
    bins: Positive = 80
    rate: Count = Field(default=16_000, description="samples a second, as the input has them")

    @property
    def offset(self) -> int:
        """No row stands for none."""
        return 0

    @property
    def source(self) -> int:
        """Positions of the encoder."""
        return self.frames // 2

    @property
    def front(self) -> tuple[tuple[float, float, float], ...]:
        """What stands before the encoder, for whoever counts (``planning.parameters.Shape.front``)."""
        each = 3.0 * self.bins
        return (0, each, 3), (0, 2, 0), (0, 2 * each, 3), (0, 1.5 * self.frames, 0)

    def encoder(self) -> SpeechStack:  # type: ignore[override]
        """The configuration of the stack that reads spectra."""
        return SpeechStack(**{**self.model_dump(), "decoder_layers": None})

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.width and self.width % 2:
            found.append(f"width ({self.width}) is odd, and fixed positions are pairs of sines and cosines")
        if self.position != "learned":
            found.append("positions of the text are learned")
        return found

    @property
    def export_class(self) -> str | None:
        """None: it is exported with its objective (``transfer.items``)."""
        return None

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> SpeechNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.speech import SpeechNetwork

        return SpeechNetwork(self.resolved(), vocab_size, seed, device)


class SpeechStack(SpeechConfig):
    """The part that reads spectra."""

    cross: ClassVar[bool] = False
