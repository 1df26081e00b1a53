"""The recipe of a small run."""

RECIPE = """\
name: small
seed: 3
sources:
  - name: library
    kind: text
    path: {folder}
    licence: PSF-2.0
    domain: code
corpus: {{policy: none, dedup: {{kind: minhash}}, held_out: 10 %}}
mixture: {{max_repeats: null}}
tokenizer: {{kind: bpe, vocab_size: 512}}
model: {{kind: decoder, shape: qwen3, context: 64, width: 32, layers: 2, heads: 2, kv_heads: 1, mlp_width: 64}}
training:
  {{steps: 12, batch_tokens: 512, checkpoint_every: 4, precision: fp32, threads: 1, micro_batch: 8, compile: false,
   validate_every: 6}}
"""
