"""Checkpoints: sealed folders of safetensors and JSON, planned by PyTorch's distributed checkpoint; never a pickle."""
