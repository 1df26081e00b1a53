"""Synthetic text: every answer with its origin, asked for once, and every failure named."""

from __future__ import annotations

import json
import pickle
import time

import pytest
from local_server import serve

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.endpoint import Endpoint, NoAnswer, check
from seedstock.corpus.sources.synthetic import Synthetic
from seedstock.errors import DataError
from seedstock.ledger.ids import sha256
from seedstock.ledger.store import Store
from seedstock.progress import Silent


def said(text, finish: str = "stop", **message) -> bytes:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return json.dumps({"model": "tiny-0.1", "choices": [choice], "usage": {"total_tokens": 9}}).encode()


def echo(method, path, headers, body):
    """Answers with the prompt turned round."""
    prompt = json.loads(body)["messages"][-1]["content"]
    return 200, {}, said(prompt[::-1])


def everything(source: Synthetic) -> tuple[list[Item], dict[str, str]]:
    found = [item for part in source.partitions() for item in source.read(pickle.loads(pickle.dumps(part)))]
    bad = {item.locator: item.reason for item in found if isinstance(item, Unreadable)}
    return [item for item in found if isinstance(item, Item)], bad


def source(tmp_path, url: str, prompts: list, **given) -> Synthetic:
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    config = {"name": "s", "model": "tiny", "cache": str(tmp_path / "cache"), "patience": 5, **given}
    return Synthetic(path=str(tmp_path / "p.jsonl"), endpoint=f"{url}/v1", **config)


