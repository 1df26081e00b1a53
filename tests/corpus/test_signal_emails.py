import pytest
from batches import documents, library
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.signals.emails import Emails


def addresses(*texts):
    """What the spans of each text hold."""
    found = Emails().compute(documents(list(texts)))
    rows = zip(texts, found.column("spans").to_pylist(), found.column("count").to_pylist(), strict=True)
    result = []
    for text, spans, count in rows:
        assert len(spans) == count
        result.append([text.encode()[span["start"] : span["end"]].decode() for span in spans])
    return result


@pytest.mark.parametrize(
    "text, address",
    [
        ("Write to ann.lee+news@mail.firm.co.uk.", "ann.lee+news@mail.firm.co.uk"),
        ("<jürgen> Größe: o'neil@uni-köln.de, j.doe@uni-koeln.de", "j.doe@uni-koeln.de"),
        ("mailto:a_b@c-d.org?subject=x", "a_b@c-d.org"),
        ("author='x.y@z.io'", "x.y@z.io"),
        ("x@xn--bcher-kva.de", "x@xn--bcher-kva.de"),
        ("1@harry4.com", "1@harry4.com"),
        ("..dots@there.net", "dots@there.net"),
        ("日本語user@host.jp日本語", "user@host.jp"),
        ("l" * 64 + "@long.com", "l" * 64 + "@long.com"),
        ("at the very end: me@my.org", "me@my.org"),
        ("me@my.org", "me@my.org"),
    ],
)
def test_an_address_is_found_with_its_exact_span(text, address):
    assert addresses(text) == [[address]]


@pytest.mark.parametrize(
    "text",
    [
        "@property\n@app.route('/')",
        "a @ b.c and a@b and @x.com and x@",
        "user@example.com, root@localhost.localhost, a@b.test, a@mail.example.org",
        "git clone git@github.com:org/repo.git",
        "https://user:pass@host.com/path and ftp://user@host.com",
        "icon@2x.png",
        "a..b@c.com and a.@b.com",
        "l" * 65 + "@long.com",
        "x@-a.com x@a-.com x@" + "a" * 64 + ".com",
        "x@" + "a." * 130 + "com",
        "1@2.3 x@y.z1",
    ],
)
def test_what_only_looks_like_an_address_stays(text):
    assert addresses(text) == [[]]


def test_an_address_does_not_run_from_one_text_into_the_next():
    assert addresses("joe", "@firm.com", "joe@firm", ".com", "x joe@firm.com") == [[], [], [], [], ["joe@firm.com"]]


local = st.from_regex(r"\A[a-z0-9]([a-z0-9._+-]{0,10}[a-z0-9])?\Z").filter(lambda text: ".." not in text)
host = st.from_regex(r"\A([a-z][a-z0-9]{0,8}\.){1,3}(com|net|de|museum)\Z").filter(lambda text: "example" not in text)
noise = st.text(st.sampled_from("@. :é語\n<>()\"'"), max_size=5)


@given(st.lists(st.lists(st.tuples(noise, local, host), max_size=4), max_size=4))
def test_every_address_set_off_by_noise_is_found(rows):
    rows = [[(n, l, h) for n, l, h in row if l not in ("git", "hg", "svn")] for row in rows]
    texts = ["".join(f"{noise} {name}@{where} " for noise, name, where in row) for row in rows]
    assert addresses(*texts) == [[f"{name}@{where}" for _, name, where in row] for row in rows]


def test_real_modules_hold_few_and_plausible_addresses():
    found = [address for row in addresses(*library()) for address in row]
    assert found and len(found) < 400
    assert all(address.count("@") == 1 and "." in address.partition("@")[2] for address in found)
