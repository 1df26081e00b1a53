"""The families that the conformance suite runs. A new one is one entry of ``FAMILIES``: its objective's
configuration, a model of a few thousand parameters (context ``CONTEXT``), its targets (``secrets``), and, where it
draws anything, the ``statistics`` of what it draws. See ``conformance.Family`` for the rest."""

from __future__ import annotations

import torch
from conformance import CONTEXT, EXAMPLES, Family, Secret
from conformance_codes import FAMILIES as CODES

from seedstock.inputs.items.images import ImagesConfig
from seedstock.inputs.items.log_mel import LogMelConfig
from seedstock.inputs.items.trajectories import TrajectoriesConfig
from seedstock.inputs.items.video import VideoConfig
from seedstock.inputs.items.waveform import WaveformConfig
from seedstock.models.configs.audio import AudioConfig
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.embedding import EmbeddingConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.configs.speech import SpeechConfig
from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.trajectory import TrajectoryConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives import prefix
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.captioner import CaptionerConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.classify_pictures import ClassifyPicturesConfig
from seedstock.objectives.configs.contrastive import ContrastiveConfig
from seedstock.objectives.configs.decision import DecisionConfig
from seedstock.objectives.configs.denoising import DenoisingConfig
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.configs.dino import DinoConfig
from seedstock.objectives.configs.distillation import DistillationConfig
from seedstock.objectives.configs.fim import FimConfig
from seedstock.objectives.configs.hubert import HubertConfig
from seedstock.objectives.configs.ijepa import IjepaConfig
from seedstock.objectives.configs.image_diffusion import ImageDiffusionConfig
from seedstock.objectives.configs.mae import MaeConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.configs.metadata import MetadataConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig
from seedstock.objectives.configs.prefix import PrefixConfig
from seedstock.objectives.configs.restoration import RestorationConfig
from seedstock.objectives.configs.rotation import RotationConfig
from seedstock.objectives.configs.scored import RewardWeightedConfig, TagsConfig, UnlikelihoodConfig
from seedstock.objectives.configs.skip_gram import SkipGramConfig
from seedstock.objectives.configs.span_corruption import SpanCorruptionConfig, Ul2Config
from seedstock.objectives.configs.transcription import TranscriptionConfig
from seedstock.objectives.configs.video_mae import VideoMaeConfig
from seedstock.objectives.configs.views import ByolConfig, SimclrConfig
from seedstock.objectives.configs.wav2vec2 import Wav2Vec2Config

SIZES = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "context": CONTEXT}
YARN = {"kind": "yarn", "factor": 4, "original": 12}


def next_tokens(objective, batch):
    """What comes later may not be seen from earlier places."""
    wanted = targets(batch)
    for row, place in torch.nonzero(wanted >= 0)[::17].tolist():
        yield Secret("tokens", row, place + 1, torch.arange(wanted.shape[1]) <= place)


def several_tokens(objective, batch):
    """The same, in a batch with more tokens that are targets alone."""
    extra = objective.heads - 1
    yield from next_tokens(objective, {name: batch[name][:, :-extra] for name in ("tokens", "documents")})


def hidden_tokens(objective, batch):
    """Tokens that were replaced may be seen from nowhere."""
    changed = (batch["targets"] >= 0) & (batch["given"] != batch["tokens"])
    for row, place in torch.nonzero(changed)[::5].tolist():
        yield Secret("tokens", row, place, torch.ones(batch["tokens"].shape[1], dtype=torch.bool), input=True)


def choices(objective, batch):
    """Devlin et al. 2018: 15 % are chosen; of these 80 % become the mask, 10 % another token."""
    config, specials = objective.config, objective.spec.specials
    special = torch.isin(batch["tokens"], torch.tensor(list(specials.values())))
    plain = (batch["documents"] >= 0) & ~special
    chosen, mask = batch["targets"] >= 0, batch["given"] == specials["mask"]
    yield "special tokens and padding chosen", float((chosen & ~plain).sum()), 0, 0
    yield "chosen", float(chosen.sum() / plain.sum()), config.rate, 0.005
    yield "masked", float((chosen & mask).sum() / chosen.sum()), config.masked, 0.03
    other = chosen & ~mask & (batch["given"] != batch["tokens"])
    yield "another token", float(other.sum() / chosen.sum()), config.random, 0.02
    yield "changed and not chosen", float((~chosen & (batch["given"] != batch["tokens"])).sum()), 0, 0
    if config.next_sentence:
        known = batch["random_next"][batch["random_next"] >= 0]
        yield "pairs", len(known) / len(batch["random_next"]), 1, 0.02
        yield "next sentences that are others", float(known.float().mean()), 0.5, 0.06


