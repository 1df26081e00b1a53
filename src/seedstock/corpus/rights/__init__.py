"""Whose documents are, and what may be done with them: licences by text and marks, opt-outs by their protocols."""
