"""The families that the conformance suite runs. A new one is one entry of ``FAMILIES``: its objective's
configuration, a model of a few thousand parameters (context ``CONTEXT``), its targets (``secrets``), and, where it
draws anything, the ``statistics`` of what it draws. See ``conformance.Family`` for the rest."""

from __future__ import annotations

import torch
from conformance import CONTEXT, EXAMPLES, Family, Secret
from conformance_codes import FAMILIES as CODES
from conformance_pictures import FAMILIES as PICTURES
from conformance_recordings import FAMILIES as RECORDINGS

from seedstock.inputs.items.log_mel import LogMelConfig
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.embedding import EmbeddingConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.configs.speech import SpeechConfig
from seedstock.objectives import prefix
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.denoising import DenoisingConfig
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.configs.distillation import DistillationConfig
from seedstock.objectives.configs.fim import FimConfig
from seedstock.objectives.configs.masked import MaskedConfig
from seedstock.objectives.configs.metadata import MetadataConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig
from seedstock.objectives.configs.prefix import PrefixConfig
from seedstock.objectives.configs.scored import RewardWeightedConfig, TagsConfig, UnlikelihoodConfig
from seedstock.objectives.configs.skip_gram import SkipGramConfig
from seedstock.objectives.configs.span_corruption import SpanCorruptionConfig, Ul2Config
from seedstock.objectives.configs.transcription import TranscriptionConfig

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


FAMILIES = {
    **CODES,
    **PICTURES,
    **RECORDINGS,
    "transcription": Family(
        TranscriptionConfig(),
        SpeechConfig(width=32, layers=2, heads=2, mlp_width=64, frames=50, bins=16, rate=2000, context=8),
        target_tokens,
        padded=False,
        input=LogMelConfig(rate=2000, seconds=0.5, bins=16, shortest=0, caption=8),
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
