"""What credentials look like, and how to tell them from examples.

Every pattern starts at a boundary that its own characters cannot cross, and repeats have bounds: a text of any shape is
searched in linear time.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

# A quick RE2 look: a text without any of these holds no secret that the patterns below know.
ANCHORS = (
    r"PRIVATE KEY|(?:AKIA|ASIA)[A-Z2-7]{16}|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|hooks\.slack\.com|AIza|ya29\."
    r"|GOCSPX-|[rs]k_live_|sk-|hf_|npm_|pypi-AgEI|SG\.|AccountKey=|SK[0-9a-f]{32}|dop_v1_|shp(?:at|ca|pa|ss)_|:AA[\w-]{33}"
    r"|discord(?:app)?\.com/api/webhooks|dapi[0-9a-f]{32}|dckr_pat_|gl(?:c|sa)_|hvs\.|key-[0-9a-f]{32}|sq0(?:atp|csp)-|ATATT3"
    r"|lin_api_|AGE-SECRET-KEY-1|(?i:authorization[\"']?\s{0,4}[:=])|eyJ[A-Za-z0-9_-]+\.|://[^\s/@:]{0,64}:[^\s/@]{3,64}@"
    r"|(?i)(?:secret|token|passw(?:or)?d|api_?-?key|access_?-?key|auth_?-?key|credential)[\w-]{0,20}[\"']?\s{0,4}"
    r"(?::|=>|:?=)\s{0,4}[\"'][^\s\"']{16}"
)


@dataclass(frozen=True)
class Pattern:
    """``regex`` finds a candidate (its first group, or the whole), ``valid`` decides.

    A text that holds none of ``literals`` is not searched.
    """

    kind: str
    literals: tuple[bytes, ...]
    regex: re.Pattern[bytes]
    valid: Callable[[bytes], bool]


def entropy(value: bytes) -> float:
    """Shannon entropy of the bytes' frequencies, in bits a byte."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def random_looking(value: bytes) -> bool:
    """Whether a token's variable part looks drawn at random and not made up for an example."""
    return entropy(value) >= 3 and not re.search(rb"(?i)example|x{4}|1234567|abcdef|placeholder|redacted", value)


def _key_id(value: bytes) -> bool:
    return not value.endswith(b"EXAMPLE") and entropy(value[4:]) >= 2.5


