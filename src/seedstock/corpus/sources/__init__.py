"""Where documents come from: one kind a file, each with its register entry (rights, evidence, acquisition)."""
