"""What users are told when something is wrong: what, where, and what to do."""

from __future__ import annotations


class SeedstockError(Exception):
    """A problem that the user can act on; the command line prints it without a traceback and exits with ``code``.

    ``what`` says what is wrong, ``where`` names the file, line, document or key, ``fix`` says what to do.
    """

    code = 1

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, None if where is None else str(where), fix
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        return "\n".join([*lines, f"  {self.fix}"] if self.fix else lines)

    def __reduce__(self):
        # Keyword arguments are lost by the default protocol, and errors cross process boundaries.
        return _rebuild, (type(self), self.what, self.where, self.fix)


def _rebuild(cls, what, where, fix):
    return cls(what, where=where, fix=fix)


class RecipeError(SeedstockError):
    """A recipe that cannot be read or does not make sense."""

    code = 2


class DataError(SeedstockError):
    """Input that cannot be read, is empty, or is too small."""

    code = 3


class IntegrityError(SeedstockError):
    """A file of a run or of the store is missing, damaged, or not what its record says."""

    code = 4


class Interrupted(SeedstockError):
    """The run was asked to stop, saved its state and can be resumed."""

    code = 75  # EX_TEMPFAIL: schedulers may start the same command again


def nearest(name: str, known) -> str | None:
    """The known name closest to ``name``, or None where none is close."""
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
