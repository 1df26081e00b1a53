"""Sounds and their texts in one stream: what a run of ``recipes/codec-language.yaml`` says and writes down.

``python benchmarks/codec_language.py --runs runs`` prints JSON: of every text ``--each`` sounds are drawn from codes
and judged by a linear probe on pooled spectra of real training sounds, beside real held-out ones through the codes and
as they are; and by one on training sounds through the codes, which knows what the codec does to them. Held-out sounds
are given a text, right to the letter or not. ``--sounds FOLDER`` writes what was drawn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seedstock import coders, weights
from seedstock.corpus.media.sounds import resampled, sound
from seedstock.evaluation import probes
from seedstock.inputs.sound_codes import Sounds
from seedstock.models.generate import generate
from seedstock.objectives.sounds import pooled_spectra
from seedstock.runs import Run


def real(run: Run, split: str) -> tuple[list[str], list[bytes]]:
    """Texts and sounds of a split."""
    texts, media = [], []
    for batch in run.corpus.texts(split, media="audio/"):
        rows = [row for row in batch.to_pylist() if row["media"] is not None]
        texts += [row["text"] for row in rows]
        media += [row["media"] for row in rows]
    return texts, media


def spectra(sounds: list[np.ndarray], samples: int, rate: int) -> torch.Tensor:
    """What a probe reads of sounds, cut or filled up to so many samples."""
    waveform = np.stack([np.pad(one[:samples], (0, max(0, samples - len(one)))) for one in sounds])
    length = torch.tensor([min(len(one), samples) for one in sounds])
    stored = torch.from_numpy(np.rint(np.clip(waveform, -1, 1) * 32767).astype(np.int16))
    return pooled_spectra({"waveform": stored, "length": length}, rate)


def share(right: Any) -> dict[str, float]:
    """A share and its standard error."""
    right = torch.as_tensor(right)
    part = float(right.float().mean())
    return {"share": part, "error": (part * (1 - part) / len(right)) ** 0.5, "of": len(right)}


def measure(run: Run, each: int, folder: Path | None = None, temperature: float = 1.0) -> dict[str, Any]:
    """What the module says, as one record."""
    config, specials = run.recipe.input.sounds, run.tokenizer.specials
    coder = coders.of(run.runs, config)
    written = Sounds(config, coder, specials)
    codec, _ = coders._loaded(coder)
    network, rate, samples = weights.load(run)[0], codec.config.rate, codec.config.samples

    texts, media = real(run, "train")
    truth, held = real(run, "held_out")
    names = sorted(set(texts))
    known, asked = (torch.tensor([names.index(one) for one in some]) for some in (texts, truth))
    plain, others = ([resampled(*sound(one), rate) for one in some] for some in (media, held))
    through = [coder.play(codes[:, : config.books])[0] for codes in coder(held)]
    played = [coder.play(codes[:, : config.books])[0] for codes in coder(media)]
    x, y = (spectra(some, samples, rate) for some in (plain, played))

    begin, end, bos, eos = (specials[name] for name in ("sound", "sound_end", "bos", "eos"))
    codes = set(written.ids.tolist())
    forbidden = sorted(set(range(run.vocab_size)) - (codes - {begin}))
    drawn, wanted = [], []
    for number, name in enumerate(names):
        prompt = [bos, *run.tokenizer.encode(name).tolist(), begin]
        for seed in range(each):
            options = {"stop": {end}, "forbidden": forbidden, "seed": 1000 * number + seed, "temperature": temperature}
            made = written.codes(generate(network, prompt, codec.config.context * config.books, **options))
            drawn.append(coder.play(made)[0] if len(made) else np.zeros(codec.config.hop, np.float32))
            wanted.append(number)
            if folder is not None:
                import soundfile

                folder.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / f"{name}-{seed:02}.wav", drawn[-1], rate)

    right = []
    for one, text in zip(coder(held), truth, strict=True):
        prompt = [bos, *written.tokens(one).tolist()]
        said = generate(network, prompt, 8, temperature=0, stop={eos}, forbidden=codes)
        right.append(run.tokenizer.decode([token for token in said if token != eos]) == text)

    def told(by: torch.Tensor, sounds: list[np.ndarray], labels: Any) -> dict[str, float]:
        return share(probes.linear(by, known, spectra(sounds, samples, rate), labels))

    return {
        "text to sound": told(x, drawn, torch.tensor(wanted)),
        "real sounds": told(x, others, asked),
        "real sounds through the codes": told(x, through, asked),
        "text to sound, by a probe of codes": told(y, drawn, torch.tensor(wanted)),
        "real sounds through the codes, by a probe of codes": told(y, through, asked),
        "sound to text": share(right),
        "chance": max(truth.count(name) for name in names) / len(truth),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--run", default="codec-language")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--sounds", type=Path)
    parser.add_argument("--temperature", type=float, default=1.0, help="of the codes that are drawn")
    given = parser.parse_args()
    print(json.dumps(measure(Run.open(given.runs, given.run), given.each, given.sounds, given.temperature), indent=2))


if __name__ == "__main__":
    main()
