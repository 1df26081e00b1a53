"""Raw HTML becomes text, with what the page says of itself and a map back to its bytes (docs/corpus/extraction.md)."""
