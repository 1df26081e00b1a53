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

_DESCRIBES = """import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from seedstock.transfer.maps import captioner

model, tokenizer = captioner.read("model"), Tokenizer.from_file("model/tokenizer.json")
size = model.nets["network"].picture.config.image
image = Image.open("picture.png").convert("RGB").resize((size, size))
tokens = model.describe(torch.from_numpy(np.array(image))[None])
print(tokenizer.decode(tokens[0].tolist()))"""

_DRAWS = """import torch
from diffusers import {name}

model = {name}.from_pretrained("model")
size, channels = model.config.sample_size, model.config.in_channels
image = torch.zeros(1, channels, size, size)  # pixels from -1 to 1
print(model(image).sample.shape)"""

_SEES = """from PIL import Image
from transformers import AutoImageProcessor, {auto}

model = {auto}.from_pretrained("model")
processor = AutoImageProcessor.from_pretrained("model")
mode = "RGB" if model.config.num_channels == 3 else "L"
inputs = processor(Image.open("picture.png").convert(mode), return_tensors="pt")
print(model(**inputs).{what}.shape)"""
_WATCHES = """import av
import torch
from transformers import AutoImageProcessor, VideoMAEForPreTraining

model = VideoMAEForPreTraining.from_pretrained("model")
processor, c = AutoImageProcessor.from_pretrained("model"), model.config
with av.open("clip.mp4") as file:
    frames = [frame.to_image() for frame in file.decode(video=0)][: c.num_frames]
mode = "RGB" if c.num_channels == 3 else "L"
inputs = processor([frame.convert(mode) for frame in frames], return_tensors="pt")
places = (c.image_size // c.patch_size) ** 2
hidden = torch.rand(1, places).argsort() > places // 10  # the same nine tenths of all frames
print(model(**inputs, bool_masked_pos=hidden.repeat(1, c.num_frames // c.tubelet_size)).logits.shape)"""
_SOUND = """import soundfile
from transformers import AutoFeatureExtractor, {auto}

model = {auto}.from_pretrained("model")
extractor = AutoFeatureExtractor.from_pretrained("model")
sound, rate = soundfile.read("sound.wav", dtype="float32")  # one channel, at extractor.sampling_rate
inputs = extractor(sound, sampling_rate=rate, return_tensors="pt")
"""
_HEARS = _SOUND + """print(model(**inputs).{what}.shape)"""
_TRANSCRIBES = (
    _SOUND.replace("AutoFeatureExtractor,", "AutoFeatureExtractor, AutoTokenizer,").format(
        auto="WhisperForConditionalGeneration"
    )
    + """tokenizer = AutoTokenizer.from_pretrained("model")
print(tokenizer.decode(model.generate(inputs.input_features)[0], skip_special_tokens=True))"""
)
_CODES = (
    _SOUND.format(auto="EncodecModel")
    + """codes = model.encode(**inputs).audio_codes
print(codes.shape, model.decode(codes, [None]).audio_values.shape)"""
)
_ACTS = """import torch
from transformers import DecisionTransformerModel

model = DecisionTransformerModel.from_pretrained("model")
c = model.config
asked = torch.tensor([[[100.0]]])  # the return that is asked for, less every reward
seen, done = torch.zeros(1, 1, c.state_dim), torch.zeros(1, 1, c.act_dim)  # step by step; the last action is unknown
step, real = torch.tensor([[0]]), torch.ones(1, 1)
found = model(states=seen, actions=done, returns_to_go=asked, timesteps=step, attention_mask=real)
print(found.action_preds[0, -1])  # what to do; where there is a choice, its scores"""
_NOISY = """import torch
from diffusers import DiTTransformer2DModel

model = DiTTransformer2DModel.from_pretrained("model")
size, channels = model.config.sample_size, model.config.in_channels
time, label = torch.tensor([999]), torch.tensor([0])
print(model(torch.randn(1, channels, size, size), timestep=time, class_labels=label).sample.shape)"""
_FEATURES = Loading(
    "image-feature-extraction",
    "It gives pictures features.",
    _SEES.format(auto="AutoModel", what="last_hidden_state"),
)

_CAUSAL = Loading("text-generation", "It continues text.", _WRITES.format(auto="AutoModelForCausalLM"))
_LOADED = {
    "ViTMAEForPreTraining": Loading(
        "image-feature-extraction",
        "It draws hidden parts of pictures, and gives them features.",
        _SEES.format(auto="ViTMAEForPreTraining", what="logits"),
    ),
    "VideoMAEForPreTraining": Loading("video-classification", "It draws hidden parts of clips.", _WATCHES),
    "Wav2Vec2ForPreTraining": Loading(
        "feature-extraction",
        "It gives sounds features.",
        _HEARS.format(auto="Wav2Vec2ForPreTraining", what="projected_states"),
    ),
    "WhisperForConditionalGeneration": Loading("automatic-speech-recognition", "It writes what is said.", _TRANSCRIBES),
    "ViTForImageClassification": Loading(
        "image-classification",
        "It says which class a picture is of.",
        _SEES.format(auto="AutoModelForImageClassification", what="logits"),
    ),
    "ViTModel": _FEATURES,
    "Dinov2Model": _FEATURES,
    "IJepaModel": _FEATURES,
    "DiTTransformer2DModel": Loading("unconditional-image-generation", "It takes noise off pictures.", _NOISY),
    "HubertModel": Loading(
        "feature-extraction",
        "It gives sounds features.",
        _HEARS.format(auto="AutoModel", what="last_hidden_state"),
    ),
    "DecisionTransformerModel": Loading("reinforcement-learning", "It acts for the return that is asked for.", _ACTS),
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
    "SeedstockCaptioner": Loading("image-to-text", "It writes a caption for a picture.", _DESCRIBES),
    "VQModel": Loading(
        "image-feature-extraction", "It turns pictures into codes and back.", _DRAWS.format(name="VQModel")
    ),
    "AutoencoderKL": Loading(
        "image-feature-extraction", "It turns pictures into latents and back.", _DRAWS.format(name="AutoencoderKL")
    ),
    "EncodecModel": Loading("feature-extraction", "It turns sounds into codes and back.", _CODES),
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
    about = read_json(path) if path.is_file() else {}
    return next(iter(about.get("architectures") or ()), about.get("_class_name"))  # the latter of diffusers