def diffused_tokens(objective, batch):
    """Hidden tokens may be seen from nowhere."""
    for row, place in torch.nonzero(batch["hidden"])[::13].tolist():
        yield Secret("tokens", row, place, torch.ones(batch["tokens"].shape[1], dtype=torch.bool), input=True)


def blocks_of_tokens(objective, batch):
    """The same, but that the blocks after a hidden token's own are written when it is known."""
    blocks, documents = batch["positions"] // objective.size, batch["documents"]
    for row, place in torch.nonzero(batch["hidden"])[::13].tolist():
        same = documents[row] == documents[row, place]
        corrupted, clean = blocks[row] > blocks[row, place], blocks[row] >= blocks[row, place]
        yield Secret("tokens", row, place, ~torch.cat([same & corrupted, same & clean]))


def shares_of_blocks(objective, batch):
    """Arriola et al. 2025: a share for each block of each document."""
    counted = (batch["documents"] >= 0) & (batch["tokens"] != objective.spec.specials["bos"])
    share, inside = batch["share"], batch["positions"] % objective.size > 0
    yield "BOS and padding hidden", float((batch["hidden"] & ~counted).sum()), 0, 0
    yield "shares that differ inside of a block", float((share[:, 1:] != share[:, :-1])[inside[:, 1:]].sum()), 0, 0
    first = share[~inside]
    yield "mean share", float(first.mean()), 0.5, 0.03
    yield "variance of shares", float(first.var()), 1 / 12, 0.01
    yield "shares as before in the next block", float((share[:, 1:] == share[:, :-1])[~inside[:, 1:]].sum()), 0, 0
    large = (share > 0.1) & counted
    yield "weight of a token", float((batch["hidden"] / share)[large].mean()), 1, 0.05


def shares(objective, batch):
    """Nie et al. 2025: a uniform share for each example, so that hidden tokens over their share count every token."""
    counted = (batch["documents"] >= 0) & (batch["tokens"] != objective.spec.specials["bos"])
    share = batch["share"][:, 0]
    yield "BOS and padding hidden", float((batch["hidden"] & ~counted).sum()), 0, 0
    yield "mean share", float(share.mean()), 0.5, 0.03
    yield "variance of shares", float(share.var()), 1 / 12, 0.01
    large = share > 0.1  # below it the weights scatter too much to be averaged here
    weighed = (batch["hidden"][large].sum(1) / share[large] / counted[large].sum(1).clamp(min=1)).mean()
    yield "weight of a token", float(weighed), 1, 0.03


def diffusion_folder(made, folder):
    """The class of our own, read back."""
    from seedstock.models.mask import Mask
    from seedstock.transfer import own

    network, mask = made.nets(lively=True)["network"].eval(), made.spec.specials["mask"]
    report = own.export(network, None, folder, name=made.objective.own_class, mask_token_id=mask)
    assert report["passed"]
    tokens = torch.arange(40)[None] + 7
    with torch.no_grad():
        return own.load(folder)(tokens), network(tokens, mask=Mask("full"))


