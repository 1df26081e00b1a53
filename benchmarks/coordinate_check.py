"""The coordinate check of µP: sizes of activations over the width, with a base width and without, as a picture.

``python benchmarks/coordinate_check.py docs/coordinate-check.png``: decoders of two layers, AdamW at 1e-2, eight
sequences of 16 random tokens, the same ones at every step; widths from 32 to 512, the base is 32. Needs matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.coordinates import SITES, coordinates

WIDTHS, STEPS, BASE = (32, 64, 128, 256, 512), 5, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    torch.set_num_threads(1)
    config = TrainingConfig(optimizer={"kind": "adamw", "learning_rate": 1e-2, "weight_decay": 0.0})
    tokens = torch.randint(0, 64, (8, 17), generator=torch.Generator().manual_seed(0))
    figure, axes = pyplot.subplots(2, len(SITES), figsize=(11, 5), sharex=True, sharey="col")
    for row, (base, name) in enumerate(((BASE, "µP"), (None, "standard"))):
        found = []
        for width in WIDTHS:
            sizes = {"layers": 2, "heads": width // 16, "context": 16}
            network = DecoderConfig(width=width, base_width=base, **sizes).build(64, seed=1)
            found.append(coordinates(network, config, [tokens] * STEPS)[0])
        for site, axis in zip(SITES, axes[row], strict=True):
            for step in range(STEPS + 1):
                line = [one[step][site] for one in found]
                axis.loglog(WIDTHS, line, marker=".", color=pyplot.colormaps["viridis"](step / STEPS), label=f"{step}")
            axis.set_title(f"{site}, {name}", fontsize=9)
            ends = [one[STEPS][site] for one in found]
            print(f"{name}, {site}: {ends[0]:.3g} at width {WIDTHS[0]}, {ends[-1]:.3g} at {WIDTHS[-1]}")
        axes[row][0].set_ylabel("root mean square")
    for axis in axes[1]:
        axis.set_xlabel("width")
        axis.set_xticks(WIDTHS, [str(width) for width in WIDTHS])
        axis.minorticks_off()
    axes[0][2].set_ylim(0.5, 2)
    figure.tight_layout(rect=(0, 0, 0.94, 1))
    figure.legend(*axes[0][0].get_legend_handles_labels(), title="step", fontsize=7, loc="center right")
    figure.savefig(options.picture, dpi=80)


if __name__ == "__main__":
    main()
