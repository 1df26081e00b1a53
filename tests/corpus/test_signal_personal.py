"""Every value here is made when the tests run: valid by its rule, and nobody's."""

import ipaddress
import random
import string

import pytest
from batches import documents
from hypothesis import given
from hypothesis import strategies as st
from planted import KINDS, Planter

from seedstock.corpus.policy import Policy
from seedstock.corpus.signals import checksums
from seedstock.corpus.signals.national_ids import IDS
from seedstock.corpus.signals.personal import Personal
from seedstock.corpus.signals.personal_numbers import _PHONE_WORDS, _SHAPES, _says_phone


def finds(*texts, **options):
    """[(what, kind) ...] of each text."""
    found = Personal(**options).compute(documents(list(texts))).to_pylist()
    result = []
    for text, row in zip(texts, found, strict=True):
        data = text.encode()
        spans = [data[span["start"] : span["end"]].decode() for span in row["spans"]]
        assert row["count"] == len(spans) == sum(row[f"{kind}s"] for kind in (*KINDS, "name"))
        result.append(list(zip(spans, row["kinds"], strict=True)))
    return result


number = st.integers(0, 10**18).map(lambda value: str(value).encode())


@given(number)
def test_luhn_is_one_in_ten_and_sees_every_changed_digit(value):
    good = [value + check for check in (b"%d" % n for n in range(10)) if checksums.luhn(value + check)]
    assert len(good) == 1
    for place in range(len(value)):
        changed = bytearray(good[0])
        changed[place] = (changed[place] - 48 + 1) % 10 + 48
        assert not checksums.luhn(bytes(changed))


@given(number.filter(lambda value: len(value) > 1), st.data())
def test_verhoeff_sees_every_swap_of_neighbours(value, data):
    (good,) = [value + b"%d" % n for n in range(10) if checksums.verhoeff(value + b"%d" % n)]
    at = data.draw(st.integers(0, len(good) - 2))
    swapped = good[:at] + good[at : at + 2][::-1] + good[at + 2 :]
    assert checksums.verhoeff(swapped) == (swapped == good)


@given(st.text(string.ascii_uppercase + string.digits, min_size=10, max_size=30), st.sampled_from(["DE", "FR", "NO"]))
def test_mod_97_has_one_pair_of_check_digits(account, country):
    good = [n for n in range(2, 99) if checksums.mod97(f"{country}{n:02}{account}".encode())]
    assert len(good) == 1


