"""The families of sounds, clips and episodes, for ``conformance_families``."""

from __future__ import annotations

from functools import partial

import torch
from conformance import Family, Secret
from drawn_episodes import tokens_of

from seedstock.inputs.episode_tokens import EpisodeTokensConfig
from seedstock.inputs.items.trajectories import TrajectoriesConfig
from seedstock.inputs.items.video import VideoConfig
from seedstock.inputs.items.waveform import WaveformConfig
from seedstock.models.configs.audio import AudioConfig
from seedstock.models.configs.codec import CodecConfig
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.trajectory import TrajectoryConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.configs.action_tokens import ActionTokensConfig
from seedstock.objectives.configs.decision import DecisionConfig
from seedstock.objectives.configs.hubert import HubertConfig
from seedstock.objectives.configs.residual_codes import ResidualCodesConfig
from seedstock.objectives.configs.video_mae import VideoMaeConfig
from seedstock.objectives.configs.wav2vec2 import Wav2Vec2Config

EPISODES = {"steps": 8, "observation": 3}
ACTING = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "longest": 40, **EPISODES}
CLIPS = WaveformConfig(rate=2000, seconds=0.5, shortest=0, label="speaker")
SOUNDS = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "samples": 1000, "rate": 2000, "channels": 16}
SOUNDS |= {"kernels": (10, 3, 2), "strides": (5, 2, 2), "position_taps": 8, "position_groups": 4}
FRAMES = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "image": 16, "patch": 4}


def other_clips(objective, batch):
    """No clip is seen in the place of another. (Of its own frames, the norm over time of the first convolution tells
    every place a little: ``test_sound_objectives`` holds what comes after it to what is hidden.)"""
    length = objective.spec.model.context
    for row in range(len(batch["waveform"]) - 1):
        yield Secret("waveform", row + 1, (50,), torch.ones(length, dtype=torch.bool), of=row)


def shares_of_frames(objective, batch):
    """Hsu et al. 2021: 8 % of the frames begin spans of 10; what that comes to, drawn without replacement."""
    config, frames = objective.config, batch["inside"].sum(1)
    yield "hidden outside of the sound", float((batch["hidden"] & ~batch["inside"]).sum()), 0, 0
    yield (
        "clips of which nothing is hidden, or all",
        float(((batch["hidden"].sum(1) == 0) | (batch["hidden"].sum(1) == frames)).sum()),
        0,
        0,
    )
    wanted = []
    for count in frames.tolist():
        places = count - config.span + 1
        number = config.start * count
        over = [min(at, places - 1) - max(0, at - config.span + 1) + 1 for at in range(count)]
        wanted.append(sum(1 - (1 - one / places) ** number for one in over) / count)
    share = batch["hidden"].sum(1) / frames
    yield "share of hidden frames", float(share.mean()), sum(wanted) / len(wanted), 0.04
    begun = batch["hidden"] & ~torch.nn.functional.pad(batch["hidden"], (1, 0))[:, :-1]
    runs = batch["hidden"].sum() / begun.sum()
    yield "frames of a run, against a span", float(runs >= config.span), 1, 0


def later_actions(objective, batch):
    """What is done may not be seen where it is told, nor before; nor may what is seen later."""
    length = objective.spec.model.context
    for row, steps in enumerate(batch["length"].tolist()):
        at = steps // 2
        place = (at,) if objective.spec.model.discrete else (at, 0)
        yield Secret("actions", row, place, torch.arange(length) < 3 * at + 2)
        yield Secret("observations", row, (at, 0), torch.arange(length) < 3 * at + 1)


def hidden_tubes(objective, batch):
    """Pixels of hidden places may be seen from nowhere, in no frame."""
    model = objective.spec.model
    side, everywhere = model.image // model.patch, torch.ones(batch["seen"].shape[1], dtype=torch.bool)
    for row, places in enumerate(batch["hidden"].tolist()):
        first, place = divmod(places[-1 - row], side**2)
        top, left = (one * model.patch for one in divmod(place, side))
        yield Secret("clip", row, (first * model.tubelet, top, left, 0), everywhere, input=True)


