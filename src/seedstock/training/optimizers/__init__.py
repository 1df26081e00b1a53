"""AdamW and Muon: parameter groups by role, and their state as named tensors."""
