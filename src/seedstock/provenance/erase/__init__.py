"""Taking a document out of each kind of file: tables, token streams, and pages that quote it.

Every function here may be run again on files that it has already rewritten, and then changes nothing.
"""
