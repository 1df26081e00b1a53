"""One transformer backbone, its embeddings and heads: plain single-device code, parameters' roles as plain data.

Suffixes of tensor names: B batch, T positions, S positions of keys, D width, H query heads, G key-value heads,
K head size, F width inside the MLP, V vocabulary, N rows of any kind (B * T).
"""