def test_an_answer_says_who_gave_it_to_what_and_when(tmp_path):
    with serve(echo) as server:
        made = source(
            tmp_path,
            server.url,
            [{"id": "a", "prompt": "olleh", "language": "en", "topic": "greeting"}],
            system="Be brief.",
            parameters={"temperature": 0.5, "max_tokens": "1k", "seed": 7},
        )
        (item,), bad = everything(made)
    assert not bad and item.text == "hello" and item.locator == "p.jsonl#a" and item.language == "en"
    meta = item.meta
    assert meta["generator"] == "tiny" and meta["generator_reported"] == "tiny-0.1"
    assert meta["prompt"] == "olleh" and meta["prompt_sha256"] == sha256(b"olleh") and meta["system"] == "Be brief."
    assert meta["parameters"] == {"temperature": 0.5, "max_tokens": 1000, "seed": 7}
    assert abs(time.time() - time.mktime(time.strptime(meta["date"], "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert meta["seed"]["meta"]["topic"] == "greeting" and made.domain == "synthetic"
    path, _, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert json.loads(body)["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_corpus_built_again_asks_nobody_and_is_the_same_bytes(tmp_path):
    prompts = [{"prompt": f"prompt {number}"} for number in range(40)]
    digests = []
    with serve(echo) as server:
        for runs, workers in (("one", 0), ("two", 2)):
            made = source(tmp_path, server.url, prompts)
            config = CorpusConfig(policy="none", dedup=None, held_out="10 %")
            folder = build(
                [made], config, seed=1, key=b"k", store=Store(tmp_path / runs), reporter=Silent(), workers=workers
            )
            corpus = Corpus(folder)
            digests.append({path.name: path.read_bytes() for path in sorted((folder / "documents").iterdir())})
            assert corpus.summary["kept"]["documents"] == 40
            assert corpus.summary["by_domain"].keys() == {"synthetic"}
        assert len(server.seen) == 40
    assert digests[0] == digests[1]


def test_a_template_is_filled_from_seed_documents_and_asks_for_several_answers(tmp_path):
    records = [{"text": "abc", "mood": "calm", "license": "MIT"}, {"text": "def"}]
    with serve(echo) as server:
        made = source(
            tmp_path, server.url, records, fields={"text": "text"}, template="{mood}: {text} {x y}", samples=2,
            parameters={"seed": 1},
        )  # fmt: skip
        items, bad = everything(made)
        seeds = sorted(json.loads(body)["seed"] for _, _, body in server.seen)
    assert [item.text for item in items] == ["}y x{ cba :mlac"] * 2 and seeds == [1, 2]
    assert [item.locator[-2:] for item in items] == ["/0", "/1"] and items[0].meta["seed"]["licence"] == "MIT"
    assert list(bad.values()) == ["the template wants 'mood', which the record has not"]


def test_refusals_empty_answers_and_errors_are_recorded_and_the_rest_goes_on(tmp_path):
    answers = {
        "refusal": (200, said(None, refusal="no")),
        "filter": (200, said("half of", finish="content_filter")),
        "sorry": (200, said("I'm sorry, but I can't help with that.")),
        "empty": (200, said("  \n")),
        "none": (200, said(None)),
        "long": (400, b'{"error": {"message": "too many tokens"}}'),
        "odd": (200, b"<html>"),
        "fine": (200, said("a text")),
        "cut": (200, said("a text that", finish="length")),
    }

    def answer(method, path, headers, body):
        status, data = answers[json.loads(body)["messages"][-1]["content"]]
        return status, {}, data

    with serve(answer) as server:
        items, bad = everything(source(tmp_path, server.url, [{"id": name, "prompt": name} for name in answers]))
    assert [item.text for item in items] == ["a text", "a text that"] and items[1].meta["finish_reason"] == "length"
    reasons = {where.partition("#")[2]: reason for where, reason in bad.items()}
    assert reasons["refusal"] == reasons["filter"] == "the generator refused" and "plain words" in reasons["sorry"]
    assert reasons["empty"] == reasons["none"] == "an empty answer"
    assert "too many tokens" in reasons["long"] and "not in OpenAI's form" in reasons["odd"]


def test_a_rate_limit_is_waited_for_as_long_as_it_asks(tmp_path):
    calls: list[float] = []

    def answer(method, path, headers, body):
        calls.append(time.monotonic())
        return (429, {"Retry-After": "1"}, b"") if len(calls) == 1 else (200, {}, said("at last"))

    with serve(answer) as server:
        items, bad = everything(source(tmp_path, server.url, [{"prompt": "x"}], patience=10))
    assert [item.text for item in items] == ["at last"] and not bad
    assert calls[1] - calls[0] >= 1


def test_a_limit_that_asks_for_too_much_patience_is_recorded(tmp_path):
    with serve(lambda *given: (429, {"Retry-After": "3600"}, b"")) as server:
        began = time.monotonic()
        items, bad = everything(source(tmp_path, server.url, [{"id": "x", "prompt": "x"}]))
    assert not items and "HTTP status 429" in bad["p.jsonl#x"] and time.monotonic() - began < 3


def test_an_endpoint_that_is_not_there_is_one_clear_error(tmp_path):
    with serve(echo) as server:
        url = server.url
    with pytest.raises(DataError, match="does not answer"):
        everything(source(tmp_path, url, [{"prompt": str(n)} for n in range(20)], patience=0.5))


@pytest.mark.parametrize(("status", "fix"), [(401, "credential"), (404, "name")])
def test_wrong_credentials_or_model_stop_the_build(tmp_path, status, fix):
    with (
        serve(lambda *given: (status, {}, b'{"error": {"message": "no"}}')) as server,
        pytest.raises(DataError) as error,
    ):
        everything(source(tmp_path, server.url, [{"prompt": "x"}]))
    assert fix in str(error.value)


def test_credentials_come_from_the_environment_and_are_kept_nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("TEST_KEY", raising=False)
    with serve(echo) as server:
        made = source(tmp_path, server.url, [{"prompt": "x"}], credential="TEST_KEY")
        with pytest.raises(DataError, match="TEST_KEY is not set"):
            everything(made)
        monkeypatch.setenv("TEST_KEY", "very-secret")
        items, _ = everything(made)
        assert server.seen[0][1]["Authorization"] == "Bearer very-secret"
    kept = [path.read_text() for path in (tmp_path / "cache").rglob("*.json")]
    assert items and kept and not any("very-secret" in text for text in [*kept, made.model_dump_json(), repr(items)])
    with pytest.raises(ValueError, match="credential"):
        source(tmp_path, server.url, [], credential="sk-very-secret")


def test_unsafe_urls_are_refused(tmp_path):
    for url, why in (
        ("file:///etc/passwd", "not an http"),
        ("http://user:word@host/v1", "not an http"),
        ("http://example.org/v1", "unencrypted"),
    ):
        with pytest.raises(DataError, match=why):
            check(url, "KEY")
    check("https://example.org/v1", "KEY")


def test_a_redirect_does_not_take_the_key_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", "very-secret")
    with serve(echo) as other, serve(lambda *given: (307, {"Location": f"{other.url}/v1"}, b"")) as server:
        _, bad = everything(source(tmp_path, server.url, [{"id": 1, "prompt": "x"}], credential="TEST_KEY"))
        assert "HTTP status 307" in bad["p.jsonl#1"] and not other.seen


def test_a_damaged_answer_in_the_cache_is_asked_for_again(tmp_path):
    with serve(echo) as server:
        asked = Endpoint(f"{server.url}/v1", tmp_path / "cache")
        request = {"model": "m", "messages": [{"role": "user", "content": "ab"}]}
        first = asked.ask(request)
        (path,) = (tmp_path / "cache").rglob("*.json")
        path.write_text('{"answer": ')
        assert asked.ask(request)["text"] == first["text"] == "ba" and len(server.seen) == 2
        assert asked.ask(request) == asked.ask(request) and len(server.seen) == 2
        assert asked.ask(request, sample=1)["text"] == "ba" and len(server.seen) == 3


def test_the_completions_protocol_is_spoken_too(tmp_path):
    answer = json.dumps({"choices": [{"text": " world", "finish_reason": "stop"}]}).encode()
    with serve(lambda *given: (200, {}, answer)) as server:
        items, _ = everything(source(tmp_path, server.url, [{"prompt": "hello"}], api="completions"))
        path, _, body = server.seen[0]
    assert items[0].text == " world" and path == "/v1/completions" and json.loads(body)["prompt"] == "hello"


def test_a_silent_server_costs_no_more_than_the_patience(tmp_path):
    def slow(*given):
        time.sleep(3)
        return 200, {}, said("late")

    with serve(slow) as server:
        asked = Endpoint(f"{server.url}/v1", tmp_path, timeout=0.3, patience=1.0)
        began = time.monotonic()
        with pytest.raises(NoAnswer, match="timed out"):
            asked.ask({"model": "m", "messages": []})
        assert time.monotonic() - began < 2.5
