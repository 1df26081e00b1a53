"""What transformers loads computes what we do; what it would not is refused, and nothing is left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, lively, small

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.transfer import parity
from seedstock.transfer.export import export
from seedstock.transfer.importing import import_model
from seedstock.transfer.maps import find

CASES = [
    ("qwen3", {}),
    ("qwen3", {"tied_embeddings": False, "head_size": 16, "rope_base": 5e5}),
    ("llama", {}),
    ("llama", {"tied_embeddings": True, "biases": True, "kv_heads": 1}),
    ("gpt2", {}),
    ("gpt2", {"tied_embeddings": False, "mlp_width": 96}),
    ("gpt2", {"activation": "gelu_exact"}),
]
NAMES = [f"{shape}-{'-'.join(changes) or 'preset'}" for shape, changes in CASES]


@pytest.mark.parametrize(("shape", "changes"), CASES, ids=NAMES)
def test_export_and_import_keep_the_function(shape, changes, tmp_path):
    network = lively(shape, **changes).train()
    report = export(network, None, tmp_path / "out")
    assert report["passed"]
    assert report["class"] == network.config.export_class
    assert report["greedy"]["equal"] == 32
    assert json.loads((tmp_path / "out/parity.json").read_text()) == report
    assert network.training
    back = import_model(tmp_path / "out")
    assert back.report["passed"]
    assert back.config.filled().model_copy(update={"initialisation": None}) == network.config.model_copy(
        update={"initialisation": None}
    )
    ours, theirs = network.state_dict(), back.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("shape", ["qwen3", "gpt2"])
def test_what_transformers_wrote_is_read(shape, tmp_path):
    import transformers

    config = find(small(shape).export_class).to_config(small(shape).filled(), VOCABULARY)
    theirs = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**config))
    theirs.save_pretrained(tmp_path)
    assert import_model(tmp_path).report["passed"]


def test_bf16_weights_are_compared_as_they_are_written(tmp_path):
    network = lively()
    assert export(network, None, tmp_path / "half", dtype="bfloat16")["passed"]
    export(network, None, tmp_path / "whole", parity=False)
    half, whole = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole"))
    assert half < 0.6 * whole
    assert network.head.matrix.dtype == torch.float32


def _swap(module):
    """A map with two names exchanged, as in a conversion script that has rotted."""
    rules = list(module.RULES)
    first = next(i for i, rule in enumerate(rules) if rule.theirs.endswith("input_layernorm.weight"))
    second = next(i for i, rule in enumerate(rules) if rule.theirs.endswith("post_attention_layernorm.weight"))
    rules[first], rules[second] = (
        type(rules[0])(rules[first].ours, rules[second].theirs),
        type(rules[0])(rules[second].ours, rules[first].theirs),
    )
    return tuple(rules)


def test_a_wrong_map_fails_and_leaves_nothing(tmp_path, monkeypatch):
    llama = find("LlamaForCausalLM")
    monkeypatch.setattr(llama, "RULES", _swap(llama))
    with pytest.raises(SeedstockError, match="computes something else"):
        export(lively("llama"), None, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_setting_that_would_change_the_function_fails(tmp_path, monkeypatch):
    qwen3 = find("Qwen3ForCausalLM")
    right = qwen3.to_config
    monkeypatch.setattr(qwen3, "to_config", lambda c, v: right(c, v) | {"rms_norm_eps": 1e-1})
    with pytest.raises(SeedstockError, match="random"):
        export(lively(), None, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_says_so(tmp_path, monkeypatch):
    with pytest.raises(SeedstockError, match="no class of transformers"):
        export(lively("plain"), None, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(SeedstockError, match="exists already"):
        export(lively(), None, tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "keep"
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SeedstockError, match="not installed") as caught:
        export(lively(), None, tmp_path / "out")
    assert "seedstock[hf]" in str(caught.value)


@pytest.fixture
def written(tmp_path):
    export(lively("llama"), None, tmp_path / "out", parity=False)
    return tmp_path / "out"


def _change(folder, **settings):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "no map for MambaForCausalLM"),
        ({"architectures": ["ViTMAEForPreTraining"]}, "ViTMAEForPreTraining are written here, and not read back"),
        ({"hidden_act": "relu"}, "hidden_act: relu is not supported"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1.0}}, "scaled rotary positions"),
        ({"num_hidden_layers": 4}, "layers.3.* is missing"),
        ({"num_hidden_layers": 2}, "no place for the tensors model.layers.2"),
        ({"intermediate_size": 128}, "has shape"),
    ],
)
def test_folders_that_we_cannot_honour_are_refused_by_name(written, settings, words):
    _change(written, **settings)
    with pytest.raises(SeedstockError, match=words):
        import_model(written)


def test_missing_and_damaged_weights_are_named(written):
    weights = written / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        import_model(written, parity=False)
    weights.unlink()
    with pytest.raises(SeedstockError, match="never read"):
        import_model(written, parity=False)
    with pytest.raises(SeedstockError, match="no such folder"):
        import_model(written / "nowhere")


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    """A byte tokenizer as the inputs room writes it."""
    from seedstock.inputs.tokenizers import vocabulary
    from seedstock.inputs.tokenizers.train import _ecosystem_config

    folder = tmp_path_factory.mktemp("tokenizer")
    backend = vocabulary.of_bytes(16)
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    return folder


def test_the_tokenizer_goes_along_and_agrees(tokenizer_folder, tmp_path):
    import transformers

    from seedstock.inputs.tokenizers import Tokenizer

    tokenizer = Tokenizer(tokenizer_folder)
    network = small(context=64).build(-(-tokenizer.vocab_size // 64) * 64)
    report = export(network, tokenizer_folder, tmp_path / "out")
    assert report["token_ids"]["passed"]
    assert report["token_ids"]["tokens"] == sum(len(text.encode()) for text in parity.TEXTS)
    assert report["logits"].keys() == {"random", "text"}
    assert isinstance(report["greedy"]["text"], str)
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    chat = loaded.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    answer = [i for i, mask in zip(chat["input_ids"], chat["assistant_masks"], strict=True) if mask]
    assert loaded.decode(answer) == "Ho<|im_end|>"
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert generation["eos_token_id"] == [tokenizer.specials["eos"], tokenizer.specials["im_end"]]
    assert generation["bos_token_id"] == tokenizer.specials["bos"] == loaded.bos_token_id


def test_another_tokenizer_in_the_folder_is_noticed(tokenizer_folder, tmp_path, monkeypatch):
    network = small(context=64).build(320)

    def other(source, folder):
        found = _write(source, folder)
        text = (folder / "tokenizer.json").read_text()
        changed = json.loads(text)
        changed["normalizer"] = {"type": "Lowercase"}
        (folder / "tokenizer.json").write_text(json.dumps(changed))
        return found

    from seedstock.transfer import export as module

    _write = module._write_tokenizer
    monkeypatch.setattr(module, "_write_tokenizer", other)
    with pytest.raises(SeedstockError, match="token ids"):
        export(network, tokenizer_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_greedy_text_goes_on_where_the_end_token_is_the_likeliest(tokenizer_folder, tmp_path):
    from seedstock.inputs.tokenizers import Tokenizer

    end = Tokenizer(tokenizer_folder).specials["eos"]
    network = small("llama", context=64).build(320)
    with torch.no_grad():
        network.backbone.norm.weight.copy_(torch.arange(32) == 0)  # one dimension is left, whose sign decides
        network.embedding.tokens.weight[:, 0] = 5.0
        network.head.weight[:, 0] = torch.linspace(0.1, 0.2, 320)
        network.head.weight[end, 0] = 1.0
    report = export(network, tokenizer_folder, tmp_path / "out")
    assert report["greedy"]["passed"]
    assert report["greedy"]["tokens"] == [end] * 32


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "config.json: cannot be read: No such file"),
        ("[1, 2]", "not a JSON object"),
        ("{", "not readable as JSON"),
        ('{"architectures": "LlamaForCausalLM"}', "a model without a class"),
        ('{"architectures": ["GPT2LMHeadModel"], "vocab_size": 9}', "it lacks 'n_positions'"),
    ],
)
def test_a_folder_without_a_usable_configuration_says_what_to_do(written, text, words):
    path = written / "config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(SeedstockError, match=words) as error:
        import_model(written, parity=False)
    assert error.value.fix and "stage" not in error.value.fix


@pytest.mark.parametrize("size", [None, "many", 0])
def test_a_missing_or_odd_vocabulary_is_named(written, size):
    _change(written, vocab_size=size)
    with pytest.raises(SeedstockError, match="vocab_size"):
        import_model(written, parity=False)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "..", "a\\b", "", 7])
def test_an_index_does_not_lead_out_of_its_folder(written, name):
    (written / "model.safetensors").rename(written.parent / "model.safetensors")
    index = written / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"head.weight": name}}))
    with pytest.raises(SeedstockError, match=r"no file of this folder|no map of weights") as error:
        import_model(written, parity=False)
    assert error.value.where == str(index)


def test_what_transformers_cannot_load_is_told_and_nothing_of_the_folder_is_run(written, monkeypatch):
    (written / "evil.py").write_text("raise SystemExit('was run')")
    _change(written, auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"})
    assert import_model(written).report["passed"]
    network = lively("llama")
    torch.save({}, written / "pytorch_model.bin")
    (written / "model.safetensors").unlink()
    with pytest.raises(SeedstockError, match="transformers cannot load it") as error:
        parity.compare(network, written)
    assert error.value.__cause__ is not None and "safetensors" in error.value.what
