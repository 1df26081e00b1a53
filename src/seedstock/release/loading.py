"""How a released model is loaded: by the class that it was exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seedstock.ledger.files import read_json


@dataclass(frozen=True)
class Loading:
    """``task`` as Hugging Face tags it, what the model does in a sentence, and code that runs beside ``model/``."""

    task: str
    does: str
    code: str


_WRITES = """from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
inputs = tokenizer("The", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))"""
_FILLS = """from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
inputs = tokenizer(f"The {{tokenizer.mask_token}}", return_tensors="pt")
hidden = inputs["input_ids"][0] == tokenizer.mask_token_id
print(tokenizer.decode(model(**inputs).{logits}[0, hidden].argmax(-1)))"""
_TELLS = """from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
logits = model(**tokenizer("A text.", truncation=True, return_tensors="pt")).logits
print(model.config.id2label[int(logits.argmax())])"""
_OWN = """from seedstock.transfer import own

model = own.load("model")  # logits of every place, of use where the input is masked"""

_WORDS = """from gensim.models import KeyedVectors

vectors = KeyedVectors.load_word2vec_format("model/vectors.txt")
print(vectors.most_similar("house"))"""

_PAIRS = """from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model = AutoModel.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
processor = AutoImageProcessor.from_pretrained("model")
image = processor(Image.open("picture.png").convert("RGB"), return_tensors="pt").pixel_values
length = model.config.text_config.max_position_embeddings
texts = tokenizer(["a cat", "a dog"], padding="max_length", max_length=length, return_tensors="pt")
print(model(pixel_values=image, input_ids=texts["input_ids"]).logits_per_image)"""

_CAUSAL = Loading("text-generation", "It continues text.", _WRITES.format(auto="AutoModelForCausalLM"))
_LOADED = {
    "ForCausalLM": _CAUSAL,
    "LMHeadModel": _CAUSAL,
    "ForMaskedLM": Loading(
        "fill-mask", "It fills in hidden tokens.", _FILLS.format(auto="AutoModelForMaskedLM", logits="logits")
    ),
    "ForPreTraining": Loading(
        "fill-mask",
        "It fills in hidden tokens, and says whether one segment follows another.",
        _FILLS.format(auto="AutoModelForPreTraining", logits="prediction_logits"),
    ),
    "ForSequenceClassification": Loading("text-classification", "It says which class a text is of.", _TELLS),
    "ForConditionalGeneration": Loading(
        "text2text-generation", "It reads a text and writes another.", _WRITES.format(auto="AutoModelForSeq2SeqLM")
    ),
    "Diffusion": Loading("text-generation", "It writes text by filling in hidden tokens, in any order.", _OWN),
    "CLIPModel": Loading("zero-shot-image-classification", "It says which text fits a picture.", _PAIRS),
    "SiglipModel": Loading("zero-shot-image-classification", "It says which text fits a picture.", _PAIRS),
    "word2vec": Loading("feature-extraction", "It gives each word a vector; words in like company are near.", _WORDS),
}
UNKNOWN = Loading("feature-extraction", "No class of transformers computes what it does.", "")


def loading(model_class: str | None) -> Loading:
    """By the class's name."""
    found = (one for ending, one in _LOADED.items() if (model_class or "").endswith(ending))
    return next(found, UNKNOWN)


def exported_class(folder: Path) -> str | None:
    """The class that an exported folder says it is; None where it does not say."""
    path = Path(folder) / "config.json"
    named = read_json(path).get("architectures") if path.is_file() else None
    return named[0] if named else None
