"""Pairs a second of CLIP in a plain loop over open_clip's network, loss and transform; prints a JSON line.

Decoded pictures and tokens lie in memory; pictures go through open_clip's own transform for training in ``--workers``
processes (0: in the loop). The last token of a text is the largest, as that network finds a text's end.
"""

import argparse
import io
import json
import statistics
import tarfile
import time

import torch
from open_clip import ClipLoss, image_transform
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from PIL import Image


class Pairs(torch.utils.data.Dataset):
    def __init__(self, path, transform, context, words):
        with tarfile.open(path) as archive:
            files = [archive.extractfile(one).read() for one in archive if one.name.endswith(".png")]
        self.images = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
        self.tokens = torch.randint(1, words - 1, (len(files), context))
        self.tokens[:, -1] = words - 1
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.transform(self.images[number]), self.tokens[number]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", required=True, help="a webdataset archive")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    sizes = {"side": 32, "patch": 8, "width": 64, "layers": 3, "heads": 4, "text_layers": 1, "context": 16}
    for name, value in (sizes | {"words": 2048}).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    seen = CLIPVisionCfg(
        layers=given.layers, width=given.width, head_width=given.width // given.heads, patch_size=given.patch,
        image_size=given.side,
    )  # fmt: skip
    read = CLIPTextCfg(
        context_length=given.context, vocab_size=given.words, width=given.width, heads=given.heads,
        layers=given.text_layers,
    )  # fmt: skip
    model = CLIP(embed_dim=given.width, vision_cfg=seen, text_cfg=read).train()
    criterion, seconds = ClipLoss(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    pairs = Pairs(given.pictures, image_transform(given.side, is_train=True), given.context, given.words)
    options = {"shuffle": True, "drop_last": True, "num_workers": given.workers}
    loader = torch.utils.data.DataLoader(pairs, given.batch, **options)
    began = time.perf_counter()
    while len(seconds) < given.warmup + given.steps:
        for images, tokens in loader:
            image, text, scale = model(images, tokens)
            loss = criterion(image, text, scale)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            now = time.perf_counter()
            seconds.append(now - began)
            began = now
            if len(seconds) == given.warmup + given.steps:
                break
    count = sum(one.numel() for one in model.parameters())
    rate = given.batch / statistics.median(seconds[given.warmup :])
    said = {"trainer": "open_clip", "workers": given.workers, "threads": given.threads}
    print(json.dumps(said | {"pairs_per_second": rate, "parameters": count}))


if __name__ == "__main__":
    main()
