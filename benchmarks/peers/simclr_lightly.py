"""Pictures a second of SimCLR as lightly's guide writes the loop, on a vision transformer of timm; prints a JSON line.

Views are drawn by lightly's own transform in ``--workers`` processes (0: in the loop), decoded pictures lie in memory.
"""

import json

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from timing import arguments, decoded, examples_per_second
from timm.models.vision_transformer import VisionTransformer


class Pictures(torch.utils.data.Dataset):
    def __init__(self, path, transform):
        self.images, self.transform = decoded(path), transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, number):
        return self.transform(self.images[number])


def main():
    given = arguments("a tar archive", {"side": 32, "patch": 8, "width": 128, "layers": 4, "heads": 4})
    torch.set_num_threads(given.threads)
    transform = SimCLRTransform(input_size=given.side, cj_strength=0.5, min_scale=0.2, gaussian_blur=0.0)
    sizes = {"embed_dim": given.width, "depth": given.layers, "num_heads": given.heads}
    network = VisionTransformer(given.side, given.patch, num_classes=0, global_pool="avg", **sizes)
    head = SimCLRProjectionHead(given.width, 512, 128)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    criterion = NTXentLoss(temperature=0.2)
    options = {"shuffle": True, "drop_last": True, "num_workers": given.workers}
    loader = torch.utils.data.DataLoader(Pictures(given.pictures, transform), given.batch, **options)

    def step(first, second):
        loss = criterion(head(network(first)), head(network(second)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    rate = examples_per_second(loader, step, given)
    count = sum(one.numel() for one in network.parameters())
    said = {"trainer": "lightly", "workers": given.workers, "threads": given.threads}
    print(json.dumps(said | {"pictures_per_second": rate, "parameters": count}))


if __name__ == "__main__":
    main()
