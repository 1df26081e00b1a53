"""What the peers' plain loops over pictures share: the pictures of an archive, the sizes asked for, the timed steps."""

import argparse
import io
import statistics
import tarfile
import time

from PIL import Image


def arguments(pictures, sizes):
    """The command line of a loop over ``pictures`` (a help text), with an option for each of ``sizes``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", required=True, help=pictures)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def decoded(path, suffix=""):
    """The pictures of a tar archive whose names end in ``suffix``, as RGB."""
    with tarfile.open(path) as archive:
        files = [archive.extractfile(one).read() for one in archive if one.isfile() and one.name.endswith(suffix)]
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in files]


def examples_per_second(loader, step, given):
    """By the median of ``given.steps`` steps after ``given.warmup``, loading included."""
    seconds, began = [], time.perf_counter()
    while len(seconds) < given.warmup + given.steps:
        for batch in loader:
            step(*batch)
            now = time.perf_counter()
            seconds.append(now - began)
            began = now
            if len(seconds) == given.warmup + given.steps:
                break
    return given.batch / statistics.median(seconds[given.warmup :])
