"""What a run will cost before it starts: the size dial, parameters, FLOPs, memory, energy. Free of torch."""
