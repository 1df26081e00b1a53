"""The mean of a run's checkpoints, in the ecosystem's format."""

import json

import pytest
import torch

from seedstock import weights
from seedstock.errors import DataError


def test_the_mean_is_exported_with_its_proof_and_names_its_checkpoints(finished, tmp_path):
    from transformers import AutoModelForCausalLM

    report = weights.average(finished, tmp_path / "mean", [10, 12])
    assert report["steps"] == [10, 12]
    recorded = {str(body["step"]): body["manifest_sha256"] for body in finished.chain.of("checkpoint")}
    about = json.loads((tmp_path / "mean" / "average.json").read_text())
    assert about == {"run": "small", "manifest_sha256": {step: recorded[step] for step in ("10", "12")}}
    ours = [
        next(p.double() for name, p in weights.load(finished, step)[0].named_parameters() if "embedding" in name)
        for step in (10, 12)
    ]
    wanted = ((ours[0] + ours[1]) / 2).detach().cpu()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "mean").get_input_embeddings().weight
    torch.testing.assert_close(theirs.detach().double(), wanted, rtol=1e-5, atol=1e-7)
    with pytest.raises(DataError, match="no checkpoint of step 5"):
        weights.average(finished, tmp_path / "none", [5, 12])
