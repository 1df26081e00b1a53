"""The second stage: what a base model's recipe becomes when it is fine-tuned, and which classes it is exported to."""
