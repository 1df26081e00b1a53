"""Pictures and captions in one stream: what a run of ``recipes/early-fusion.yaml`` draws and says.

``python benchmarks/early_fusion.py --runs runs`` prints JSON: of every class's caption ``--each`` pictures are drawn
from codes and judged by the nearest neighbours of real training pictures, beside real held-out ones through the codes
and as they are; held-out pictures are given a caption, right to the letter or not. ``--picture PATH`` writes what was
drawn.
"""

from __future__ import annotations

import argparse
import json
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


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--run", default="early-fusion")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--picture", type=Path)
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
    print(json.dumps(found, indent=2))
    if given.picture:
        pixels = ((made + 1) * 127.5).round().byte().numpy().reshape(len(names), given.each, *made.shape[1:])
        pictures.write(given.picture, pixels[:, :10])


if __name__ == "__main__":
    main()
