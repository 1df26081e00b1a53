"""The code on the card of a decoder over codes draws a picture, or plays a sound, with what lies beside it."""

from __future__ import annotations

import json

import pytest
from conformance import Made
from conformance_families import FAMILIES

pytest.importorskip("transformers")
pytest.importorskip("diffusers")

from seedstock.inputs.picture_codes import PictureCodesConfig
from seedstock.inputs.sound_codes import SoundCodesConfig
from seedstock.inputs.tokenizers import vocabulary
from seedstock.inputs.tokenizers.train import _ecosystem_config
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.release.loading import beside_of, exported_class, loading
from seedstock.transfer import items
from seedstock.transfer.export import export

SMALL = {"width": 32, "layers": 1, "heads": 2, "context": 160, "mlp_width": 64}


@pytest.mark.parametrize("family, name", [("vq ema", "pictures"), ("residual-vq ema", "sounds")])
def test_codes_are_drawn_and_played(family, name, tmp_path, monkeypatch, capsys):
    coder = Made(FAMILIES[family])
    model = coder.model
    coded = (
        PictureCodesConfig(run="run:vq", codes=model.codes)
        if name == "pictures"
        else SoundCodesConfig(run="run:codec", codes=model.codes, books=model.books)
    )
    backend = vocabulary.of_bytes(4, coded.specials())
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer/tokenizer.json").write_text(backend.to_str())
    (tmp_path / "tokenizer/tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    network = DecoderConfig(shape="llama", **SMALL).build(backend.get_vocab_size())
    export(network, tmp_path / "tokenizer", tmp_path / "model", parity=False)
    assert beside_of(tmp_path / "model") is None
    items.export(coder.nets().eval(), coder.objective, tmp_path / "model" / name)
    monkeypatch.chdir(tmp_path)
    exec(loading(exported_class(tmp_path / "model"), beside_of(tmp_path / "model")).code, {})
    shape = capsys.readouterr().out
    frames = f"1, 1, {8 * model.hop}" if name == "sounds" else f"1, {model.channels}, {model.image}, {model.image}"
    assert f"[{frames}]" in shape
