"""How good a base model is: bits per byte beside the floors that count models reach, and whether its run is healthy."""