def shares_of_tubes(objective, batch):
    """Tong et al. 2022: the same places of all frames, each as likely as another."""
    model = objective.spec.model
    hidden = torch.zeros(len(batch["hidden"]), model.patches).scatter_(1, batch["hidden"], 1)
    seen = torch.zeros(len(batch["seen"]), model.patches).scatter_(1, batch["seen"], 1)
    yield "tubelets hidden and seen, or neither", float((hidden + seen != 1).sum()), 0, 0
    each = hidden.view(len(hidden), model.frames // model.tubelet, -1)
    yield "places that differ between frames", float((each != each[:, :1]).sum()), 0, 0
    yield "share", float(hidden.mean()), objective.config.mask, 1e-6
    yield "how the shares of places scatter", float(each.mean((0, 1)).std()), 0, 0.06


def shares_of_books(objective, batch):
    """Half of the clips from all books, the others from one to all, each number as likely."""
    count, books = objective.spec.model.books, batch["books"]
    whole = 1 - objective.config.fewer * (1 - 1 / count)
    yield "clips of all books", float((books == count).float().mean()), whole, 0.06
    yield "clips of one", float((books == 1).float().mean()), objective.config.fewer / count, 0.05
    yield "books that are none", float(((books < 1) | (books > count)).sum()), 0, 0


CODEC = {"samples": 1000, "rate": 2000, "filters": 8, "ratios": (5, 4), "recurrent": 1, "latent": 8}

TOKENS = {
    "numbers": EpisodeTokensConfig(observation=3, action=1, bins=32),
    "choices": EpisodeTokensConfig(observation=3, action=2, discrete=True, returns=True, bins=32),
}


def told_actions(objective, batch):
    """What is done may not be seen where it is told, nor before."""
    told = objective.targets(batch)
    for row in range(len(told)):
        places = torch.nonzero(told[row] >= 0).flatten()
        at = int(places[len(places) // 2]) + 1
        yield Secret("tokens", row, at, torch.arange(told.shape[1]) < at)


FAMILIES = {
    **{
        f"action-tokens {name}": Family(
            ActionTokensConfig(),
            DecoderConfig(shape="gpt2", width=32, layers=2, heads=2, mlp_width=64, context=48),
            told_actions,
            by_heart=0.07 if config.discrete else 0.3,
            steps=150,
            made=partial(tokens_of, config),
        )
        for name, config in TOKENS.items()
    },
    **{
        f"residual-vq {name}": Family(
            ResidualCodesConfig(**options, fewer=0.5),
            CodecConfig(**CODEC, codes=16, books=3),
            lambda objective, batch: (),
            shares_of_books,
            guessed=False,
            padded=False,
            frozen=("network.books",) if name != "gradient" else (),
            by_heart=0.75,
            steps=100,
            unknown=("spectra", "commitment", "codebook"),
            input=CLIPS,
        )
        for name, options in {
            "ema": {},
            "gradient": {"codebook": "gradient"},
            "relative": {"wave": "relative", "unrounded": 0.5},
        }.items()
    },
    **{
        f"decision {name}": Family(
            DecisionConfig(given=given),
            TrajectoryConfig(action=actions, discrete=name == "choices", **ACTING),
            later_actions,
            padded=False,
            by_heart=0.3,
            steps=150,
            input=TrajectoriesConfig(action=actions, discrete=name == "choices", **EPISODES),
        )
        for name, actions, given in (("numbers", 1, "returns"), ("choices", 2, "returns"))
    },
    "hubert": Family(
        HubertConfig(units=24),
        AudioConfig(**SOUNDS),
        other_clips,
        shares_of_frames,
        padded=False,
        by_heart=0.3,
        steps=200,
        input=CLIPS,
    ),
    "wav2vec2": Family(
        Wav2Vec2Config(entries=16, code_width=32, width=32, negatives=10, softest=1.0),
        AudioConfig(**SOUNDS),
        other_clips,
        shares_of_frames,
        padded=False,
        by_heart=0.6,
        steps=150,
        unknown=("contrast", "diversity"),
        input=CLIPS,
    ),
    "video-mae": Family(
        VideoMaeConfig(decoder_width=32, decoder_layers=1, decoder_heads=2, mask=0.75),
        VisionConfig(shape="videomae", frames=4, tubelet=2, **FRAMES),
        hidden_tubes,
        shares_of_tubes,
        by_heart=0.4,
        steps=200,
        padded=False,
        input=VideoConfig(frames=4, size=16, label="label"),
    ),
}
