"""Pairs a second of CLIP in a plain loop over open_clip's network, loss and transform; prints a JSON line.

Decoded pictures and tokens lie in memory; pictures go through open_clip's own transform for training in ``--workers``
processes (0: in the loop). The last token of a text is the largest, as that network finds a text's end.
"""

import json

import torch
from open_clip import ClipLoss, image_transform
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from timing import arguments, decoded, examples_per_second


class Pairs(torch.utils.data.Dataset):
    def __init__(self, path, transform, context, words):
        self.images = decoded(path, ".png")
        self.tokens = torch.randint(1, words - 1, (len(self.images), context))
        self.tokens[:, -1] = words - 1
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.transform(self.images[number]), self.tokens[number]


def main():
    sizes = {"side": 32, "patch": 8, "width": 64, "layers": 3, "heads": 4, "text_layers": 1, "context": 16}
    given = arguments("a webdataset archive", sizes | {"words": 2048})
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
    criterion = ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    pairs = Pairs(given.pictures, image_transform(given.side, is_train=True), given.context, given.words)
    options = {"shuffle": True, "drop_last": True, "num_workers": given.workers}
    loader = torch.utils.data.DataLoader(pairs, given.batch, **options)

    def step(images, tokens):
        image, text, scale = model(images, tokens)
        loss = criterion(image, text, scale)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    rate = examples_per_second(loader, step, given)
    count = sum(one.numel() for one in model.parameters())
    said = {"trainer": "open_clip", "workers": given.workers, "threads": given.threads}
    print(json.dumps(said | {"pairs_per_second": rate, "parameters": count}))


if __name__ == "__main__":
    main()
