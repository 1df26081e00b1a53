"""Training: the loop, optimizers, schedules, precision and checkpoints. Knows no modality and no objective.

``seedstock.training.fit.fit`` is the way in.
"""
