"""The credentials here are made up when the tests run, so that no scanner takes this file for a leak."""

import base64
import json
import random
import string

import pytest
from batches import documents, library

from seedstock.corpus.signals.secrets import Secrets

DRAW = random.Random(5)


def token(count, letters=string.ascii_letters + string.digits):
    return "".join(DRAW.choice(letters) for _ in range(count))


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def secrets(*texts):
    """(what the spans of each text hold, kind)."""
    found = Secrets().compute(documents(list(texts))).to_pylist()
    result = []
    for text, row in zip(texts, found, strict=True):
        assert row["count"] == len(row["spans"]) == len(row["kinds"])
        spans = [text.encode()[span["start"] : span["end"]].decode() for span in row["spans"]]
        result.append(list(zip(spans, row["kinds"], strict=True)))
    return result


UPPER = string.ascii_uppercase + "234567"
KEY = "-----BEGIN RSA PRIVATE " + "KEY-----\n" + token(64) + "\n" + token(64) + "\n-----END RSA PRIVATE " + "KEY-----"
REAL = {
    "private-key": KEY,
    "aws-access-key": "AK" + "IA" + "Q7ZK2WVNR4XJ5TBM",
    "github-token": "gh" + "p_" + token(36),
    "gitlab-token": "gl" + "pat-" + token(20),
    "slack-token": "xo" + "xb-" + "-".join(token(12, string.digits) for _ in range(2)) + "-" + token(24),
    "google-api-key": "AI" + "za" + token(35),
    "stripe-key": "sk" + "_live_" + token(24),
    "model-api-key": "sk" + "-ant-" + token(40),
    "hugging-face-token": "h" + "f_" + token(34),
    "package-token": "np" + "m_" + token(36),
    "sendgrid-key": "S" + "G." + token(22) + "." + token(43),
    "twilio-key": "S" + "K" + token(32, "0123456789abcdef"),
    "digitalocean-token": "dop" + "_v1_" + token(64, "0123456789abcdef"),
    "shopify-token": "shp" + "at_" + token(32, "0123456789abcdef"),
    "telegram-token": token(10, "123456789") + ":" + "AA" + token(33),
    "databricks-token": "da" + "pi" + token(32, "0123456789abcdef"),
    "docker-token": "dckr" + "_pat_" + token(27),
    "grafana-token": "gl" + "sa_" + token(32) + "_" + token(8, "0123456789abcdef"),
    "vault-token": "hv" + "s." + token(24),
    "mailgun-key": "ke" + "y-" + token(32, "0123456789abcdef"),
    "square-token": "sq0" + "atp-" + token(22),
    "atlassian-token": "ATA" + "TT3" + token(180),
    "linear-key": "lin" + "_api_" + token(40),
    "age-key": "AGE-" + "SECRET-KEY-1" + token(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "jwt": encoded({"alg": "HS256", "typ": "JWT"}) + "." + encoded({"sub": "someone"}) + "." + token(43),
}


@pytest.mark.parametrize("kind", REAL)
def test_a_credential_is_found_with_its_exact_span_and_kind(kind):
    text = f'größe = 1\nuse("{REAL[kind]}", now)\n'
    assert secrets(text) == [[(REAL[kind], kind)]]


def test_assigned_values_and_passwords_in_urls():
    value, password = token(32, string.ascii_lowercase + string.digits), token(12)
    assert secrets(f'client_secret = "{value}"') == [[(value, "assigned-secret")]]
    assert secrets(f"{{'api-key': '{value}'}}") == [[(value, "assigned-secret")]]
    assert secrets(f"postgres://admin:{password}@db.internal/x") == [[(password, "url-password")]]


@pytest.mark.parametrize(
    "text",
    [
        "AK" + "IAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE " + "KEY-----\n...\n-----END PRIVATE " + "KEY-----",
        "-----BEGIN PUBLIC " + "KEY-----\n" + token(64) + "\n-----END PUBLIC " + "KEY-----",
        "gh" + "p_" + "x" * 36,
        'password = "correct-horse-battery-staple"',
        'token = "seedstock.corpus.signals.secrets"',
        'secret_name = "my_secret_setting_name_1"',
        'api_key = "${API_KEY_FROM_ENVIRONMENT}"',
        "https://user:password@host.org and http://u:%s@h",
        "eyJ" + token(20) + "." + token(20) + "." + token(20),
        encoded({"kid": "key-of-some-other-thing"}) + "." + encoded({"sub": "someone"}) + "." + token(43),
        "task-" + "sk-" + "a" * 40,
        'audio_tokenizer_class = "HiggsAudioV2TokenizerModel"',
    ],
)
def test_examples_and_names_stay(text):
    assert secrets(text) == [[]]


def test_credentials_behind_a_name_are_found_without_it():
    key = base64.b64encode(bytes(DRAW.randrange(256) for _ in range(64))).decode()
    assert secrets("AccountName=x;Account" + f"Key={key};EndpointSuffix=core") == [[(key, "azure-storage-key")]]
    hook = token(68)
    address = "https://discord.com/api/web" + f"hooks/123456789012345678/{hook}"
    assert secrets(address) == [[(hook, "discord-webhook")]]
    login = base64.b64encode(b"anna:" + token(12).encode()).decode()
    assert secrets(f"Authorization: Basic {login}") == [[(login, "basic-auth")]]
    bearer = token(40)
    assert secrets(f'"Authorization": "Bearer {bearer}"') == [[(bearer, "bearer-token")]]
    for harmless in ("user:password", "not base64!", "no colon here at all"):
        assert secrets("Authorization: Basic " + base64.b64encode(harmless.encode()).decode()) == [[]]
    assert secrets("Authorization: Bearer your_access_token_goes_in_here") == [[]]


def test_a_token_inside_an_assignment_is_one_secret():
    value = "gh" + "p_" + token(36)
    assert len(secrets(f'auth_token = "{value}"')[0]) == 1


def test_the_standard_library_holds_hardly_any():
    assert sum(map(len, secrets(*library(20_000_000)))) <= 2
