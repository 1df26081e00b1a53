"""Tokenizers: trained on the corpus, kept in the ecosystem's ``tokenizer.json``."""

from seedstock.inputs.tokenizers.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