def _jwt(value: bytes) -> bool:
    """Whether a token's header decodes to JSON that names an algorithm (RFC 7515)."""
    head = value.split(b".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _base64_key(value: bytes) -> bool:
    """Whether base64 holds the 64 bytes of a storage key, and not one byte over and over."""
    return entropy(value) >= 4.5 and not re.search(rb"(?i)example|x{6}", value)


def _basic(value: bytes) -> bool:
    """Whether base64 holds ``user:password`` (RFC 7617), and the password is no placeholder."""
    try:
        user, colon, password = base64.b64decode(value + b"=" * (-len(value) % 4)).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return bool(user and colon) and user.isprintable() and password.isprintable() and _password(password.encode())


def _bearer(value: bytes) -> bool:
    """Whether a token looks drawn at random: a web token's form is told elsewhere."""
    return not value.startswith(b"eyJ") and _assigned(value)


def _password(value: bytes) -> bool:
    """Whether what stands between ``user:`` and ``@host`` in a URL is a password and not a placeholder."""
    placeholder = rb"(?i)[<{$%*\[(]|pass|pwd|secret|token|user|key|example|x{3}|\.\.\.|^(?:foo|bar|test|\d{1,5})"
    return len(value) >= 6 and not re.search(placeholder, value)


# Words in any of the usual cases, with small numbers: a name or a path, not a value drawn at random.
_NAME = re.compile(rb"(?:[A-Z]?[a-z]{2,}(?![a-z])|[A-Z](?![a-z])|[0-9]{1,2}(?![0-9])|[._/+=~-])+")


def _assigned(value: bytes) -> bool:
    """Whether a string given to a name such as ``api_key`` looks random: mixed letters and digits, high entropy."""
    if not re.fullmatch(rb"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_.~-]+", value):
        return False
    if _NAME.fullmatch(value) and len(re.findall(rb"[0-9]+", value)) < 5:
        return False
    return entropy(value) >= 3.5 and random_looking(value)


def _token(kind: str, literals: str, regex: str, valid: Callable[[bytes], bool] = random_looking) -> Pattern:
    bounded = rf"(?<![A-Za-z0-9_-]){regex}(?![A-Za-z0-9_-])".encode()
    return Pattern(kind, tuple(literals.encode().split()), re.compile(bounded), valid)


PATTERNS = (
    _token("aws-access-key", "AKIA ASIA", "(?:AKIA|ASIA)[A-Z2-7]{16}", _key_id),
    _token("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", "gh[pousr]_[A-Za-z0-9]{36,255}"),
    _token("github-token", "github_pat_", "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _token("gitlab-token", "glpat-", "glpat-[A-Za-z0-9_-]{20,64}"),
    _token("slack-token", "xox", "xox[abeoprs]-[A-Za-z0-9-]{20,255}"),
    _token("google-api-key", "AIza", "AIza[A-Za-z0-9_-]{35}"),
    _token("google-oauth", "ya29. GOCSPX-", "(?:ya29\\.|GOCSPX-)[A-Za-z0-9_-]{20,255}"),
    _token("stripe-key", "sk_live_ rk_live_", "[rs]k_live_[A-Za-z0-9]{20,255}"),
    _token("model-api-key", "sk-", "sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{32,255}"),
    _token("hugging-face-token", "hf_", "hf_[A-Za-z0-9]{30,64}"),
    _token("package-token", "npm_ pypi-AgEI", "(?:npm_|pypi-AgEI)[A-Za-z0-9_-]{36,255}"),
    _token("sendgrid-key", "SG.", "SG\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}"),
    _token("jwt", "eyJ", r"eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{16,1024}", _jwt),
    _token("azure-storage-key", "AccountKey=", "AccountKey=([A-Za-z0-9+/]{86}==)", _base64_key),
    _token("twilio-key", "SK", "SK[0-9a-f]{32}"),
    _token("digitalocean-token", "dop_v1_ doo_v1_", "do[op]_v1_[0-9a-f]{64}"),
    _token("shopify-token", "shpat_ shpca_ shppa_ shpss_", "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token("telegram-token", ":AA", "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    _token("databricks-token", "dapi", "dapi[0-9a-f]{32}(?:-[0-9])?"),
    _token("docker-token", "dckr_pat_", "dckr_pat_[A-Za-z0-9_-]{27,64}"),
    _token("grafana-token", "glsa_", "glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}"),
    _token("grafana-token", "glc_", "glc_eyJ[A-Za-z0-9+/=_-]{40,400}"),
    _token("vault-token", "hvs.", "hvs\\.[A-Za-z0-9_-]{24,255}"),
    _token("mailgun-key", "key-", "key-[0-9a-f]{32}"),
    _token("square-token", "sq0atp- sq0csp-", "sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}"),
    _token("atlassian-token", "ATATT3", "ATATT3[A-Za-z0-9_=-]{100,255}"),
    _token("linear-key", "lin_api_", "lin_api_[A-Za-z0-9]{40}"),
    _token("age-key", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    Pattern(
        "discord-webhook",
        (b"/api/webhooks/",),
        re.compile(rb"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/([A-Za-z0-9_-]{60,80})"),
        random_looking,
    ),
    Pattern(
        "basic-auth",
        (b"asic ",),
        re.compile(rb"(?i)authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?basic ([A-Za-z0-9+/]{12,400}={0,2})"),
        _basic,
    ),
    Pattern(
        "bearer-token",
        (b"earer ",),
        re.compile(rb"(?i)authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?bearer ([A-Za-z0-9._~+/=-]{24,4096})"),
        _bearer,
    ),
    Pattern(
        "slack-webhook",
        (b"hooks.slack.com",),
        re.compile(rb"hooks\.slack\.com/services/(T[A-Z0-9]{7,12}/B[A-Z0-9]{7,12}/[A-Za-z0-9]{20,32})"),
        random_looking,
    ),
    Pattern("url-password", (b"://",), re.compile(rb"://[^\s/@:\"']{0,64}:([^\s/@:\"']{3,64})@[A-Za-z0-9]"), _password),
    Pattern(
        "assigned-secret",
        (b"",),
        re.compile(
            rb"(?i)(?:secret|token|passw(?:or)?d|api_?-?key|access_?-?key|auth_?-?key|credential)[\w-]{0,20}[\"']?\s{0,4}"
            rb"(?::|=>|:?=)\s{0,4}[\"']([^\s\"']{16,256})[\"']"
        ),
        _assigned,
    ),
)
_KEY_EDGE = re.compile(rb"-----(BEGIN|END) (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY = re.compile(rb"[A-Za-z0-9+/]{24}")


def find(text: bytes) -> list[tuple[int, int, str]]:
    """(start, end, kind) of every secret of a UTF-8 text, in order."""
    found = _private_keys(text)
    for pattern in PATTERNS:
        if any(literal in text for literal in pattern.literals):
            group = pattern.regex.groups
            found += [
                (*match.span(group), pattern.kind)
                for match in pattern.regex.finditer(text)
                if pattern.valid(match[group])
            ]
    return _outermost(sorted(found, key=lambda span: (span[0], -span[1])))


def _private_keys(text: bytes) -> list[tuple[int, int, str]]:
    """PEM blocks of private keys (RFC 7468) that hold something like a key."""
    found = []
    opened = None
    for edge in _KEY_EDGE.finditer(text):
        if edge[1] == b"BEGIN":
            opened = edge
        elif opened:
            if edge.start() - opened.end() <= 1 << 16 and _KEY_BODY.search(text, opened.end(), edge.start()):
                found.append((opened.start(), edge.end(), "private-key"))
            opened = None
    return found


def _outermost(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Without the finds that lie inside an earlier one (a token that is also an assigned secret)."""
    kept: list[tuple[int, int, str]] = []
    for span in found:
        if not kept or span[1] > kept[-1][1]:
            kept.append(span)
    return kept
