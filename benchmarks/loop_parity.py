"""500 steps of the same weights on the same batches: our loop, nanoGPT's and transformers'.

    git clone https://github.com/karpathy/nanoGPT
    python benchmarks/loop_parity.py --nanogpt nanoGPT --text FILE --out FOLDER

nanoGPT's ``train.py`` runs as it is, resumed at step 0 from our weights, and draws the batches; what it draws is
written down and given to ``transformers.Trainer`` and to ``seedstock.training.fit``. fp32 on the CPU, GPT-2 with the
exact GELU (nanoGPT's), AdamW with weight decay on matrices, gradients clipped at 1, cosine to a tenth. Bytes are the
tokens. Writes ``curves.json`` and ``loop-parity.png``. Needs transformers, accelerate and matplotlib.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

WIDTH, LAYERS, HEADS, CONTEXT, BATCH, VOCABULARY = 128, 4, 4, 128, 8, 256
RATE, FINAL, DECAY, BETAS = 1e-3, 0.1, 0.1, (0.9, 0.95)
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def network():
    """Ours, freshly made; the same every time."""
    from seedstock.models.configs.decoder import DecoderConfig

    sizes = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "context": CONTEXT}
    return DecoderConfig(shape="gpt2", activation="gelu_exact", **sizes).build(VOCABULARY, seed=1)


def exported(out: Path) -> Path:
    """Our weights as ``transformers`` reads them."""
    from seedstock.transfer.export import export

    folder = out / "gpt2"
    if not folder.exists():
        assert export(network(), None, folder)["passed"]
    return folder


def nanogpt(source: Path, out: Path, steps: int) -> None:
    """Runs ``train.py`` and writes down its losses and where its batches begin."""
    from transformers import GPT2LMHeadModel

    theirs = GPT2LMHeadModel.from_pretrained(exported(out)).state_dict()
    weights = {
        name: value.t().contiguous() if name.endswith(TRANSPOSED) else value
        for name, value in theirs.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    sys.path.insert(0, str(source))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    sizes = {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "block_size": CONTEXT}
    sizes |= {"bias": True, "vocab_size": VOCABULARY}
    fresh = GPT(GPTConfig(dropout=0.0, **sizes))
    mask = {name: value for name, value in fresh.state_dict().items() if name.endswith(".attn.bias")}
    optimizer = fresh.configure_optimizers(DECAY, RATE, BETAS, "cpu")
    state = {"model": weights | mask, "optimizer": optimizer.state_dict(), "model_args": sizes}
    torch.save(state | {"iter_num": 0, "best_val_loss": -1.0, "config": {}}, out / "ckpt.pt")

    losses, starts = list[float](), list[list[int]]()
    cross_entropy, randint = torch.nn.functional.cross_entropy, torch.randint

    def kept_loss(*given, **more):
        found = cross_entropy(*given, **more)
        losses.append(float(found.detach()))
        return found

    def kept_draw(*given, **more):
        found = randint(*given, **more)
        starts.append(found.tolist())
        return found

    torch.nn.functional.cross_entropy, torch.randint = kept_loss, kept_draw
    os.chdir(source)
    options = {
        "out_dir": str(out), "init_from": "resume", "dataset": str(out), "batch_size": BATCH, "block_size": CONTEXT,
        "gradient_accumulation_steps": 1, "max_iters": steps - 1, "lr_decay_iters": steps, "warmup_iters": 0,
        "learning_rate": RATE, "min_lr": RATE * FINAL, "weight_decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1],
        "dropout": 0.0, "device": "cpu", "dtype": "float32", "compile": False, "eval_iters": 0,
        "eval_interval": 10**9, "always_save_checkpoint": False, "log_interval": 100,
    }  # fmt: skip
    sys.argv = ["train.py", *(f"--{key}={value}" for key, value in options.items())]
    runpy.run_path("train.py", run_name="__main__")
    write(out, "nanogpt", losses[:steps])
    (out / "starts.json").write_text(json.dumps(starts[:steps]))


def windows(out: Path) -> np.ndarray:
    """What nanoGPT read: int64 ``[steps, B, T + 1]``."""
    data = np.fromfile(out / "train.bin", dtype=np.uint16).astype(np.int64)
    starts = np.array(json.loads((out / "starts.json").read_text()))
    return data[starts[..., None] + np.arange(CONTEXT + 1)]


def trainer(out: Path) -> None:
    """``transformers.Trainer``; its cosine has the same floor through ``cosine_with_min_lr``."""
    from transformers import GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    given = torch.from_numpy(windows(out)).flatten(0, 1)
    steps = len(given) // BATCH
    losses = list[float]()

    class Kept(Trainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(given)

        def compute_loss(self, model, inputs, return_outputs=False, **_):
            tokens = inputs["windows"]
            logits = model(input_ids=tokens[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            losses.append(float(loss.detach()))
            return loss

    class Still(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, **_):
            for module in model.modules():  # no dropout anywhere, as in nanoGPT's run
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0

    Kept(
        GPT2LMHeadModel.from_pretrained(exported(out)),
        TrainingArguments(
            str(out / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr_rate": FINAL},
            optim="adamw_torch",
            weight_decay=DECAY,
            adam_beta1=BETAS[0],
            adam_beta2=BETAS[1],
            max_grad_norm=1.0,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=100,
            remove_unused_columns=False,
        ),
        train_dataset=[{"windows": one} for one in given],
        callbacks=[Still()],
    ).train()
    write(out, "transformers", losses)


def ours(out: Path) -> None:
    """``seedstock.training.fit``, from start to end as a run calls it."""
    from seedstock.ledger.chain import Chain
    from seedstock.objectives.configs.causal import CausalConfig
    from seedstock.training.configs.training import TrainingConfig
    from seedstock.training.fit import fit

    given = windows(out)

    class Loader:
        def batch(self, step: int) -> dict[str, np.ndarray]:
            tokens = given[step]
            places = np.tile(np.arange(tokens.shape[1]), (BATCH, 1))
            examples = np.arange(step * BATCH, (step + 1) * BATCH)
            return {"examples": examples, "tokens": tokens, "documents": np.zeros_like(tokens), "positions": places}

    config = TrainingConfig(
        steps=len(given),
        batch_examples=BATCH,
        micro_batch=BATCH,
        precision="fp32",
        compile=False,
        threads=torch.get_num_threads(),
        optimizer={"kind": "adamw", "learning_rate": RATE, "weight_decay": DECAY, "betas": BETAS},
        schedule={"kind": "cosine", "warmup": 0, "final": FINAL},
        checkpoint_every=len(given),
    )
    folder = out / "ours"
    result = fit(
        network=network(),
        objective=CausalConfig().build(),
        loader=Loader(),
        config=config,
        run_folder=folder,
        chain=Chain(folder / "ledger" / "chain.jsonl"),
    )
    write(out, "seedstock", result.losses)


def write(out: Path, name: str, losses: list[float]) -> None:
    """Each loop leaves its losses by itself."""
    (out / f"{name}.json").write_text(json.dumps(losses))


def compare(out: Path) -> None:
    """The table, and the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves = {
        name: np.array(json.loads((out / f"{name}.json").read_text()))
        for name in ("seedstock", "nanogpt", "transformers")
    }
    (out / "curves.json").write_text(json.dumps({name: curve.tolist() for name, curve in curves.items()}))
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(7, 6), sharex=True)
    for name, curve in curves.items():
        upper.plot(curve, label=name, linewidth=1)
    upper.set_ylabel("loss, nats a byte")
    upper.legend()
    for name in ("nanogpt", "transformers"):
        apart = np.abs(curves["seedstock"] - curves[name])
        lower.semilogy(np.maximum(apart, 1e-8), label=f"ours and {name}", linewidth=1)
        print(
            f"{name}: from {curves[name][0]:.5f} to {curves[name][-1]:.5f}; from ours apart at most {apart.max():.2e},"
        )
        print(f"    {apart[:20].max():.2e} in the first 20 steps, {apart.mean():.2e} in the mean")
    apart = np.abs(curves["nanogpt"] - curves["transformers"])
    lower.semilogy(np.maximum(apart, 1e-8), label="nanogpt and transformers", linewidth=1)
    print(f"nanogpt and transformers: apart at most {apart.max():.2e}, mean {apart.mean():.2e}")
    lower.set_ylabel("difference of the losses")
    lower.set_xlabel("step")
    lower.legend()
    figure.tight_layout()
    figure.savefig(out / "loop-parity.png", dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout")
    parser.add_argument("--text", type=Path, required=True, help="a file; its bytes are the tokens")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--only", choices=("nanogpt", "transformers", "seedstock", "table"))
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if options.only is None:
        for name in ("train.bin", "val.bin"):
            np.frombuffer(options.text.read_bytes(), dtype=np.uint8).astype(np.uint16).tofile(out / name)
        (out / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": VOCABULARY}))
        for name in ("nanogpt", "transformers", "seedstock", "table"):  # each by itself: nothing leaks into the next
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", name], check=True)
    elif options.only == "nanogpt":
        nanogpt(options.nanogpt.resolve(), out, options.steps)
    elif options.only == "transformers":
        trainer(out)
    elif options.only == "seedstock":
        ours(out)
    else:
        compare(out)


if __name__ == "__main__":
    main()
