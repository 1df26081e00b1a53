"""Tokens a second of transformers' Trainer on the shape of the comparison."""

import tempfile
import time

import shape
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments


class Tokens(torch.utils.data.Dataset):
    def __init__(self, count):
        self.ids = torch.from_numpy(shape.tokens(count * shape.CONTEXT)).view(count, shape.CONTEXT)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


class Clock(TrainerCallback):
    def __init__(self, warmup):
        self.warmup, self.started, self.seconds = warmup, 0.0, 0.0

    def on_step_end(self, args, state, control, **_):
        now = time.perf_counter()
        if state.global_step == self.warmup:
            self.started = now
        self.seconds = now - self.started


def main():
    options = shape.arguments()
    torch.set_num_threads(options.threads)
    config = LlamaConfig(
        vocab_size=shape.VOCABULARY,
        hidden_size=shape.WIDTH,
        intermediate_size=shape.MLP,
        num_hidden_layers=shape.LAYERS,
        num_attention_heads=shape.HEADS,
        num_key_value_heads=shape.KV_HEADS,
        max_position_embeddings=shape.CONTEXT,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    clock = Clock(options.warmup)
    steps = options.warmup + options.steps
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                max_steps=steps,
                per_device_train_batch_size=options.batch,
                learning_rate=shape.LEARNING_RATE,
                optim="adamw_torch_fused",
                bf16=options.precision == "bf16",
                torch_compile=options.compile,
                use_cpu=not torch.cuda.is_available(),
                logging_steps=10**9,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                dataloader_num_workers=0,
            ),
            train_dataset=Tokens(steps * options.batch),
            callbacks=[clock],
        )
        trainer.train()
    shape.report("transformers", options, clock.seconds, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
