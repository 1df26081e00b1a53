"""The release: the base model with the papers that say what it is made of, every figure from the run's own records."""
