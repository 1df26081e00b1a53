"""The package's own names: every one of them resolves, and importing the package stays light."""

import subprocess
import sys

import pytest

import seedstock


@pytest.mark.parametrize("name", seedstock.__all__)
def test_every_name_resolves_to_something_documented(name):
    found = getattr(seedstock, name)
    assert callable(found) and found.__doc__
    assert name in dir(seedstock)


def test_importing_it_loads_nothing_heavy():
    heavy = "{'torch', 'pyarrow', 'numpy', 'pydantic', 'rich', 'transformers', 'tokenizers'}"
    code = f"import sys, seedstock; found = {heavy} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_hold_whatever_was_imported_before():
    """A subpackage becomes an attribute when it is imported, so no function may bear its name."""
    code = (
        "import seedstock, pkgutil, types\n"
        "for module in pkgutil.iter_modules(seedstock.__path__):\n"
        "    assert module.name not in seedstock.__all__, module.name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sow'"):
        seedstock.sow  # noqa: B018
