"""The optimizers: parameter groups by role and name, and their state as named tensors."""
