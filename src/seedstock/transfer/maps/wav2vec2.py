"""Wav2Vec2ForPreTraining: the encoder with its books of codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.transfer.maps import hubert, with_biases
from seedstock.transfer.tensors import outward

CLASS, LIBRARY = "Wav2Vec2ForPreTraining", "transformers"
fits, processor = hubert.fits, hubert.processor


def to_config(c: Any, objective: Any) -> dict[str, Any]:
    """``config.json``."""
    own = objective.config
    return {
        "model_type": "wav2vec2",
        **hubert.sizes(c, objective),
        "feat_quantizer_dropout": 0.0,
        "num_codevector_groups": own.groups,
        "num_codevectors_per_group": own.entries,
        "codevector_dim": own.code_width,
        "proj_codevector_dim": own.width,
        "num_negatives": own.negatives,
        "contrastive_logits_temperature": own.temperature,
        "diversity_loss_weight": own.diversity,
    }


def tensors(nets: Any, objective: Any) -> dict[str, Tensor]:
    """Encoder, books and projections."""
    own = {name: tensor.detach() for name, tensor in nets["codes"].state_dict().items()}
    found = {"quantizer.codevectors": own.pop("books")[None]}
    rules = with_biases(
        ("choose", "quantizer.weight_proj"), ("project_hidden", "project_hid"), ("project_code", "project_q")
    )
    return hubert.encoder(nets["network"], "wav2vec2.") | found | outward(own, rules)


def load(library: Any, folder: Any) -> Any:
    """The class."""
    return library.Wav2Vec2ForPreTraining.from_pretrained(folder, local_files_only=True)


def compare(theirs: Any, nets: Any, objective: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Projected hidden states and codes of the frames of clips with the same ones hidden, and the contrastive loss with
    the same others drawn, theirs and ours."""
    import numpy as np

    from seedstock.inputs.keys import Keys

    if objective.config.distractors != "clip":  # what their loss has no words for
        objective = type(objective)(objective.config.model_copy(update={"distractors": "clip"}), objective.spec)
    network, codes = nets["network"], nets["codes"]
    samples, length = hubert.clips(network.config)
    examples = np.arange(len(samples))
    given = {"waveform": samples, "length": length, "present": torch.ones(len(samples), dtype=torch.bool)}
    batch = objective.corrupt({**given, "examples": torch.from_numpy(examples)}, Keys(1, examples))
    inputs = objective.inputs(nets, batch)
    hidden = network.backbone(**inputs).hidden
    code, _, _ = codes(batch["latents"], None, None)
    nats = objective.represent(nets, type("Output", (), {"hidden": hidden}), batch)["nats"].sum()
    there, count = batch["inside"], batch["hidden"].shape[1]
    flat = batch["others"].clamp(min=0) + torch.arange(len(samples))[:, None, None] * count
    found = theirs(
        samples,
        attention_mask=(torch.arange(samples.shape[1]) < length[:, None]).long(),
        mask_time_indices=batch["hidden"],
        sampled_negative_indices=flat,
    )
    return {
        "hidden states": (found.projected_states[there], codes.project_hidden(hidden)[there]),
        "codes": (found.projected_quantized_states[there], code[there]),
        "contrast": (found.contrastive_loss[None], nats[None]),
    }
