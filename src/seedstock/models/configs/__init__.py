"""Configurations of models, free of torch."""
