"""Text becomes tokens, tokens become shards, and the data plan says which of them every training step sees."""
