"""What recipes say about training. Free of torch."""
