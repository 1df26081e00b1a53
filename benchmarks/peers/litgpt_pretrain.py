"""Tokens a second of litgpt's own pretraining loop on the shape of the comparison."""

import sys
import tempfile
import time
from pathlib import Path

import shape
import torch
from litgpt import Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup


class Batches(torch.utils.data.IterableDataset):
    """Endless batches; ``times`` gets the moment at which each was asked for."""

    def __init__(self, rows, times, batch):
        self.rows, self.times, self.batch = rows, times, batch

    def __iter__(self):
        number = 0
        while True:
            self.times.append(time.perf_counter())
            yield self.rows[torch.arange(number, number + self.batch) % len(self.rows)]
            number += self.batch


class Tokens(DataModule):
    def __init__(self):
        super().__init__()
        self.times = []

    def connect(self, tokenizer=None, batch_size=1, max_seq_length=None):
        self.batch_size = batch_size

    def prepare_data(self):
        pass

    def setup(self, stage=None):
        pass

    def _rows(self, count, seed):
        return torch.from_numpy(shape.tokens(count * (shape.CONTEXT + 1), seed)).view(count, shape.CONTEXT + 1)

    def train_dataloader(self):
        batches = Batches(self._rows(4096, 0), self.times, self.batch_size)
        return torch.utils.data.DataLoader(batches, batch_size=None)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(self._rows(8, 1), batch_size=self.batch_size)


def main():
    options = shape.arguments()
    torch.set_num_threads(options.threads)
    if not options.compile:
        torch.compile = lambda model, *_, **__: model  # litgpt always compiles; this is its eager form
    config = Config(
        name="comparison",
        block_size=shape.CONTEXT,
        padded_vocab_size=shape.VOCABULARY,
        vocab_size=shape.VOCABULARY,
        n_layer=shape.LAYERS,
        n_head=shape.HEADS,
        n_query_groups=shape.KV_HEADS,
        n_embd=shape.WIDTH,
        head_size=shape.WIDTH // shape.HEADS,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        intermediate_size=shape.MLP,
    )
    sys.argv[1:] = ["comparison"]  # litgpt reads the command line again, for its record
    data = Tokens()
    steps = options.warmup + options.steps
    with tempfile.TemporaryDirectory() as folder:
        setup(
            model_name="comparison",
            model_config=config,
            out_dir=Path(folder),
            precision="bf16-mixed" if options.precision == "bf16" else "32-true",
            data=data,
            devices=1,
            logger_name="csv",
            train=TrainArgs(
                save_interval=None,
                log_interval=10**9,
                global_batch_size=options.batch,
                micro_batch_size=options.batch,
                max_tokens=(steps + 1) * options.batch * shape.CONTEXT,
                tie_embeddings=True,
                max_norm=1.0,
            ),
            eval=EvalArgs(interval=10**9, max_iters=1, initial_validation=False, final_validation=False),
            optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": shape.LEARNING_RATE, "fused": True}},
        )
    # A batch is asked for at the start of its step.
    seconds = data.times[options.warmup + options.steps] - data.times[options.warmup]
    parameters = shape.LAYERS * (
        shape.WIDTH * shape.WIDTH * 2 + 2 * shape.WIDTH * shape.KV_HEADS * shape.WIDTH // shape.HEADS
        + 3 * shape.WIDTH * shape.MLP + 2 * shape.WIDTH
    ) + shape.VOCABULARY * shape.WIDTH + shape.WIDTH  # fmt: skip
    shape.report("litgpt", options, seconds, parameters)


if __name__ == "__main__":
    main()
