"""Clips a second of VideoMAE in a plain loop over transformers' class; prints a JSON line.

Clips are noise and lie in memory as the class reads them; places are hidden anew for every clip.
"""

import argparse
import json
import statistics
import time

import torch
from transformers import VideoMAEConfig, VideoMAEForPreTraining


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batch", type=int, default=32)
    sizes = {"side": 32, "patch": 4, "frames": 8, "tubelet": 2, "channels": 3, "width": 128, "layers": 4, "heads": 4}
    for name, value in (sizes | {"mlp": 512, "decoder_width": 96, "decoder_layers": 2, "decoder_heads": 4}).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--mask", type=float, default=0.75)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = VideoMAEConfig(
        image_size=given.side, patch_size=given.patch, num_frames=given.frames, tubelet_size=given.tubelet,
        num_channels=given.channels, hidden_size=given.width, num_hidden_layers=given.layers,
        num_attention_heads=given.heads, intermediate_size=given.mlp, decoder_num_hidden_layers=given.decoder_layers,
        decoder_num_attention_heads=given.decoder_heads, decoder_hidden_size=given.decoder_width,
        decoder_intermediate_size=4 * given.decoder_width, norm_pix_loss=False,
    )  # fmt: skip
    model = VideoMAEForPreTraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    clips = torch.randn(256, given.frames, given.channels, given.side, given.side)
    places, seconds = (given.side // given.patch) ** 2, []
    for _ in range(given.warmup + given.steps):
        began = time.perf_counter()
        rows = torch.randint(len(clips), (given.batch,))
        hidden = torch.rand(given.batch, places).argsort(1) < round(given.mask * places)
        hidden = hidden.repeat(1, given.frames // given.tubelet)
        with torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16"):
            loss = model(clips[rows], bool_masked_pos=hidden).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    said = {"trainer": "transformers", "precision": given.precision, "threads": given.threads}
    rate = given.batch / statistics.median(seconds[given.warmup :])
    print(json.dumps(said | {"clips_per_second": rate, "parameters": sum(one.numel() for one in model.parameters())}))


if __name__ == "__main__":
    main()
