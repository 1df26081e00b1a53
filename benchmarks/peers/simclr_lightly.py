"""Pictures a second of SimCLR as lightly's guide writes the loop, on a vision transformer of timm; prints a JSON line.

Views are drawn by lightly's own transform in ``--workers`` processes (0: in the loop), decoded pictures lie in memory.
"""

import argparse
import io
import json
import statistics
import tarfile
import time

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from PIL import Image
from timm.models.vision_transformer import VisionTransformer


class Pictures(torch.utils.data.Dataset):
    def __init__(self, path, transform):
        with tarfile.open(path) as archive:
            files = [archive.extractfile(one).read() for one in archive if one.isfile()]
        self.images = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.transform(self.images[number])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", required=True, help="a tar archive")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    for name, value in {"side": 32, "patch": 8, "width": 128, "layers": 4, "heads": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    transform = SimCLRTransform(input_size=given.side, cj_strength=0.5, min_scale=0.2, gaussian_blur=0.0)
    sizes = {"embed_dim": given.width, "depth": given.layers, "num_heads": given.heads}
    network = VisionTransformer(given.side, given.patch, num_classes=0, global_pool="avg", **sizes)
    head = SimCLRProjectionHead(given.width, 512, 128)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    criterion, seconds = NTXentLoss(temperature=0.2), []
    options = {"shuffle": True, "drop_last": True, "num_workers": given.workers}
    loader = torch.utils.data.DataLoader(Pictures(given.pictures, transform), given.batch, **options)
    began = time.perf_counter()
    while len(seconds) < given.warmup + given.steps:
        for first, second in loader:
            loss = criterion(head(network(first)), head(network(second)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            now = time.perf_counter()
            seconds.append(now - began)
            began = now
            if len(seconds) == given.warmup + given.steps:
                break
    count = sum(one.numel() for one in network.parameters())
    rate = given.batch / statistics.median(seconds[given.warmup :])
    said = {"trainer": "lightly", "workers": given.workers, "threads": given.threads}
    print(json.dumps(said | {"pictures_per_second": rate, "parameters": count}))


if __name__ == "__main__":
    main()
