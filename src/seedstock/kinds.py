"""The kinds of component that a recipe can name: a static table, then the entry points of installed packages.

Each kind maps to a configuration class (torch-free) whose ``kind`` field is a ``Literal`` of its name. A package of
the user's own adds kinds through the entry-point groups ``seedstock.sources``, ``seedstock.signals``, and so on.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, metadata
from typing import Annotated, Any, Union

from seedstock.errors import RecipeError, nearest

TABLE: dict[str, dict[str, str]] = {
    "sources": {
        "python-packages": "seedstock.corpus.sources.python_packages:PythonPackages",
        "jsonl": "seedstock.corpus.sources.jsonl:JsonLines",
        "html": "seedstock.corpus.sources.html_files:Html",
        "warc": "seedstock.corpus.sources.warc:Warc",
        "code": "seedstock.corpus.sources.code:Code",
        "epub": "seedstock.corpus.sources.epub:Epub",
        "pdf": "seedstock.corpus.sources.pdf:Pdf",
        "common-crawl": "seedstock.corpus.sources.common_crawl:CommonCrawl",
        "huggingface": "seedstock.corpus.sources.huggingface:HuggingFace",
        "csv": "seedstock.corpus.sources.csv_tables:Csv",
        "text": "seedstock.corpus.sources.text:Text",
        "parquet": "seedstock.corpus.sources.parquet:Parquet",
        "images": "seedstock.corpus.sources.images:Images",
        "image-text": "seedstock.corpus.sources.image_text:ImageText",
        "audio": "seedstock.corpus.sources.audio:Audio",
        "video": "seedstock.corpus.sources.video:Video",
        "fasta": "seedstock.corpus.sources.fasta:Fasta",
        "tokens": "seedstock.corpus.sources.tokens:Tokens",
        "synthetic": "seedstock.corpus.sources.synthetic:Synthetic",
        "pass-keys": "seedstock.corpus.sources.pass_keys:PassKeys",
        "trajectories": "seedstock.corpus.sources.trajectories:Trajectories",
        "minari": "seedstock.corpus.sources.minari_sets:Minari",
        "gymnasium": "seedstock.corpus.sources.gymnasium_worlds:GymnasiumWorlds",
    },
    "signals": {
        "language": "seedstock.corpus.signals.language:Language",
        "gopher": "seedstock.corpus.signals.gopher:Gopher",
        "c4": "seedstock.corpus.signals.c4:C4",
        "fineweb": "seedstock.corpus.signals.fineweb:FineWeb",
        "stop_words": "seedstock.corpus.signals.stop_words:StopWords",
        "classifier": "seedstock.corpus.signals.classifier:Classifier",
        "toxicity": "seedstock.corpus.signals.classifier:Toxicity",
        "perplexity": "seedstock.corpus.signals.perplexity:Perplexity",
        "adult": "seedstock.corpus.signals.adult:Adult",
        "machine_text": "seedstock.corpus.signals.machine_text:MachineText",
        "pycodestyle": "seedstock.corpus.signals.pycodestyle:PyCodeStyle",
        "emails": "seedstock.corpus.signals.emails:Emails",
        "personal": "seedstock.corpus.signals.personal:Personal",
        "secrets": "seedstock.corpus.signals.secrets:Secrets",
        "malware": "seedstock.corpus.signals.malware:Malware",
        "licence": "seedstock.corpus.signals.licence:Licence",
        "optout": "seedstock.corpus.signals.optout:OptOut",
        "excluded": "seedstock.corpus.signals.excluded:Excluded",
    },
    "inputs": {
        "tokens": "seedstock.inputs.items.config:TokensConfig",
        "images": "seedstock.inputs.items.images:ImagesConfig",
        "waveform": "seedstock.inputs.items.waveform:WaveformConfig",
        "log-mel": "seedstock.inputs.items.log_mel:LogMelConfig",
        "video": "seedstock.inputs.items.video:VideoConfig",
        "trajectories": "seedstock.inputs.items.trajectories:TrajectoriesConfig",
        "labelled-text": "seedstock.inputs.items.texts:LabelledTextConfig",
        "text-to-text": "seedstock.inputs.items.texts:TextToTextConfig",
    },
    "tokenizers": {
        "bpe": "seedstock.inputs.tokenizers.config:BpeConfig",
        "bytes": "seedstock.inputs.tokenizers.config:BytesConfig",
        "characters": "seedstock.inputs.tokenizers.config:CharactersConfig",
        "imported": "seedstock.inputs.tokenizers.config:ImportedConfig",
        "unigram": "seedstock.inputs.tokenizers.config:UnigramConfig",
        "words": "seedstock.inputs.tokenizers.config:WordsConfig",
        "wordpiece": "seedstock.inputs.tokenizers.config:WordPieceConfig",
    },
    "models": {
        "decoder": "seedstock.models.configs.decoder:DecoderConfig",
        "encoder": "seedstock.models.configs.encoder:EncoderConfig",
        "embedding": "seedstock.models.configs.embedding:EmbeddingConfig",
        "encoder-decoder": "seedstock.models.configs.encoder_decoder:EncoderDecoderConfig",
        "vision": "seedstock.models.configs.vision:VisionConfig",
        "audio": "seedstock.models.configs.audio:AudioConfig",
        "trajectory": "seedstock.models.configs.trajectory:TrajectoryConfig",
        "autoencoder": "seedstock.models.configs.autoencoder:AutoencoderConfig",
        "codec": "seedstock.models.configs.codec:CodecConfig",
        "speech": "seedstock.models.configs.speech:SpeechConfig",
        "towers": "seedstock.models.configs.towers:TowersConfig",
    },
    "objectives": {
        "causal": "seedstock.objectives.configs.causal:CausalConfig",
        "masked": "seedstock.objectives.configs.masked:MaskedConfig",
        "multi-token": "seedstock.objectives.configs.multi_token:MultiTokenConfig",
        "diffusion": "seedstock.objectives.configs.diffusion:DiffusionConfig",
        "distillation": "seedstock.objectives.configs.distillation:DistillationConfig",
        "tags": "seedstock.objectives.configs.scored:TagsConfig",
        "unlikelihood": "seedstock.objectives.configs.scored:UnlikelihoodConfig",
        "reward-weighted": "seedstock.objectives.configs.scored:RewardWeightedConfig",
        "metadata": "seedstock.objectives.configs.metadata:MetadataConfig",
        "fim": "seedstock.objectives.configs.fim:FimConfig",
        "prefix": "seedstock.objectives.configs.prefix:PrefixConfig",
        "span-corruption": "seedstock.objectives.configs.span_corruption:SpanCorruptionConfig",
        "ul2": "seedstock.objectives.configs.span_corruption:Ul2Config",
        "skip-gram": "seedstock.objectives.configs.skip_gram:SkipGramConfig",
        "denoising": "seedstock.objectives.configs.denoising:DenoisingConfig",
        "mae": "seedstock.objectives.configs.mae:MaeConfig",
        "restoration": "seedstock.objectives.configs.restoration:RestorationConfig",
        "rotation": "seedstock.objectives.configs.rotation:RotationConfig",
        "simclr": "seedstock.objectives.configs.views:SimclrConfig",
        "byol": "seedstock.objectives.configs.views:ByolConfig",
        "contrastive": "seedstock.objectives.configs.contrastive:ContrastiveConfig",
        "captioner": "seedstock.objectives.configs.captioner:CaptionerConfig",
        "classify-pictures": "seedstock.objectives.configs.classify_pictures:ClassifyPicturesConfig",
        "dino": "seedstock.objectives.configs.dino:DinoConfig",
        "image-diffusion": "seedstock.objectives.configs.image_diffusion:ImageDiffusionConfig",
        "ijepa": "seedstock.objectives.configs.ijepa:IjepaConfig",
        "wav2vec2": "seedstock.objectives.configs.wav2vec2:Wav2Vec2Config",
        "transcription": "seedstock.objectives.configs.transcription:TranscriptionConfig",
        "hubert": "seedstock.objectives.configs.hubert:HubertConfig",
        "video-mae": "seedstock.objectives.configs.video_mae:VideoMaeConfig",
        "decision": "seedstock.objectives.configs.decision:DecisionConfig",
        "action-tokens": "seedstock.objectives.configs.action_tokens:ActionTokensConfig",
        "vq": "seedstock.objectives.configs.codes:VqConfig",
        "kl": "seedstock.objectives.configs.codes:KlConfig",
        "residual-vq": "seedstock.objectives.configs.residual_codes:ResidualCodesConfig",
        "classify": "seedstock.objectives.configs.classify:ClassifyConfig",
        "text-to-text": "seedstock.objectives.configs.answer:AnswerConfig",
    },
    "optimizers": {
        "adamw": "seedstock.training.configs.optimizers:AdamWConfig",
        "muon": "seedstock.training.configs.optimizers:MuonConfig",
        "soap": "seedstock.training.configs.optimizers:SoapConfig",
        "lion": "seedstock.training.configs.optimizers:LionConfig",
        "adafactor": "seedstock.training.configs.optimizers:AdafactorConfig",
    },
    "callbacks": {
        "tensorboard": "seedstock.training.configs.callbacks:TensorBoardConfig",
        "samples": "seedstock.training.configs.callbacks:SamplesConfig",
        "experts": "seedstock.training.configs.callbacks:ExpertLoadConfig",
        "wandb": "seedstock.training.configs.callbacks:WandbConfig",
        "mlflow": "seedstock.training.configs.callbacks:MlflowConfig",
        "vitals": "seedstock.training.configs.callbacks:VitalsConfig",
    },
}


@cache
def _entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=f"seedstock.{group}")}


def names(group: str) -> list[str]:
    """Every kind of ``group``, our own first."""
    return [*TABLE[group], *sorted(_entry_points(group).keys() - TABLE[group].keys())]


@cache
def load(group: str, name: str) -> type:
    """The configuration class of one kind. Raises RecipeError where it is unknown or its package does not import."""
    if name in TABLE[group]:
        module, _, attribute = TABLE[group][name].partition(":")
        return getattr(import_module(module), attribute)
    if name in _entry_points(group):
        point = _entry_points(group)[name]
        try:
            return point.load()
        except Exception as error:
            package = point.dist.name if point.dist else "an installed package"
            raise RecipeError(
                f"{group} kind {name!r} of {package} does not import: {error}", fix=f"mend or remove {package}"
            ) from error
    close = nearest(name, names(group))
    known = ", ".join(names(group))
    raise RecipeError(
        f"unknown kind {name!r}", fix=f"did you mean {close!r}? " * bool(close) + f"Known {group}: {known}."
    )


def provider(group: str, name: str) -> dict[str, str]:
    """Who provides a kind, for the record: package name, version and the digest of the file that defines it."""
    import hashlib
    import inspect
    from pathlib import Path

    point = None if name in TABLE[group] else _entry_points(group)[name]
    dist = point.dist if point else None
    defined_in = inspect.getsourcefile(load(group, name))
    return {
        "package": dist.name if dist else "seedstock",
        "version": dist.version if dist else metadata.version("seedstock"),
        "sha256": hashlib.sha256(Path(defined_in).read_bytes()).hexdigest() if defined_in else "",
    }


def providers(recipe: Any) -> dict[str, dict[str, str]]:
    """Who provides each kind that training by ``recipe`` rests on, by its place there: ``objective causal``, ….

    Sources and signals are on record in the corpus.
    """
    used = [
        ("inputs", "input", recipe.input),
        ("tokenizers", "tokenizer", recipe.tokenizer),
        ("models", "model", recipe.model),
        ("objectives", "objective", recipe.objective),
        ("optimizers", "optimizer", recipe.training.optimizer),
        *(("optimizers", "optimizer", one) for one in recipe.training.groups.values()),
        *(("callbacks", "callback", callback) for callback in recipe.training.callbacks),
    ]
    return {f"{place} {part.kind}": provider(group, part.kind) for group, place, part in used}


def field(group: str, default: str | None = None) -> Any:
    """The annotation of a recipe field that takes any kind of ``group``; a missing ``kind`` means ``default``."""
    from pydantic import Discriminator, Tag

    def kind_of(value: Any) -> str | None:
        return value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", default)

    choices = [Annotated[load(group, name), Tag(name)] for name in names(group)]
    return Annotated[Union[tuple(choices)], Discriminator(kind_of)]  # noqa: UP007 - built at run time
