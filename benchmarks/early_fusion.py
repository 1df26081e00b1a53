"""Pictures and captions in one stream: what a run of ``recipes/early-fusion.yaml`` draws and says.

``python benchmarks/early_fusion.py --runs runs`` prints JSON: of every class's caption ``--each`` pictures are drawn
from codes and judged by the nearest neighbours of real training pictures, beside real held-out ones through the codes
and as they are; held-out pictures are given a caption, right to the letter or not. ``--picture PATH`` writes what was
drawn. ``--alone RUN`` names a run that read the texts alone: what the held-out texts without a picture cost both.

    seedstock run early-fusion.yaml --name alone --set 'mixture.weights={mnist: 0, books: 1}' \\
        --set 'mixture.schedule=[]' --set training.batch_examples=12 --set training.micro_batch=12
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seedstock import coders, weights
from seedstock.evaluation import pictures
from seedstock.evaluation.probes import knn
from seedstock.inputs.items.config import Document
from seedstock.inputs.picture_codes import Pictures
from seedstock.models.generate import generate
from seedstock.models.patches import normalised
from seedstock.runs import Run

JUDGING = 10_000


def real(run: Run, cut: Any, split: str, count: int) -> tuple[torch.Tensor, list[str], list[bytes]]:
    """Pictures from -1 to 1 ``[N, H, W, C]``, their captions and their bytes."""
    images, captions, media = [], [], []
    for batch in run.corpus.texts(split, media="image/"):
        for row in batch.to_pylist():
            if row["media"] is None:
                continue
            images.append(next(iter(cut.items(Document(row["media"], "", "", {}))))["image"])
            captions.append(row["text"])
            media.append(row["media"])
            if len(images) == count:
                return normalised(torch.from_numpy(np.stack(images))), captions, media
    return normalised(torch.from_numpy(np.stack(images))), captions, media


def shares(right: torch.Tensor) -> dict[str, float]:
    """A share and its standard error."""
    share = float(right.float().mean())
    return {"share": share, "error": (share * (1 - share) / len(right)) ** 0.5, "of": len(right)}


def beside(run: Run, other: Run, source: str = "books") -> dict[str, float]:
    """Bits a byte of a source's held-out texts under two runs, and the difference with its standard error over
    documents (of a ratio estimator, as in ``evaluation/scores.json``)."""
    (stratum,) = (one for one in run.shards.strata("held_out") if one.source == source)
    ids = {bytes(one) for one in run.shards.documents("held_out", stratum.stratum)[0]}
    tables = [np.load(one.folder / "evaluation" / "documents.npy") for one in (run, other)]
    own, alone = ({bytes(row["id"]): row for row in table if bytes(row["id"]) in ids} for table in tables)
    size = np.array([float(row["bytes"]) for row in own.values()])
    bits = np.array([[one[name]["nats"] for name in own] for one in (own, alone)]) / math.log(2)
    difference = bits[0] - bits[1]
    rate = difference.sum() / size.sum()
    spread = math.sqrt(np.square(difference - rate * size).sum() * len(size) / max(1, len(size) - 1))
    each = {"bits per byte": bits[0].sum() / size.sum(), "alone": bits[1].sum() / size.sum()}
    return {**each, "difference": rate, "error": spread / size.sum(), "documents": len(size)}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--run", default="early-fusion")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--alone", help="a run that read the texts alone")
    given = parser.parse_args()
    run = Run.open(given.runs, given.run)
    config, specials = run.recipe.input.pictures, run.tokenizer.specials
    coder = coders.of(given.runs, config)
    written = Pictures(config, coder, specials)
    vq, cut = coders._loaded(coder)
    network = weights.load(run)[0]

    train, captions, _ = real(run, cut, "train", JUDGING)
    held, truth, media = real(run, cut, "held_out", 500)
    names = sorted(set(captions))
    known, asked = (torch.tensor([names.index(one) for one in some]) for some in (captions, truth))
    x = train.flatten(1)

    code_ids = written.ids[2:].tolist()
    others = sorted(set(range(run.vocab_size)) - set(code_ids))
    begin, bos = int(written.ids[0]), specials["bos"]
    drawn, wanted = [], []
    for number, name in enumerate(names):
        prompt = [bos, *run.tokenizer.encode(name).tolist(), begin]
        for seed in range(given.each):
            codes = generate(network, prompt, vq.config.context, forbidden=others, seed=1000 * number + seed)
            drawn.append(vq.draw(torch.tensor([codes]) - code_ids[0])[0])
            wanted.append(number)
    made = torch.stack(drawn).clamp(-1, 1)

    right = []
    for codes, caption in zip(coder(media), truth, strict=True):
        prompt = [bos, *written.tokens(codes).tolist()]
        said = generate(network, prompt, 8, temperature=0, stop={specials["eos"]}, forbidden=set(written.ids.tolist()))
        right.append(run.tokenizer.decode(said) == caption)
    found = {
        "caption to picture": shares(knn(x, known, made.flatten(1), torch.tensor(wanted))),
        "real pictures": shares(knn(x, known, held.flatten(1), asked)),
        "real pictures through the codes": shares(knn(x, known, vq(held).clamp(-1, 1).flatten(1), asked)),
        "picture to caption": shares(torch.tensor(right)),
        "chance": max(captions.count(name) for name in names) / len(captions),
    }
    if given.alone:
        found["texts"] = beside(run, Run.open(given.runs, given.alone))
    print(json.dumps(found, indent=2))
    if given.picture:
        pixels = ((made + 1) * 127.5).round().byte().numpy().reshape(len(names), given.each, *made.shape[1:])
        pictures.write(given.picture, pixels[:, :10])


if __name__ == "__main__":
    main()
