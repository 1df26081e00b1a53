"""Configurations of objectives, free of torch."""
