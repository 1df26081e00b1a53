"""Classifiers of documents that users train: what signals such as ``classifier`` and ``toxicity`` score with."""
