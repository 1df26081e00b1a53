"""How a released model is loaded: by the class that it was exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seedstock.ledger.files import read_json
from seedstock.release import snippets


@dataclass(frozen=True)
class Loading:
    """``task`` as Hugging Face tags it, what the model does in a sentence, and code that runs beside ``model/``."""

    task: str
    does: str
    code: str


_FEATURES = Loading(
    "image-feature-extraction",
    "It gives pictures features.",
    snippets.SEES.format(auto="AutoModel", what="last_hidden_state"),
)

_CAUSAL = Loading("text-generation", "It continues text.", snippets.WRITES.format(auto="AutoModelForCausalLM"))
_LOADED = {
    "ViTMAEForPreTraining": Loading(
        "image-feature-extraction",
        "It draws hidden parts of pictures, and gives them features.",
        snippets.SEES.format(auto="ViTMAEForPreTraining", what="logits"),
    ),
    "VideoMAEForPreTraining": Loading("video-classification", "It draws hidden parts of clips.", snippets.WATCHES),
    "Wav2Vec2ForPreTraining": Loading(
        "feature-extraction",
        "It gives sounds features.",
        snippets.HEARS.format(auto="Wav2Vec2ForPreTraining", what="projected_states"),
    ),
    "WhisperForConditionalGeneration": Loading(
        "automatic-speech-recognition", "It writes what is said.", snippets.TRANSCRIBES
    ),
    "ViTForImageClassification": Loading(
        "image-classification",
        "It says which class a picture is of.",
        snippets.SEES.format(auto="AutoModelForImageClassification", what="logits"),
    ),
    "ViTModel": _FEATURES,
    "Dinov2Model": _FEATURES,
    "IJepaModel": _FEATURES,
    "DiTTransformer2DModel": Loading("unconditional-image-generation", "It takes noise off pictures.", snippets.NOISY),
    "HubertModel": Loading(
        "feature-extraction",
        "It gives sounds features.",
        snippets.HEARS.format(auto="AutoModel", what="last_hidden_state"),
    ),
    "DecisionTransformerModel": Loading(
        "reinforcement-learning", "It acts for the return that is asked for.", snippets.ACTS
    ),
    "ForCausalLM": _CAUSAL,
    "LMHeadModel": _CAUSAL,
    "ForMaskedLM": Loading(
        "fill-mask", "It fills in hidden tokens.", snippets.FILLS.format(auto="AutoModelForMaskedLM", logits="logits")
    ),
    "ForPreTraining": Loading(
        "fill-mask",
        "It fills in hidden tokens, and says whether one segment follows another.",
        snippets.FILLS.format(auto="AutoModelForPreTraining", logits="prediction_logits"),
    ),
    "ForSequenceClassification": Loading("text-classification", "It says which class a text is of.", snippets.TELLS),
    "ForConditionalGeneration": Loading(
        "text2text-generation",
        "It reads a text and writes another.",
        snippets.WRITES.format(auto="AutoModelForSeq2SeqLM"),
    ),
    "Diffusion": Loading("text-generation", "It writes text by filling in hidden tokens, in any order.", snippets.OWN),
    "CLIPModel": Loading("zero-shot-image-classification", "It says which text fits a picture.", snippets.PAIRS),
    "SiglipModel": Loading("zero-shot-image-classification", "It says which text fits a picture.", snippets.PAIRS),
    "SeedstockCaptioner": Loading("image-to-text", "It writes a caption for a picture.", snippets.DESCRIBES),
    "VQModel": Loading(
        "image-feature-extraction", "It turns pictures into codes and back.", snippets.DRAWS.format(name="VQModel")
    ),
    "AutoencoderKL": Loading(
        "image-feature-extraction",
        "It turns pictures into latents and back.",
        snippets.DRAWS.format(name="AutoencoderKL"),
    ),
    "EncodecModel": Loading("feature-extraction", "It turns sounds into codes and back.", snippets.CODES),
    "word2vec": Loading(
        "feature-extraction", "It gives each word a vector; words in like company are near.", snippets.WORDS
    ),
}
_BESIDE = {
    "pictures": Loading("text-generation", "It continues texts and codes of pictures.", snippets.DRAWS_AFTER),
    "sounds": Loading("text-generation", "It continues texts and codes of sounds.", snippets.PLAYS_AFTER),
}
"""By the folder with what draws or plays codes, which lies in the model's."""
UNKNOWN = Loading("feature-extraction", "No class of transformers computes what it does.", "")


def loading(model_class: str | None, beside: str | None = None) -> Loading:
    """By the class's name, and the folder that lies ``beside`` its weights (see ``beside_of``)."""
    if beside in _BESIDE:
        return _BESIDE[beside]
    found = (one for ending, one in _LOADED.items() if (model_class or "").endswith(ending))
    return next(found, UNKNOWN)


def beside_of(folder: Path) -> str | None:
    """The folder within a model's that draws or plays its codes: ``pictures``, ``sounds``, or None."""
    return next((name for name in _BESIDE if (Path(folder) / name).is_dir()), None)


def exported_class(folder: Path) -> str | None:
    """The class that an exported folder says it is; None where it does not say."""
    path = Path(folder) / "config.json"
    about = read_json(path) if path.is_file() else {}
    return next(iter(about.get("architectures") or ()), about.get("_class_name"))  # the latter of diffusers
