import pytest
from batches import documents
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.signals import spdx
from seedstock.corpus.signals.licence import Licence

TAG = "SPDX-License-" + "Identifier:"


def found(text, licence=None, evidence=None):
    return Licence().compute(documents([text], licence=licence, licence_evidence=evidence)).to_pylist()[0]


@pytest.mark.parametrize(
    "written, canonical",
    [
        ("mit", "MIT"),
        ("Apache-2.0 or MIT", "Apache-2.0 OR MIT"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("(mit AND GPL-2.0+) OR isc", "(MIT AND GPL-2.0-or-later) OR ISC"),
        ("GPL-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-Public-Domain", "LicenseRef-Public-Domain"),
        ("BSD", None),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT License", None),
        ("", None),
        (None, None),
    ],
)
def test_spelling(written, canonical):
    assert spdx.canonical(written) == canonical


@pytest.mark.parametrize(
    "expression, allowed",
    [
        ("MIT", True),
        ("ISC", False),
        ("MIT AND ISC", False),
        ("MIT OR ISC", True),
        ("ISC OR MIT AND Apache-2.0", True),
        ("(ISC OR MIT) AND Apache-2.0", True),
        ("ISC OR MIT AND ISC", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only", False),
        ("LGPL-2.1-or-later", True),
        ("LGPL-3.0-only", False),
        ("Apache-2.0+", True),
    ],
)
def test_an_allow_list(expression, allowed):
    known = ["MIT", "Apache-2.0", "LGPL-2.1-only", "GPL-2.0-only WITH Classpath-exception-2.0"]
    assert spdx.permits(known, expression) is allowed


names = st.sampled_from(["MIT", "ISC", "Zlib", "0BSD"])
trees = st.recursive(
    names, lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3))
)


def written(tree):
    return tree if isinstance(tree, str) else "(" + f" {tree[0]} ".join(map(written, tree[1])) + ")"


def truth(tree, allowed):
    if isinstance(tree, str):
        return tree in allowed
    return (all if tree[0] == "AND" else any)(truth(part, allowed) for part in tree[1])


@given(trees, st.sets(names))
def test_expressions_are_read_as_logic(tree, allowed):
    assert spdx.permits(allowed, written(tree)) is truth(tree, allowed)


def test_the_declared_licence_stands_with_its_evidence():
    assert found("x = 1", "mit", "METADATA") == {"expression": "MIT", "declared": None, "evidence": "METADATA"}
    assert found("x = 1") == {"expression": None, "declared": None, "evidence": None}


def test_what_is_no_expression_is_told_apart_from_nothing():
    assert found("x = 1", "BSD", "classifier")["expression"] is None
    assert found("x = 1", "BSD", "classifier")["declared"] == "BSD"


@pytest.mark.parametrize(
    "line",
    [f"# {TAG} ISC", f"// {TAG} ISC", f"/* {TAG} ISC */", f"<!-- {TAG} ISC -->", f" * {TAG} isc", f".. {TAG} ISC"],
)
def test_a_tag_in_the_header_takes_the_place_of_what_is_declared(line):
    row = found(f"#!/bin/sh\n{line}\nx = 1", "MIT", "METADATA")
    assert row["expression"] == "ISC"
    assert "MIT" in row["evidence"]


def test_several_tags_all_bind():
    assert found(f"# {TAG} MIT OR ISC\n# {TAG} 0BSD\n# {TAG} 0BSD")["expression"] == "(MIT OR ISC) AND 0BSD"


@pytest.mark.parametrize(
    "text", [f"write `{TAG} ISC` at the top", f"# {TAG} not-a-licence", "\n" * 5000 + f"# {TAG} ISC"]
)
def test_mentions_nonsense_and_what_is_far_down_are_no_tags(text):
    assert found(text, "MIT")["expression"] == "MIT"
