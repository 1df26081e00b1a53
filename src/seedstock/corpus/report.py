"""What became of the documents, for people: a page (``report.html``) and a table for the terminal.

Both are made from the keys of :func:`seedstock.corpus.summary.summarise`; the page also shows short samples, read from
the corpus folder when it is written, with e-mail addresses and secrets taken out. After a document is erased, writing
the page again erases it there.
"""

from __future__ import annotations

from seedstock.corpus.summary import summarise

__all__ = ["summarise"]
