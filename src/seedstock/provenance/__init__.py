"""Provenance: the questions both ways (step, document, text), takedown, and the proof that nothing was altered."""
