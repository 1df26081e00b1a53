"""From a fine-tuned classifier to a folder that ``transformers`` loads as its class for sequences, with the proof."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.ledger.files import atomic_folder, read_json, write_json
from seedstock.models.keys import generator
from seedstock.transfer import parity as proof
from seedstock.transfer.export import TOKENIZER_FILES
from seedstock.transfer.maps import Rule, find, pairs, rules, with_biases
from seedstock.transfer.tensors import outward

HEADS: dict[str, tuple[Rule, ...]] = {
    "BertForSequenceClassification": with_biases(
        ("class_head.dense", "bert.pooler.dense"), ("class_head.classifier", "classifier")
    ),
    "ModernBertForSequenceClassification": with_biases(("class_head.classifier", "classifier")),
    "EsmForSequenceClassification": with_biases(
        ("class_head.dense", "classifier.dense"), ("class_head.classifier", "classifier.out_proj")
    ),
}
"""The head's tensors; those of decoders are one matrix, ``score``."""
_SCORE = pairs(("class_head.classifier.weight", "score.weight"))
_POOLS = {"first": "cls", "mean": "mean"}  # as ModernBERT's configuration says it


def export(
    nets: Mapping[str, Any], objective: Any, export_class: str, tokenizer_folder: Path, folder: Path
) -> dict[str, Any]:
    """Writes configuration, weights in fp32, tokenizer and ``parity.json``; returns the parity report.

    ``export_class`` is what ``ClassifyConfig.export_class`` says. The tokenizer there puts BOS before a text and EOS
    after it, as the texts of training had them. The folder appears whole or not at all. Raises SeedstockError where it
    exists, where transformers is not installed, and where its class computes something else.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedstockError("it exists already", where=folder, fix="name a new folder, or remove this one")
    library = proof.transformers()
    kept = {name: copy.deepcopy(net).cpu().eval() for name, net in nets.items()}
    network = kept["network"].use(torch.float32)
    target = find(network.config.export_class, "model")
    with atomic_folder(folder) as partial:
        _write_weights(network, kept["class_head"], target, export_class, partial)
        specials = objective.spec.specials
        config = target.to_config(network.config, network.vocab_size)
        labels = dict(enumerate(objective.spec.labels))
        own: dict[str, Any] = {f"{name}_token_id": specials[name] for name in ("bos", "eos", "pad")}
        own |= {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}
        own |= {"problem_type": "single_label_classification", "classifier_dropout": objective.config.dropout}
        own |= {"cls_token_id": specials["bos"], "sep_token_id": specials["eos"]}
        if objective.pool in _POOLS:
            own["classifier_pooling"] = _POOLS[objective.pool]
        write_json(partial / "config.json", {"architectures": [export_class], "dtype": "float32", **config, **own})
        _write_tokenizer(Path(tokenizer_folder), partial, specials, network.config.context)
        report = _compare(library, kept, objective, partial)
        proof.insist(report, folder)
        write_json(partial / "parity.json", report)
    return report


def _write_weights(network: Any, head: Any, target: Any, export_class: str, folder: Path) -> None:
    from safetensors.torch import save_file

    table = [*rules(target, network.config), *HEADS.get(export_class, _SCORE)]
    # ModernBERT's classifier reads what the head for hidden tokens makes ready; the others have none of that.
    kept = ("head.dense.", "head.norm.") if network.config.shape == "modernbert" else ("\0",)
    ours = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("head.") or name.startswith(kept)
    }
    ours |= {f"class_head.{name}": tensor for name, tensor in head.state_dict().items()}
    save_file(outward(ours, table), folder / "model.safetensors", {"format": "pt"})


def _write_tokenizer(source: Path, folder: Path, specials: Mapping[str, int], context: int) -> None:
    """The tokenizer's files, with a template that ends texts as those of training ended."""
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, folder / name)
    record = read_json(folder / "tokenizer.json")
    named = {token["id"]: token["content"] for token in record["added_tokens"]}
    bos, eos = (named[specials[name]] for name in ("bos", "eos"))

    def token(text: str, kind: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": text, "type_id": kind}}

    first, second = ({"Sequence": {"id": name, "type_id": number}} for number, name in enumerate("AB"))
    record["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [token(bos), first, token(eos)],
        "pair": [token(bos), first, token(eos), second, token(eos)],
        "special_tokens": {
            text: {"id": text, "ids": [specials[name]], "tokens": [text]} for name, text in (("bos", bos), ("eos", eos))
        },
    }
    write_json(folder / "tokenizer.json", record)
    settings = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", {**settings, "model_max_length": context, "padding_side": "right"})


@torch.inference_mode()
def _compare(library: Any, nets: Mapping[str, Any], objective: Any, folder: Path) -> dict[str, Any]:
    """Logits of classes, theirs against ours: of texts as their own tokenizer makes rows of them, and of random rows
    of several lengths."""
    network, specials = nets["network"], objective.spec.specials
    theirs = proof._load(library.AutoModelForSequenceClassification, folder, dtype=torch.float32, use_safetensors=True)
    theirs = theirs.eval()
    tokenizer = proof._load(library.AutoTokenizer, folder)
    made = tokenizer(list(proof.TEXTS), padding=True, truncation=True, return_tensors="pt")
    length = min(network.config.context, 48)
    drawn = torch.randint(0, network.vocab_size, (4, length), generator=generator("parity of classes"))
    drawn[drawn == specials["pad"]] = specials["eos"]
    for row in range(len(drawn)):
        drawn[row, length - row * (length // 5) :] = specials["pad"]
    rows = {"text": made["input_ids"], "random": drawn}
    checks = {}
    for name, tokens in rows.items():
        seen = tokens != specials["pad"]
        batch: dict[str, Tensor] = {"tokens": tokens, "documents": torch.where(seen, 0, -1)}
        output = network.backbone(**objective.inputs(nets, batch))
        ours = objective.logits(nets, output, batch)
        other = theirs(input_ids=tokens, attention_mask=seen.long()).logits.float()
        scale = max(1.0, float(ours.abs().max()))
        difference = float((ours - other).abs().max())
        passed = difference <= proof.TOLERANCE * scale  # not so for NaN
        checks[name] = {"rows": len(tokens), "largest_difference": difference, "scale": scale, "passed": passed}
    texts = [[int(token) for token in row[row != specials["pad"]]] for row in made["input_ids"]]
    expected = [_row(objective, text, network.config.context) for text in proof.TEXTS]
    return {
        "class": type(theirs).__name__,
        "transformers": library.__version__,
        "tolerance": proof.TOLERANCE,
        "logits": checks,
        "token_ids": {"texts": len(texts), "passed": texts == expected},
        "passed": texts == expected and all(check["passed"] for check in checks.values()),
    }


def _row(objective: Any, text: str, length: int) -> list[int]:
    """A text's tokens as training had them."""
    from seedstock.inputs.items.captions import caption

    row = caption(text, objective.spec.tokenizer, length)
    return row[row != objective.spec.specials["pad"]].tolist()
