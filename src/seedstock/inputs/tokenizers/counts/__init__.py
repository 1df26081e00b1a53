"""Counts of words: tables on disk, made a part of the corpus at a time, merged and weighed for training."""
