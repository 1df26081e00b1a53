"""The trained model of a run: built, loaded, asked for text, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedstock import environment
from seedstock.errors import DataError
from seedstock.runs import Run


def device() -> str:
    """Where networks run: the first CUDA GPU, else Apple's, else the CPU."""
    environment.require("torch")
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def build(recipe: Any, vocab_size: int) -> Any:
    """The network of a resolved recipe, with its initial weights, on this machine's device."""
    return recipe.model.build(vocab_size, recipe.seed, device())


def load(run: Run, step: int | None = None) -> tuple[Any, int]:
    """The network of a checkpoint (the newest one, or that of ``step``) and its step.

    Raises DataError where there is no such checkpoint, IntegrityError where it is damaged.
    """
    environment.require("torch")
    import torch

    from seedstock.training.state import load_weights

    steps = run.checkpoints
    if not steps or (step is not None and step not in steps):
        listed = ", ".join(map(str, steps))
        there = f"checkpoints there: {listed}" if steps else f"train first: `seedstock resume {run.name}`"
        raise DataError(
            f"there is no checkpoint{'' if step is None else f' of step {step}'}", where=run.folder, fix=there
        )
    chosen = steps[-1] if step is None else step
    network = build(run.recipe, run.tokenizer.vocab_size)
    load_weights(run.folder / "checkpoints" / f"step-{chosen:08d}", network)
    network.eval()
    if run.recipe.training.precision == "bf16":
        network.use(torch.bfloat16)
    return network, chosen


def sample(run: Run, network: Any, *, prompt: str = "", tokens: int = 60, seed: int = 1, **options: Any) -> str:
    """A text from a network of the run, with its prompt."""
    from seedstock.models.generate import generate

    tokenizer = run.tokenizer
    ids = [tokenizer.specials["bos"], *tokenizer.encode(prompt).tolist()]
    options = {"temperature": 0.8, "top_k": 50} | options
    specials = set(tokenizer.specials.values())
    ends = {tokenizer.specials["eos"], tokenizer.specials["im_end"]}
    written = generate(network, ids, tokens, seed=seed, stop=ends, forbidden=specials - ends, **options)
    return tokenizer.decode([*ids[1:], *written])


def generate(run: Run, prompt: str = "", *, tokens: int = 120, step: int | None = None, **options: Any) -> str:
    """A text from a run's model: ``temperature``, ``top_k``, ``top_p``, ``seed`` as in models.generate."""
    network, _ = load(run, step)
    return sample(run, network, prompt=prompt, tokens=tokens, **options)


def export(run: Run, folder: Path, *, step: int | None = None) -> dict[str, Any]:
    """Writes a checkpoint as a folder that ``transformers`` loads; returns the parity report."""
    import torch

    from seedstock.transfer.export import export as write

    network, _ = load(run, step)
    network.use(torch.float32)
    return write(network, run.stage_folder("tokenizer"), Path(folder))


def import_folder(folder: Path) -> dict[str, Any]:
    """Reads a folder that ``transformers`` wrote; returns the parity report, with what was found."""
    from seedstock.transfer.importing import import_model

    found = import_model(Path(folder))
    return {"parameters": sum(p.numel() for p in found.network.parameters()), **(found.report or {})}