def block_diffusion_folder(made, folder):
    """The same, in blocks."""
    from seedstock.models.mask import Mask
    from seedstock.transfer import own

    network, mask = made.nets(lively=True)["network"].eval(), made.spec.specials["mask"]
    options = {"mask_token_id": mask, "block": made.objective.size}
    assert own.export(network, None, folder, name=made.objective.own_class, **options)["passed"]
    tokens = torch.arange(40)[None] + 7
    with torch.no_grad():
        seen = Mask("blocks", blocks=torch.arange(40)[None] // made.objective.size)
        return own.load(folder)(tokens), network(tokens, mask=seen)


def rearranged(objective, batch):
    """Bavarian et al. 2022: half of the documents, half of these with the suffix first."""
    marks = {name: batch["tokens"] == objective.specials[f"fim_{name}"] for name in ("prefix", "suffix", "middle")}
    rows = marks["middle"].any(1)
    yield "windows with a rearranged document", float(rows.float().mean()), 0.55, 0.1  # some have more than one
    first = (marks["prefix"][:, :-1] & marks["suffix"][:, 1:]).sum()
    yield "suffix first", float(first / marks["suffix"].sum()), objective.config.spm, 0.06
    yield "marks that lack another", float(marks["prefix"].sum() - marks["suffix"].sum()), 0, 0


def after_prefixes(objective, batch):
    """What comes after a prefix may not be seen from earlier places."""
    wanted = prefix.targets(batch)
    for row, place in torch.nonzero(wanted >= 0)[::17].tolist():
        yield Secret("tokens", row, place + 1, torch.arange(wanted.shape[1]) <= place)


def ends(objective, batch):
    """Prefixes end anywhere in their document."""
    whole = (batch["documents"] == 0).all(1)  # windows of a single document
    yield "share of the prefix", float(batch["prefix"][whole].float().mean()), 0.5, 0.05


def target_tokens(objective, batch):
    """What comes later in the target may not be seen from earlier places."""
    wanted = batch["targets"]
    for row, place in torch.nonzero(wanted[:, :-1] >= 0)[::17].tolist():
        yield Secret("tokens", row, place + 1, torch.arange(wanted.shape[1]) <= place)


def hidden_spans(objective, batch):
    """Raffel et al. 2020: 15 % of the tokens, in spans of 3 on average; nothing is padded."""
    full = (batch["source_documents"] >= 0).all(1)
    counts = torch.isin(batch["targets"][full], torch.tensor(objective.sentinels)).sum(1)
    hidden = batch["hidden"][full].sum(1)
    length = objective.window(CONTEXT)
    yield "full windows", float(full.float().mean()), 1, 0.15
    yield "hidden", float(hidden.float().mean() / length), round(0.15 * length) / length, 1e-6
    yield "mean span", float(hidden.sum() / counts.sum()), 3, 0.5
    yield "padding in targets", float((batch["targets"][full] < 0).sum()), 0, 0


def modes(objective, batch):
    """Tay et al. 2022: seven denoisers, each as often."""
    for name, share in {"r": 2 / 7, "s": 1 / 7, "x": 4 / 7}.items():
        own = batch["source"][:, 0] == objective.spec.specials[f"mode_{name}"]
        yield f"mode {name}", float(own.float().mean()), share, 0.06


def masked_spans(objective, batch):
    """Lewis et al. 2019: 30 % of the tokens, behind masks that stand for 3 on average."""
    full = (batch["targets"] >= 0).all(1)
    masks = (batch["source"][full] == objective.spec.specials["mask"]).sum()
    hidden = batch["hidden"][full].sum()
    yield "hidden", float(hidden / batch["hidden"][full][:, :-1].numel()), 0.3, 0.01
    yield "tokens a mask", float(hidden / masks), 3, 0.35  # the last span of a window is cut short


def tagged(objective, batch):
    """Korbak et al. 2023: every document begins with its tag, but for the untagged share."""
    tags = torch.tensor([objective.spec.specials[name] for name in ("good", "bad")])
    opens = torch.isin(batch["tokens"], torch.cat([tags, torch.tensor([objective.spec.specials["bos"]])]))
    first = (batch["positions"] == 0) & (batch["documents"] >= 0) & opens
    first[:, 1:] |= (batch["positions"][:, 1:] == 1) & (batch["documents"][:, 1:] >= 0) & ~opens[:, :-1]
    head, side = batch["tokens"][first], batch["sides"][first]
    for name, value in (("good", 1), ("bad", 0)):
        shown = head == objective.spec.specials[name]
        yield f"{name} tags", float((shown != (side == value)).sum()), 0, 0
        yield f"{name} tags elsewhere", float((batch["tokens"][~first] == objective.spec.specials[name]).sum()), 0, 0
    yield "untagged", float((side < 0).float().mean()), objective.config.untagged, 0.03


def cooled_down(objective, batch):
    """Gao et al. 2025: 90 % of the run with the line, the rest without; the line is no target."""
    tokens, late = batch["tokens"], batch["examples"] >= objective.last
    begins = torch.zeros(len(tokens), dtype=torch.bool)
    for line in map(torch.from_numpy, objective.lines):
        for at in (0, 1):  # BOS stays first
            begins |= (tokens[:, at : at + len(line)] == line).all(1)
    yield "windows with the line before the cool-down", float(begins[~late].float().mean()), 1, 0
    yield "windows with the line in it", float(begins[late].float().sum()), 0, 0
    yield "where it begins", objective.last / EXAMPLES, 0.9, 0
    yield "lines among the targets", float((batch["given"][:, 1:] & (objective.targets(batch) >= 0)).sum()), 0, 0


def words_alone(objective, batch):
    """A word's vector knows nothing of any other place."""
    count = batch["tokens"].shape[1]
    for row, place in torch.nonzero(batch["documents"] >= 0)[::23].tolist():
        yield Secret("tokens", row, place, torch.arange(count) != place)


def neighbours(objective, batch):
    """Mikolov et al. 2013: distances from 1 to the window, each as often; noise by frequencies to the power 3/4."""
    spans, noise = batch["spans"].float(), torch.bincount(batch["noise"].flatten(), minlength=len(objective.noise))
    yield "mean distance", float(spans.mean()), (objective.config.window + 1) / 2, 0.05
    yield "largest distance", float(spans.max()), objective.config.window, 0
    wanted = torch.from_numpy(objective.noise)
    yield "noise", float((noise / noise.sum() - wanted).abs().sum()) / 2, 0, 0.05
    special = torch.tensor(list(objective.spec.specials.values()))
    yield "special tokens in the noise", float(noise[special].sum()), 0, 0
    known = batch["documents"] >= 0
    yield "special tokens that stay", float((torch.isin(batch["tokens"], special) & known).sum()), 0, 0
    stays = float((objective.shares * objective.kept).sum())
    yield "tokens that stay", float(known.float().mean()), stays, 0.02


def word_vectors(made, folder):
    """The text format, read back."""
    from seedstock.transfer import word2vec

    network = made.nets(lively=True)["network"]
    assert word2vec.export(network, made.tokenizer, folder)["passed"]
    words, vectors = word2vec.read(folder / word2vec.NAME)
    rows = [made.tokenizer.written[word] for word in words]
    return torch.from_numpy(vectors), network.embedding.tokens.weight.detach()[rows]


TEACHER = {"run:teacher": DecoderConfig(shape="llama", initialisation="normal", init_std=0.2, **SIZES)}


def hidden_patches(objective, batch):
    """Pixels of hidden patches may be seen from nowhere."""
    model = objective.spec.model
    side = model.image // model.patch
    for row, places in enumerate(batch["hidden"].tolist()):
        top, left = (one * model.patch for one in divmod(places[0], side))
        yield Secret("image", row, (top, left, 0), torch.ones(batch["seen"].shape[1] + 1, dtype=torch.bool), input=True)


def shares_of_patches(objective, batch):
    """He et al. 2022: the same number of each picture's patches, each as likely as another."""
    patches = objective.spec.model.patches
    hidden = torch.zeros(len(batch["hidden"]), patches).scatter_(1, batch["hidden"], 1)
    seen = torch.zeros(len(batch["seen"]), patches).scatter_(1, batch["seen"], 1)
    yield "patches hidden and seen, or neither", float((hidden + seen != 1).sum()), 0, 0
    yield "share", float(hidden.mean()), objective.config.mask, 1e-6
    yield "how the shares of places scatter", float(hidden.mean(0).std()), 0, 0.06


def turned_pictures(objective, batch):
    """The turn is no part of what is read; a picture may not be seen in the place of another."""
    count, length = len(batch["image"]), objective.spec.model.context
    for row in range(count - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def other_pictures(objective, batch):
    """No picture is seen in the place of another, nor one view in that of the other."""
    length = objective.spec.model.context
    for row in range(len(batch["image"]) - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def wanted_patches(objective, batch):
    """Patches that are asked for may not be seen where the context is read."""
    model = objective.spec.model
    for row, places in enumerate(batch["wanted"].any(1)):
        at = int(torch.nonzero(places)[0])
        top, left = (one * model.patch for one in divmod(at, model.image // model.patch))
        yield Secret("image", row, (top, left, 0), batch["shown"][row], input=True)


def blocks_of_patches(objective, batch):
    """Assran et al. 2023: what is wanted is not shown, and each target is a block of about its share."""
    wanted, shown = batch["wanted"], batch["shown"]
    yield "wanted and shown", float((wanted.any(1) & shown).sum()), 0, 0
    yield "pictures without a context", float((~shown.any(1)).sum()), 0, 0
    yield "pictures without a target", float((~wanted.flatten(1).any(1)).sum()), 0, 0
    yield "share of a target", float(wanted.float().mean()), objective.config.target, 0.05


def mixtures(objective, batch):
    """Times are drawn evenly, noise is normal, a tenth of the labels is not told, and the mixture is undone exactly."""
    time, picture = batch["time"], batch["image"].float() / 127.5 - 1
    yield "mean time", float(time.mean()), 0.5, 0.03
    yield "variance of time", float(time.var()), 1 / 12, 0.01
    yield "labels that are not told", float((batch["told"] < 0).float().mean()), objective.config.unlabelled, 0.03
    at = time[:, None, None, None]
    if objective.config.process == "flow":
        noise = batch["wanted"] + picture
        again = (1 - at) * picture + at * noise
    else:
        from seedstock.objectives.noise import kept

        noise, share = batch["wanted"], kept()[(at * 1000).long()].float()
        again = share.sqrt() * picture + (1 - share).sqrt() * noise
    yield "mixtures that differ", float((again - batch["mixed"]).abs().max()), 0, 1e-5
    yield "mean of the noise", float(noise.mean()), 0, 0.01
    yield "deviation of the noise", float(noise.std()), 1, 0.01


def other_pairs(objective, batch):
    """No picture is seen in the place of another, nor in that of its caption."""
    length = objective.spec.model.picture.context
    for row in range(len(batch["image"]) - 1):
        yield Secret("image", row + 1, (0, 0, 0), torch.ones(length, dtype=torch.bool), of=row)


def spoilt_pixels(objective, batch):
    """What lies in the hole may not be seen."""
    for row, places in enumerate(batch["counted"]):
        top, left = torch.nonzero(places)[0].tolist()
        yield Secret(
            "image", row, (top, left, 0), torch.ones(objective.spec.model.context, dtype=torch.bool), input=True
        )


def holes(objective, batch):
    """A square of the side that was asked for, anywhere."""
    side = round(objective.spec.model.image * objective.config.level)
    counted = batch["counted"].flatten(1).sum(1)
    yield "pixels of a hole", float(counted.float().mean()), side**2, 0
    yield "holes of another size", float((counted != side**2).sum()), 0, 0
    tops = batch["counted"].any(2).int().argmax(1).float()
    yield "mean of the first row", float(tops.mean()), (objective.spec.model.image - side) / 2, 0.5


def noises(objective, batch):
    """Normal noise of the deviation that was asked for."""
    noise = batch["spoilt"] - (batch["image"].float() / 127.5 - 1)
    yield "mean", float(noise.mean()), 0, 0.01
    yield "deviation", float(noise.std()), objective.config.level, 0.01
    yield "fourth moment", float((noise / objective.config.level).pow(4).mean()), 3, 0.1


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


EPISODES = {"steps": 8, "observation": 3}
ACTING = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "longest": 40, **EPISODES}
PICTURES = ImagesConfig(size=16, label="label")
VISION = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "image": 16, "patch": 4}


CLIPS = WaveformConfig(rate=2000, seconds=0.5, shortest=0, label="speaker")
SOUNDS = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "samples": 1000, "rate": 2000, "channels": 16}
SOUNDS |= {"kernels": (10, 3, 2), "strides": (5, 2, 2), "position_taps": 8, "position_groups": 4}


FAMILIES = {
    **CODES,
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
    "transcription": Family(
        TranscriptionConfig(),
        SpeechConfig(width=32, layers=2, heads=2, mlp_width=64, frames=50, bins=16, rate=2000, context=8),
        target_tokens,
        padded=False,
        input=LogMelConfig(rate=2000, seconds=0.5, bins=16, shortest=0, caption=8),
    ),
    "rotation": Family(
        RotationConfig(),
        VisionConfig(shape="vit", **VISION),
        turned_pictures,
        padded=False,
        by_heart=0.3,
        input=PICTURES,
    ),
    "inpainting": Family(
        RestorationConfig(damage="hole", level=0.4),
        VisionConfig(shape="vit", **VISION),
        spoilt_pixels,
        holes,
        padded=False,
        by_heart=0.1,
        steps=200,
        input=PICTURES,
    ),
    "denoising-pictures": Family(
        RestorationConfig(damage="noise", level=0.5),
        VisionConfig(shape="vit", **VISION),
        lambda objective, batch: (),
        noises,
        guessed=False,
        padded=False,
        by_heart=0.25,
        steps=200,
        input=PICTURES,
    ),
    "simclr": Family(
        SimclrConfig(hidden=64, outputs=32),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        padded=False,
        by_heart=0.5,
        steps=150,
        input=PICTURES,
    ),
    "byol": Family(
        ByolConfig(hidden=64, outputs=32),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher",),
        padded=False,
        by_heart=0.3,
        input=PICTURES,
    ),
    "dino": Family(
        DinoConfig(prototypes=64, hidden=64, bottleneck=32, small=2, small_size=8, teacher_temperature=0.1),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher", "teacher_head"),
        idle=("head.blank",),
        padded=False,
        by_heart=0.9,
        input=PICTURES,
    ),
    "dinov2": Family(
        DinoConfig(
            prototypes=64,
            hidden=64,
            bottleneck=32,
            small=2,
            small_size=8,
            patches=1.0,
            scatter=0.1,
            jitter=0.2,
            teacher_temperature=0.1,
        ),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        frozen=("teacher", "teacher_head"),
        padded=False,
        by_heart=0.9,
        unknown=("scatter",),
        input=PICTURES,
    ),
    "ijepa": Family(
        IjepaConfig(predictor_width=32, predictor_layers=1, predictor_heads=2),
        VisionConfig(shape="vit", class_token=False, **VISION),
        wanted_patches,
        blocks_of_patches,
        frozen=("teacher",),
        padded=False,
        by_heart=0.6,
        input=PICTURES,
    ),
    **{
        f"image-diffusion {process}": Family(
            ImageDiffusionConfig(process=process),
            VisionConfig(shape="dit", **{**VISION, "mlp_width": 128}),
            lambda objective, batch: (),
            mixtures,
            guessed=False,
            padded=False,
            by_heart=0.6,
            steps=150,
            export=None,
            input=PICTURES,
        )
        for process in ("flow", "ddpm")
    },
    **{
        f"contrastive {loss}": Family(
            ContrastiveConfig(loss=loss, embedding=32),
            TowersConfig(
                shape=shape,
                picture=VisionConfig(shape=shape, **VISION),
                text=DecoderConfig(shape="gpt2", **{**SIZES, "context": 12}),
            ),
            other_pairs,
            padded=False,
            by_heart=0.5,
            steps=150,
            unknown=("pair",) if loss == "sigmoid" else (),
            input=ImagesConfig(size=16, caption=12),
        )
        for loss, shape in (("softmax", "clip"), ("sigmoid", "siglip"))
    },
    "classify-pictures": Family(
        ClassifyPicturesConfig(),
        VisionConfig(shape="vit", **VISION),
        other_pictures,
        padded=False,
        by_heart=0.2,
        input=PICTURES,
    ),
    "captioner": Family(
        CaptionerConfig(embedding=32, layers=1),
        TowersConfig(
            shape="clip",
            picture=VisionConfig(shape="clip", **VISION),
            text=DecoderConfig(shape="gpt2", **{**SIZES, "context": 12}),
        ),
        other_pairs,
        padded=False,
        by_heart=0.5,
        steps=150,
        input=ImagesConfig(size=16, caption=12),
    ),
    "video-mae": Family(
        VideoMaeConfig(decoder_width=32, decoder_layers=1, decoder_heads=2, mask=0.75),
        VisionConfig(shape="videomae", frames=4, tubelet=2, **VISION),
        hidden_tubes,
        shares_of_tubes,
        by_heart=0.4,
        steps=200,
        padded=False,
        input=VideoConfig(frames=4, size=16, label="label"),
    ),
    "mae": Family(
        MaeConfig(decoder_width=32, decoder_layers=1, decoder_heads=2, mask=0.5),
        VisionConfig(shape="mae", **VISION),
        hidden_patches,
        shares_of_patches,
        by_heart=0.3,
        steps=200,
        padded=False,
        input=PICTURES,
    ),
    "causal": Family(CausalConfig(), DecoderConfig(shape="qwen3", **SIZES), next_tokens),
    # Padding behind a row makes an input of its last token, which is then routed (or predicts, ahead) as well.
    "mixtral": Family(
        CausalConfig(),
        DecoderConfig(shape="mixtral", experts=4, router_z_loss=1e-3, **SIZES),
        next_tokens,
        padded=False,
    ),
    "qwen3-moe": Family(
        CausalConfig(), DecoderConfig(shape="qwen3-moe", experts=4, **SIZES), next_tokens, padded=False
    ),
    "multi-token": Family(
        MultiTokenConfig(heads=3), DecoderConfig(shape="llama", **SIZES), several_tokens, padded=False, steps=150
    ),
    "long-context": Family(
        CausalConfig(),
        DecoderConfig(shape="qwen3", window=8, global_every=2, rope_scaling=YARN, **SIZES),
        next_tokens,
    ),
    "fim": Family(FimConfig(), DecoderConfig(shape="llama", **SIZES), next_tokens, rearranged),
    "tags": Family(
        TagsConfig(score="letters.share", good="above"), DecoderConfig(shape="llama", **SIZES), next_tokens, tagged
    ),
    "unlikelihood": Family(
        UnlikelihoodConfig(score="letters.share"), DecoderConfig(shape="gpt2", **SIZES), next_tokens, steps=200
    ),
    "reward-weighted": Family(
        RewardWeightedConfig(score="lines.mean", beta=20), DecoderConfig(shape="llama", **SIZES), next_tokens
    ),
    "metadata": Family(
        MetadataConfig(field="domain", room=16), DecoderConfig(shape="llama", **SIZES), next_tokens, cooled_down
    ),
    "prefix": Family(PrefixConfig(), DecoderConfig(shape="llama", **SIZES), after_prefixes, ends, padded=False),
    "t5": Family(
        SpanCorruptionConfig(), EncoderDecoderConfig(shape="t5", **SIZES), target_tokens, hidden_spans, padded=False
    ),
    "ul2": Family(
        Ul2Config(), EncoderDecoderConfig(shape="t5", **SIZES), target_tokens, modes, padded=False, steps=150
    ),
    "bart": Family(
        DenoisingConfig(), EncoderDecoderConfig(shape="bart", **SIZES), target_tokens, masked_spans, padded=False
    ),
    "bert": Family(
        MaskedConfig(next_sentence=True),
        EncoderConfig(shape="bert", **SIZES),
        hidden_tokens,
        choices,
    ),
    "modernbert": Family(
        MaskedConfig(rate=0.3, masked=1.0, random=0.0),
        EncoderConfig(shape="modernbert", window=6, global_every=2, **SIZES),
        hidden_tokens,
        choices,
        steps=150,
    ),
    "esm": Family(MaskedConfig(), EncoderConfig(shape="esm2", **SIZES), hidden_tokens, choices),
    "distillation": Family(
        DistillationConfig(teacher="run:teacher", share=0.1, temperature=2.0),
        DecoderConfig(shape="qwen3", **SIZES),
        next_tokens,
        by_heart=0.15,
        parents=TEACHER,
    ),
    # What is stored is of whole windows, so that none of another length is read.
    "distillation-stored": Family(
        DistillationConfig(teacher="run:teacher", share=0.1, stored=8),
        DecoderConfig(shape="llama", **SIZES),
        next_tokens,
        by_heart=0.15,
        padded=False,
        parents=TEACHER,
    ),
    "distillation-masked": Family(
        DistillationConfig(teacher="run:encoder", share=0.1, of=MaskedConfig(rate=0.3)),
        EncoderConfig(shape="modernbert", window=6, global_every=2, **SIZES),
        hidden_tokens,
        by_heart=0.2,
        steps=150,
        parents={"run:encoder": EncoderConfig(shape="bert", init_std=0.2, **SIZES)},
    ),
    # A neighbour is noise beside others, so that even one batch keeps most of its loss.
    "skip-gram": Family(
        SkipGramConfig(subsample=0.02),
        EmbeddingConfig(width=32, context=CONTEXT),
        words_alone,
        neighbours,
        by_heart=0.6,
        export=word_vectors,
    ),
    "diffusion": Family(
        DiffusionConfig(),
        DecoderConfig(shape="llama", **SIZES),
        diffused_tokens,
        shares,
        export=diffusion_folder,
        steps=200,  # the last of its even shares leaves next to nothing to go by
    ),
    "block-diffusion": Family(
        DiffusionConfig(block=4),
        DecoderConfig(shape="llama", **SIZES),
        blocks_of_tokens,
        shares_of_blocks,
        export=block_diffusion_folder,
    ),
}
