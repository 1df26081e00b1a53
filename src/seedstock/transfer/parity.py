"""Is what we wrote what they read? Logits, greedy text and token ids, theirs against ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.models.generate import generate
from seedstock.models.keys import generator
from seedstock.models.network import Network

WRITERS = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")
"""Classes that write text."""
TOLERANCE = 1e-4
"""The largest difference of logits in fp32, as a part of the largest logit (of 1, where that is less)."""

TEXTS = (
    "The seed that is kept for sowing is the best of the harvest.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2  # in square units\n",
    "Ünïcødé, 中文 and 🙂; tabs\tand  double  spaces, 12,345.67!",
    "",
)


def transformers() -> Any:
    """The library. Raises SeedstockError that says how to install it."""
    try:
        import transformers
    except ImportError:
        what = "the parity proof needs transformers, which is not installed"
        raise SeedstockError(what, fix="pip install 'seedstock[hf]'") from None
    transformers.utils.logging.disable_progress_bar()
    return transformers


@torch.inference_mode()
def compare(
    network: Network,
    folder: Path,
    *,
    greedy_tokens: int = 32,
    texts: tuple[str, ...] = TEXTS,
    own_tokenizer: bool = True,
    auto: str = WRITERS[0],
) -> dict[str, Any]:
    """Loads ``folder`` with transformers in fp32 and compares; ``network`` holds the weights that the folder should.

    Raises SeedstockError where transformers cannot load it; neither code nor pickles of the folder are run.
    Returns a report whose ``passed`` says whether everything agrees. Unless ``own_tokenizer``, one of a kind that we
    do not have is no failure, and ``token_ids`` says so.
    """
    library = transformers()
    theirs = _load(getattr(library, auto), folder, dtype=torch.float32, use_safetensors=True).eval()
    tokenizer, ids, report = None, [], {}
    if (Path(folder) / "tokenizer.json").exists():
        tokenizer = _load(library.AutoTokenizer, folder)
        report["token_ids"] = _token_ids(tokenizer, folder, texts, insist=own_tokenizer)
        ids = [token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    context, vocab_size = network.config.context, network.vocab_size
    length = min(context, 128)
    random = torch.randint(0, vocab_size, (4, length), generator=generator("parity"))
    batches = {"random": random} | ({"text": torch.tensor([ids[:context]])} if len(ids) > 1 else {})
    training, dtype = network.training, network.compute_dtype
    network.eval().use(torch.float32)
    try:
        report["logits"] = {name: _logits(network, theirs, batch) for name, batch in batches.items()}
        if auto in WRITERS:
            given = ids or random[0].tolist()
            if network.config.cross:
                prompt, source = [theirs.config.decoder_start_token_id], given[: min(32, context)]
            else:
                prompt, source = given[: max(1, min(8, context // 2))], None
            report["greedy"] = _greedy(network, theirs, prompt, source, min(greedy_tokens, context - len(prompt)))
    finally:
        network.train(training).use(dtype)
    if tokenizer is not None and "greedy" in report:
        report["greedy"]["text"] = tokenizer.decode(report["greedy"]["tokens"])
    single = [report[name] for name in ("greedy", "token_ids") if name in report]
    checks = [*single, *report["logits"].values()]
    failed = [check for check in checks if check["passed"] is False]
    return {
        "class": type(theirs).__name__,
        "transformers": library.__version__,
        "tolerance": TOLERANCE,
        "passed": not failed,
        **report,
    }


def _load(kind: Any, folder: Path, **options: Any) -> Any:
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # its own kinds of error, and those of whatever reads the files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"transformers cannot load it ({kind.__name__}): {reason}"
        raise SeedstockError(what, where=folder, fix="see that its files are whole and of this version") from error


def insist(report: dict[str, Any], where: object) -> None:
    """Raises SeedstockError that names what differs."""
    if report["passed"]:
        return
    parts = {
        **report["logits"],
        "greedy text": report.get("greedy", {"passed": True}),
        "token ids": report.get("token_ids", {"passed": True}),
    }
    failed = "; ".join(f"{name}: {part}" for name, part in parts.items() if part["passed"] is False)
    what = f"{report['class']} of transformers {report['transformers']} computes something else ({failed})"
    raise SeedstockError(what, where=where, fix="nothing was written; report this with the recipe's model section")


def _logits(network: Network, theirs: Any, tokens: torch.Tensor) -> dict[str, Any]:
    seen = torch.ones_like(tokens)  # or some take the pad token for padding
    if network.config.cross:
        target = tokens.flip(1)[:, : max(1, tokens.shape[1] // 2)]  # another length and other tokens than the source
        given = theirs(tokens, attention_mask=seen, decoder_input_ids=target)
        ours = network(target, source=network.read(tokens))  # type: ignore[operator]
    else:
        given, ours = theirs(tokens, attention_mask=seen), network(tokens)
    other = (given.prediction_logits if "prediction_logits" in given else given.logits).float()
    scale = max(1.0, float(ours.abs().max()))
    difference = float((ours - other).abs().max())
    passed = difference <= TOLERANCE * scale  # not so for NaN
    return {"positions": tokens.numel(), "largest_difference": difference, "scale": scale, "passed": passed}


def _greedy(network: Network, theirs: Any, prompt: list[int], source: list[int] | None, count: int) -> dict[str, Any]:
    """Equal, or parted at a place where two tokens are as likely as each other within the tolerance."""
    ours = generate(network, prompt, count, source=source, temperature=0)
    theirs.generation_config.eos_token_id = None  # or it stops there, and the two have different lengths
    settings = {"do_sample": False, "max_new_tokens": count, "pad_token_id": 0, "num_beams": 1}
    if source is not None:  # what its files forbid or force is not the network's
        own = {"decoder_start_token_id": prompt[0], "use_cache": network.config.depth <= network.config.layers}
        theirs.generation_config = type(theirs.generation_config)(**own)
    given = torch.tensor([prompt if source is None else source])
    whole = theirs.generate(given, attention_mask=torch.ones_like(given), **settings)
    other = whole[0, len(prompt) :].tolist()
    parted = next((i for i, pair in enumerate(zip(ours, other, strict=True)) if pair[0] != pair[1]), None)
    passed = True
    if parted is not None:
        reads = {} if source is None else {"source": network.read(torch.tensor([source]))}  # type: ignore[operator]
        logits = network(torch.tensor([prompt + ours[:parted]]), **reads)[0, -1]
        gap = float(logits[ours[parted]] - logits[other[parted]])
        passed = gap <= 2 * TOLERANCE * max(1.0, float(logits.abs().max()))
    return {"tokens": ours, "equal": count if parted is None else parted, "of": count, "passed": passed}


def _token_ids(tokenizer: Any, folder: Path, texts: tuple[str, ...], insist: bool) -> dict[str, Any]:
    from seedstock.inputs.tokenizers import Tokenizer

    try:
        own = Tokenizer(folder)
    except IntegrityError as error:
        if insist:
            raise
        return {"passed": None, "reason": error.what}
    ours = [item.tolist() for item in own.encode_batch(texts)]
    other = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return {"texts": len(texts), "tokens": sum(map(len, ours)), "passed": ours == other}