@given(st.text("0123456789", min_size=10, max_size=10))
def test_mod_11_10_has_one_check_digit(value):
    assert sum(checksums.mod11_10(f"{value}{n}".encode()) for n in range(10)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_value_is_found_with_its_exact_span(kind):
    planter = Planter(7)
    for _ in range(200):
        text, value = planter.valid(kind)
        assert finds(f"größe {text} und") == [[(value, kind)]], text


SPECIMENS = {  # published by the offices, or well known
    "ca": "SIN 123-456-782",
    "gb": "NHS 943 476 5919",
    "de": "Steuer-ID 86095742719",
    "fr": "2 55 08 14 168 025 38",
    "es": "DNI 12345678Z",
    "es ": "X1234567L",
    "it": "RSSMRA85T10A562S",
    "nl": "BSN 111222333",
    "pl": "PESEL 44051401359",
    "br": "111.444.777-35",
    "in": "Aadhaar 2341 2341 2346",
    "cn": "11010519491231002X",
    "se": "811228-9874",
    "fi": "131052-308T",
    "mx": "BOXW310820HNERXN09",
    "be": "85.07.30-033.28",
    "no": "151086 95088",
    "au": "TFN 123 456 782",
}


@pytest.mark.parametrize("country", SPECIMENS)
def test_published_specimens_follow_the_rules(country):
    text = SPECIMENS[country]
    word, _, value = text.partition(" ")
    expected = value if word.isalpha() or "-I" in word else text
    assert finds(f"her {text} there") == [[(expected, "id")]]


@pytest.mark.parametrize("country", sorted({kind.country for kind in IDS}))
def test_every_country_s_numbers_are_found_and_a_wrong_digit_is_not(country):
    planter = Planter(3)
    wrong = 0
    for _ in range(50):
        text, value = planter.identity(country)
        assert finds(text) == [[(value, "id")]], text
        wrong += (value, "id") in finds(planter.broken(text, value))[0]
    # Britain's and America's numbers have no check digit: a changed digit makes another number.
    assert wrong <= (50 if country in ("us", "gb") else 15)


@pytest.mark.parametrize("kind", KINDS)
def test_near_misses_stay(kind):
    planter = Planter(11)
    found = sum(bool(finds(planter.near_miss(kind))[0]) for _ in range(200))
    assert found <= {"id": 4}.get(kind, 2)


@pytest.mark.parametrize(
    "text",
    [
        "version 86.0.4240.75 and numpy==1.26.4.2, v10.2.33.4, release 20.04.3.190",
        "see section 2.5.29.15, or 3.3.9.45",
        "127.0.0.1, 10.0.0.7, 192.168.1.20, 169.254.3.4, 255.255.255.0, 224.0.0.251, 203.0.113.9 and 8.8.8.0",
        "fe80::1, ::1, fc00::12, 2001:db8::7, std::vector, a::b, 12:30:45, 2006::",
        "1234567890123456 and 4111 1111 1111 1111 and 4242-4242-4242-4242",
        "3.14159265358979 and 0.4532015112830366 and 1,234,567.89",
        "2024-01-31, 31.12.2023, 12/31/1999, 2018-08-10 12:30:45",
        "ISBN 978-3-16-148410-0, RFC 2119, pages 123-456, 555-0142, (212) 555-0143",
        "0x4532015112830366 a4532015112830366b sha 4532015112830366aa",
        "54 71 83 51 54 69 16 92 33 48 61 43 52 01 89 19 67 48",
        "078-05-1120, 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
        "GB82 WEST 1234 5698 7654 33 and DE89370400440532013001 and XX82WEST12345698765432",
        "Decimal('+35236450.6') + x[1]+4294967296*y",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
    ],
)
def test_what_only_looks_like_personal_data_stays(text):
    assert finds(text) == [[]]


@pytest.mark.parametrize(
    "text, value, kind",
    [
        ("Tel.: 030 1234567", "030 1234567", "phone"),
        ("phone (0171) 234 56 78", "(0171) 234 56 78", "phone"),
        ("write to +49 (0)30 2345-678 today", "+49 (0)30 2345-678", "phone"),
        ("au 01 42 68 53 00.", "01 42 68 53 00", "phone"),
        ("call us at 212 736 5000", "212 736 5000", "phone"),
        ("(212) 736-5000", "(212) 736-5000", "phone"),
        ("from 8.8.8.8 to", "8.8.8.8", "ip"),
        ("http://93.184.215.14/x", "93.184.215.14", "ip"),
        ("[2606:2800:220:1:248:1893:25c8:1946]:443", "2606:2800:220:1:248:1893:25c8:1946", "ip"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC", "DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "GB82WEST12345698765432", "iban"),
        ("ann@firm.com", "ann@firm.com", "email"),
    ],
)
def test_forms_in_print(text, value, kind):
    assert finds(text) == [[(value, kind)]]


@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(0, 1000))
def test_texts_do_not_run_into_each_other(kinds, seed):
    planter = Planter(seed)
    planted = [planter.valid(kind) for kind in kinds]
    assert finds(*(text for text, _ in planted)) == [
        [(value, kind)] for (_, value), kind in zip(planted, kinds, strict=True)
    ]
    halves = [half for _, value in planted for half in (value[: len(value) // 2], value[len(value) // 2 :])]
    alone = [row for half in halves for row in finds(half)]
    assert finds(*halves) == alone


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_only_addresses_that_are_routed_in_public_are_found(address):
    found = finds(f"client address {address} said")[0]
    if found:
        assert found == [(str(address), "ip")] and address.is_global and not address.is_multicast
    elif address.is_global and not address.is_multicast:
        assert int(address) % 256 == 0


def test_kinds_can_be_chosen():
    text = "ann@firm.com, ip 8.8.8.8, +49 30 2345678"
    assert finds(text, find=("email",)) == [[("ann@firm.com", "email")]]
    assert finds(text, find=("phone", "ip")) == [[("8.8.8.8", "ip"), ("+49 30 2345678", "phone")]]
    assert finds(text, find=()) == [[]]


def test_names_are_found_by_the_model_that_is_given(monkeypatch, tmp_path):
    (tmp_path / "local_names.py").write_text(
        "import re\n"
        "def find(texts):\n    return [[m.span() for m in re.finditer('Zoë [A-Z]\\\\w+', t)] for t in texts]\n"
        "def broken(texts):\n    return [[(5, 500)] for t in texts]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = finds("größe: Zoë Quinn, zq@firm.com", "none", names="local_names:find")
    assert found == [[("Zoë Quinn", "name"), ("zq@firm.com", "email")], []]
    with pytest.raises(ValueError, match="span 5 to 500"):
        finds("x", names="local_names:broken")
    with pytest.raises(ValueError, match="does not import"):
        Personal(names="local_names:missing")
    with pytest.raises(ValueError, match="does not import"):
        Personal(names="no_such_module:find")


def test_a_policy_redacts_by_kind_and_drops_by_count():
    policy = Policy.model_validate(
        {
            "signals": ["personal"],
            "rules": [{"signal": "personal.cards", "above": 1, "reason": "a list of payment cards"}],
            "redact": {"personal": "<{kind}>"},
        }
    )
    planter = Planter(1)
    cards = [planter.valid("card")[1] for _ in range(2)]
    batch = documents([f"mail ann@firm.com from 8.8.8.8 with {cards[0]}", " and ".join(cards)])
    signals = {"personal": policy.signals[0].compute(batch)}
    assert policy.decide(batch, signals).column("reason").to_pylist() == ["", "a list of payment cards"]
    assert [new for *_, new in policy.edits(batch, signals)[0]] == ["<email>", "<ip>", "<card>"]


def test_values_are_in_no_column():
    planter = Planter(5)
    texts, values = zip(*(planter.valid(kind) for kind in KINDS), strict=True)
    shown = repr(Personal().compute(documents(list(texts))).to_pylist())
    assert not any(value in shown for value in values)


def test_a_long_table_of_numbers_takes_linear_time():
    import time

    rng = random.Random(2)
    text = " ".join(str(rng.randrange(10**6)) for _ in range(300_000))
    begin = time.process_time()
    Personal().compute(documents([text]))
    assert time.process_time() - begin < 20


@given(st.from_regex(_PHONE_WORDS))
def test_whatever_names_a_telephone_is_seen_at_the_first_look(before):
    assert _says_phone(before)


def test_every_shape_of_a_national_number_is_looked_for():
    looked = [(shape, number) for shapes in _SHAPES.values() for shape, numbers in shapes for number in numbers]
    assert sorted(looked) == sorted((shape, number) for number, kind in enumerate(IDS) for shape in kind.shapes)
