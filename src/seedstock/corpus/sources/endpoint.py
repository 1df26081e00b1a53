"""Answers of a text-generating endpoint that speaks OpenAI's protocol, kept by the content of the question."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seedstock.corpus.sources.fetch import retry_after
from seedstock.errors import DataError
from seedstock.ledger.canonical import canonical
from seedstock.ledger.files import write_json
from seedstock.ledger.ids import sha256

ANSWER = 16 * 2**20  # bytes of one answer
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
DEAD = 4  # questions in a row that nobody answered: then the endpoint is not there


class NoAnswer(Exception):
    """Why a question has no answer, in a few words."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the credentials to another host."""

    def redirect_request(self, *given: Any) -> None:
        return None


class Endpoint:
    """Asks ``url`` + ``/chat/completions`` (or ``/completions``); ``cache`` holds one file for each question.

    ``credential`` is the name of the environment variable with the key, which goes into no file and no message. Raises
    DataError where the endpoint cannot be used at all: an unsafe URL, no credentials, no such model, nobody there.
    """

    def __init__(
        self,
        url: str,
        cache: Path,
        *,
        api: str = "chat",
        credential: str | None = None,
        timeout: float = 60.0,
        patience: float = 100.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, self.cache, self.api = url.rstrip("/"), cache, api
        self.timeout, self.patience, self.sleep = timeout, patience, sleep
        self.key = os.environ.get(credential, "") if credential else ""
        check(self.url, credential, self.key)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._dead, self._lock = 0, threading.Lock()

    def ask(self, request: dict[str, Any], sample: int = 0) -> dict[str, Any]:
        """{text, finish_reason, model, refusal, usage, date}: as it was answered the first time, ever after.

        Raises NoAnswer where this question has none.
        """
        number = sha256(canonical({"url": self.url, "api": self.api, "request": request, "sample": sample}))
        path = self.cache / number[:2] / f"{number}.json"
        if (known := _read(path)) is not None:
            return known
        path.unlink(missing_ok=True)  # damaged
        answer = self._called(request)
        answer["date"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        write_json(beside, {"request": request, "sample": sample, "answer": answer})
        try:
            os.link(beside, path)  # the first answer stays, whoever else has asked the same meanwhile
        except FileExistsError:
            pass
        finally:
            beside.unlink()
        return _read(path) or answer

    def _called(self, request: dict[str, Any]) -> dict[str, Any]:
        deadline, attempt = time.monotonic() + self.patience, 0
        while True:
            attempt += 1
            try:
                found = self._once(request, min(self.timeout, max(1.0, deadline - time.monotonic())))
            except _Busy as busy:
                wait = busy.wait if busy.wait is not None else min(2.0**attempt / 2, 30.0)
                if time.monotonic() + wait >= deadline:
                    if busy.silent:
                        self._nobody(str(busy))
                    raise NoAnswer(f"{busy} ({attempt} attempts within {self.patience:g} s)") from None
                self.sleep(wait)
                continue
            with self._lock:
                self._dead = 0
            return found

    def _nobody(self, why: str) -> None:
        with self._lock:
            self._dead += 1
            if self._dead >= DEAD:
                raise DataError(
                    f"the endpoint does not answer: {why}",
                    where=self.url,
                    fix="start it, then run again: what it has answered is kept",
                )

    def _once(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        path = "/chat/completions" if self.api == "chat" else "/completions"
        headers = {"Content-Type": "application/json", "User-Agent": "seedstock"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        asked = urllib.request.Request(self.url + path, json.dumps(request).encode(), headers, method="POST")
        try:
            with self._opener.open(asked, timeout=timeout) as answer:
                data = answer.read(ANSWER + 1)
        except urllib.error.HTTPError as error:
            said = _message(error.read(4096))
            error.close()
            wait = retry_after(error.headers.get("Retry-After"))
            if error.code in BUSY:
                raise _Busy(f"HTTP status {error.code}", wait) from None
            if error.code in (401, 403, 404):
                fix = {404: "mend the URL, or the model's name"}.get(error.code, "set the credential's variable")
                raise DataError(f"HTTP status {error.code}: {said}", where=self.url, fix=fix) from None
            raise NoAnswer(f"HTTP status {error.code}: {said}") from None
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            raise _Busy(str(cause) or type(cause).__name__, silent=True) from None
        if len(data) > ANSWER:
            raise NoAnswer(f"the answer is longer than {ANSWER} bytes")
        return _parsed(data)


class _Busy(Exception):
    def __init__(self, what: str, wait: float | None = None, silent: bool = False) -> None:
        super().__init__(what)
        self.wait, self.silent = wait, silent


def check(url: str, credential: str | None, key: str = "given") -> None:
    """Raises DataError for a URL that cannot or must not be asked, and for a credential that is not set."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.query)
    except ValueError:
        fine = False
    if not fine:
        raise DataError("not an http or https URL", where="endpoint", fix="write it as http://127.0.0.1:8000/v1")
    if credential and not key:
        raise DataError(f"the environment variable {credential} is not set", where=url, fix=f"set {credential}")
    if credential and parts.scheme == "http" and not _own(parts.hostname or ""):
        raise DataError("credentials would travel unencrypted", where=url, fix="write https://")


def _own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
        return found["answer"] if isinstance(found["answer"]["text"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or damaged: then it is asked again


def _message(data: bytes) -> str:
    """What a server says of an error, in one short line."""
    try:
        said = json.loads(data)["error"]
        said = said["message"] if isinstance(said, dict) else said
    except (ValueError, KeyError, TypeError):
        said = data.decode("utf-8", "replace")
    return " ".join(str(said).split())[:200] or "no message"


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
        choice = found["choices"][0]
        message = choice.get("message") or {}
        text = message.get("content") if "message" in choice else choice["text"]
        if text is not None and not isinstance(text, str):
            raise TypeError("no text")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NoAnswer("the answer is not in OpenAI's form") from None
    usage = found.get("usage")
    return {
        "text": text or "",
        "refusal": message.get("refusal") if isinstance(message.get("refusal"), str) else None,
        "finish_reason": choice.get("finish_reason"),
        "model": found.get("model"),
        "usage": {key: value for key, value in usage.items() if isinstance(value, int)}
        if isinstance(usage, dict)
        else {},
    }
