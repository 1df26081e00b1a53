"""Code for a model card, by what a model does: each runs as it is printed, beside ``model/`` and a file of its kind."""

WRITES = """from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
inputs = tokenizer("The", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))"""
FILLS = """from transformers import {auto}, AutoTokenizer

model = {auto}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
inputs = tokenizer(f"The {{tokenizer.mask_token}}", return_tensors="pt")
hidden = inputs["input_ids"][0] == tokenizer.mask_token_id
print(tokenizer.decode(model(**inputs).{logits}[0, hidden].argmax(-1)))"""
TELLS = """from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
logits = model(**tokenizer("A text.", truncation=True, return_tensors="pt")).logits
print(model.config.id2label[int(logits.argmax())])"""
OWN = """from seedstock.transfer import own

model = own.load("model")  # logits of every place, of use where the input is masked"""

WORDS = """from gensim.models import KeyedVectors

vectors = KeyedVectors.load_word2vec_format("model/vectors.txt")
print(vectors.most_similar("house"))"""

PAIRS = """from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model = AutoModel.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
processor = AutoImageProcessor.from_pretrained("model")
image = processor(Image.open("picture.png").convert("RGB"), return_tensors="pt").pixel_values
length = model.config.text_config.max_position_embeddings
texts = tokenizer(["a cat", "a dog"], padding="max_length", max_length=length, return_tensors="pt")
print(model(pixel_values=image, input_ids=texts["input_ids"]).logits_per_image)"""

DESCRIBES = """import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from seedstock.transfer.maps import captioner

model, tokenizer = captioner.read("model"), Tokenizer.from_file("model/tokenizer.json")
size = model.nets["network"].picture.config.image
image = Image.open("picture.png").convert("RGB").resize((size, size))
tokens = model.describe(torch.from_numpy(np.array(image))[None])
print(tokenizer.decode(tokens[0].tolist()))"""

DRAWS = """import torch
from diffusers import {name}

model = {name}.from_pretrained("model")
size, channels = model.config.sample_size, model.config.in_channels
image = torch.zeros(1, channels, size, size)  # pixels from -1 to 1
print(model(image).sample.shape)"""

SEES = """from PIL import Image
from transformers import AutoImageProcessor, {auto}

model = {auto}.from_pretrained("model")
processor = AutoImageProcessor.from_pretrained("model")
mode = "RGB" if model.config.num_channels == 3 else "L"
inputs = processor(Image.open("picture.png").convert(mode), return_tensors="pt")
print(model(**inputs).{what}.shape)"""
WATCHES = """import av
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
SOUND = """import soundfile
from transformers import AutoFeatureExtractor, {auto}

model = {auto}.from_pretrained("model")
extractor = AutoFeatureExtractor.from_pretrained("model")
sound, rate = soundfile.read("sound.wav", dtype="float32")  # one channel, at extractor.sampling_rate
inputs = extractor(sound, sampling_rate=rate, return_tensors="pt")
"""
HEARS = SOUND + """print(model(**inputs).{what}.shape)"""
TRANSCRIBES = (
    SOUND.replace("AutoFeatureExtractor,", "AutoFeatureExtractor, AutoTokenizer,").format(
        auto="WhisperForConditionalGeneration"
    )
    + """tokenizer = AutoTokenizer.from_pretrained("model")
print(tokenizer.decode(model.generate(inputs.input_features)[0], skip_special_tokens=True))"""
)
CODES = (
    SOUND.format(auto="EncodecModel")
    + """codes = model.encode(**inputs).audio_codes
print(codes.shape, model.decode(codes, [None]).audio_values.shape)"""
)
ACTS = """import torch
from transformers import DecisionTransformerModel

model = DecisionTransformerModel.from_pretrained("model")
c = model.config
asked = torch.tensor([[[100.0]]])  # the return that is asked for, less every reward
seen, done = torch.zeros(1, 1, c.state_dim), torch.zeros(1, 1, c.act_dim)  # step by step; the last action is unknown
step, real = torch.tensor([[0]]), torch.ones(1, 1)
found = model(states=seen, actions=done, returns_to_go=asked, timesteps=step, attention_mask=real)
print(found.action_preds[0, -1])  # what to do; where there is a choice, its scores"""
NOISY = """import torch
from diffusers import DiTTransformer2DModel

model = DiTTransformer2DModel.from_pretrained("model")
size, channels = model.config.sample_size, model.config.in_channels
time, label = torch.tensor([999]), torch.tensor([0])
print(model(torch.randn(1, channels, size, size), timestep=time, class_labels=label).sample.shape)"""
DRAWS_AFTER = """from diffusers import VQModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
pictures = VQModel.from_pretrained("model/pictures")
c = pictures.config
first, side = tokenizer.convert_tokens_to_ids("<|code_0|>"), c.sample_size // 2 ** (len(c.block_out_channels) - 1)
codes = list(range(first, first + c.num_vq_embeddings))
inputs = tokenizer("a caption<|image|>", return_tensors="pt")
more = {"do_sample": True, "prefix_allowed_tokens_fn": lambda *given: codes}
drawn = model.generate(**inputs, min_new_tokens=side**2, max_new_tokens=side**2, **more)[0, -(side**2) :] - first
vectors = pictures.quantize.get_codebook_entry(drawn, (1, side, side, c.vq_embed_dim))
print(pictures.decode(vectors, force_not_quantize=True).sample.shape)  # pixels from -1 to 1"""
PLAYS_AFTER = """from transformers import AutoModelForCausalLM, AutoTokenizer, EncodecModel

model = AutoModelForCausalLM.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
sounds = EncodecModel.from_pretrained("model/sounds")
size, vocabulary = sounds.config.codebook_size, tokenizer.get_vocab()
firsts = [vocabulary[name] for name in (f"<|code_{book}_0|>" for book in range(128)) if name in vocabulary]
inputs = tokenizer("a text<|sound|>", return_tensors="pt")
begun, count = inputs["input_ids"].shape[1], 8 * len(firsts)  # eight frames, each a code of every book


def next_codes(row, tokens):
    first = firsts[(len(tokens) - begun) % len(firsts)]
    return list(range(first, first + size))


more = {"do_sample": True, "prefix_allowed_tokens_fn": next_codes}
tokens = model.generate(**inputs, min_new_tokens=count, max_new_tokens=count, **more)[0, -count:]
codes = tokens.view(-1, len(firsts)) - tokens.new_tensor(firsts)
print(sounds.decode(codes.T[None, None], [None]).audio_values.shape)"""
