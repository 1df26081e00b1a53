"""What happens beside the loop: progress, events, validation, samples, TensorBoard; each small, each with its state."""
