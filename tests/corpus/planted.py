"""Personal data that is valid by its rule and nobody's, near misses, and where they stand in a sentence."""

from __future__ import annotations

import ipaddress
import random

from seedstock.corpus.signals.national_ids import IDS

KINDS = ("card", "iban", "id", "email", "phone", "ip")
# A number's form by country: # is a digit, ? a capital; dates as written; and the word that must stand before it.
FORMS = {
    "us": ("###-##-####", ""),
    "ca": ("1## ### ###", "SIN"),
    "gb": ("?? ## ## ## A", ""),
    "de": ("###########", "Steuer-ID"),
    "fr": ("2 ## 0# 7# ### ### ##", ""),
    "es": ("########?", "DNI"),
    "it": ("RSSMRA##A0#H###?", ""),
    "nl": ("#########", "BSN"),
    "pl": ("%y%m%d#####", "PESEL"),
    "br": ("###.###.###-##", ""),
    "in": ("2### #### ####", "Aadhaar"),
    "cn": ("11010119%y%m%d###X", ""),
    "se": ("%y%m%d-####", ""),
    "fi": ("%d%m%y-###?", ""),
    "kr": ("%y%m%d-1######", ""),
    "mx": ("BADD%y%m%dHCMLNS0#", ""),
    "be": ("%y.%m.%d-###.##", ""),
    "no": ("%d%m%y #####", ""),
    "au": ("### ### ###", "TFN"),
}
BANKS = {"DE": 18, "FR": 23, "GB": 18, "NO": 11, "ES": 20, "IT": 23, "PL": 24}
PHONES = (
    "+49 30 #######", "+44 20 #### ####", "+33 1 ## ## ## ##", "+1 212 736 ####", "+81 3 #### ####", "(415) 626-####",
    "212-736-####", "+91 98## ######", "+55 11 9####-####", "+34 91# ### ###", "+4930#######", "01 42 ## ## ##",
    "tel. 030 #######", "Fax: 089/######", "mobile 07### ######", "+86 138 #### ####", "1-415-626-####",
)  # fmt: skip
SENTENCES = (
    "You can reach me under {}, any day.",
    "{}",
    "Please note {} for your files\nand go on.",
    "größe – ({}) – und so weiter",
    "value={}; done",
)


class Planter:
    """Draws values and sentences; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def digits(self, form: str) -> str:
        """A form with its signs filled in."""
        day, month, year = self.rng.randint(1, 28), self.rng.randint(1, 12), self.rng.randint(50, 99)
        form = form.replace("%d", f"{day:02}").replace("%m", f"{month:02}").replace("%y", f"{year:02}")
        letters = {"#": "0123456789", "?": "ABCDEFGHJKLMNPRSTWXYZ", "X": "0123456789X"}
        return "".join(self.rng.choice(letters[sign]) if sign in "#?" else sign for sign in form)

    def valid(self, kind: str) -> tuple[str, str]:
        """(sentence, value)."""
        if kind == "id":
            return self.identity(self.rng.choice(sorted(FORMS)))
        value = {
            "card": self.card, "iban": self.iban, "email": self.email, "phone": self.phone, "ip": self.address,
        }[kind]()  # fmt: skip
        named = value
        if kind == "phone":
            named, value = value, value.removeprefix("tel. ").removeprefix("Fax: ").removeprefix("mobile ")
        return self.rng.choice(SENTENCES).format(named), value

    def card(self) -> str:
        """A number of an issuer's range with Luhn's digit, worked out by hand from the right."""
        start, length = self.rng.choice([("4", 16), ("52", 16), ("2300", 16), ("37", 15), ("6011", 16), ("3540", 16)])
        body = start + "".join(self.rng.choice("0123456789") for _ in range(length - 1 - len(start)))
        doubled = [sum(divmod(int(digit) * 2, 10)) for digit in body[::-1][::2]]
        plain = [int(digit) for digit in body[::-1][1::2]]
        number = body + str(-(sum(doubled) + sum(plain)) % 10)
        sign = self.rng.choice(["", " ", "-"])
        sizes = [4, 6, 5] if length == 15 else [4, 4, 4, 4]
        ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
        return sign.join(number[end - size : end] for size, end in zip(sizes, ends, strict=True))

    def iban(self) -> str:
        country = self.rng.choice(sorted(BANKS))
        account = "".join(self.rng.choice("0123456789") for _ in range(BANKS[country]))
        letters = "".join(str(ord(letter) - 55) for letter in country)
        whole = f"{country}{98 - int(account + letters + '00') % 97:02}{account}"
        if self.rng.random() < 0.5:
            return whole
        return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))

    def email(self) -> str:
        name = "".join(self.rng.choice("abcdefghijklmnop") for _ in range(self.rng.randint(2, 9)))
        more, ending = self.rng.choice(["", ".x", "_9", "+tag"]), self.rng.choice([".com", ".co.uk", ".de"])
        return f"{name}{more}@{name[::-1]}{ending}"

    def phone(self) -> str:
        while True:
            value = self.digits(self.rng.choice(PHONES))
            if len(set(value) & set("0123456789")) > 3:
                return value

    def address(self) -> str:
        while True:
            found: ipaddress.IPv4Address | ipaddress.IPv6Address
            if self.rng.random() < 0.5:
                found = ipaddress.IPv4Address(self.rng.getrandbits(32))
            else:
                found = ipaddress.IPv6Address((0x2A00 << 112) | self.rng.getrandbits(108))
            small = found.version == 4 and sum(byte < 10 for byte in found.packed) > 2  # like numbers of sections
            if found.is_global and not found.is_multicast and int(found) % 256 and not small:
                return str(found)

    def identity(self, country: str) -> tuple[str, str]:
        """(sentence with the word that is needed, value): drawn until the country's rule holds."""
        form, word = FORMS[country]
        rules = [kind for kind in IDS if kind.country == country]
        while True:
            value = self.digits(form.replace("X", self.rng.choice("0123456789X")) if country == "cn" else form)
            if any((found := kind.regex.fullmatch(value.encode())) and kind.valid(found[0]) for kind in rules):
                return f"The {word or 'number'} {value} is on record.", value

    def broken(self, text: str, value: str) -> str:
        """The sentence with one digit of the value changed."""
        places = [at for at, sign in enumerate(value) if sign.isdigit()]
        at = self.rng.choice(places)
        other = value[:at] + str((int(value[at]) + self.rng.randint(1, 9)) % 10) + value[at + 1 :]
        return text.replace(value, other)

    def near_miss(self, kind: str) -> str:
        """What looks like the kind to a careless pattern, and is not."""
        rng = self.rng
        if kind == "card":
            text, value = self.valid("card")
            return self.broken(text, value)
        if kind == "iban":
            text, value = self.valid("iban")
            return self.broken(text, value)
        if kind == "id":
            country = rng.choice([code for code in sorted(FORMS) if code not in ("us", "gb")])
            return self.broken(*self.identity(country))
        if kind == "email":
            name = self.email().partition("@")[0]
            return rng.choice([f"{name}@example.com", f"@{name}.com", f"{name}@{name}", f"git@{name}.com:a/b.git"])
        if kind == "ip":
            quad = ".".join(str(rng.randint(0, 255)) for _ in range(4))
            return rng.choice(
                [f"version {quad}", f"v{quad}", f"{quad}.7", f"10.{quad.partition('.')[2]}", f"lib-{quad}", f"=={quad}"]
            )
        return rng.choice(
            [
                self.digits("%y%y-%m-%d"),
                self.digits("ISBN 978-3-16-######-0"),
                self.digits("order ##########"),
                self.digits("0.############"),
                self.digits("pages ###-###"),
                self.digits("+999 ### ### ####"),
                self.digits("(212) 555-01##"),
            ]
        )
