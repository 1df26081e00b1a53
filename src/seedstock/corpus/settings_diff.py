"""What two corpora were asked to be: settings, rules and signals that differ."""

from __future__ import annotations

from collections import Counter
from typing import Any

MISSING = None


def settings(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """``[{key, a, b}]`` of two corpora's inputs (``Manifest.inputs``); None stands for what one of them lacks.

    A rule is known by its column, its test and whom it is for, so that a moved bound is one entry and not two.
    """
    first, second = _flat(a), _flat(b)
    keys = list(dict.fromkeys([*first, *second]))
    found = [{"key": key, "a": first.get(key, MISSING), "b": second.get(key, MISSING)} for key in keys]
    return [entry for entry in found if entry["a"] != entry["b"]]


def _flat(inputs: dict[str, Any]) -> dict[str, Any]:
    corpus = dict(inputs.get("corpus", {}))
    policy = dict(corpus.pop("policy", None) or {})
    found: dict[str, Any] = {}
    for name, value in sorted(_leaves("", {"seed": inputs.get("seed"), **corpus})):
        found[name] = value
    found |= _rules(policy.pop("rules", ()))
    for signal in policy.pop("signals", ()):
        own = dict(signal)
        name = own.get("called") or own["kind"]
        found |= {f"policy.signals.{name}": own.pop("kind")}
        found |= dict(sorted(_leaves(f"policy.signals.{name}.", own)))
    found |= dict(sorted(_leaves("policy.", policy)))
    for name, about in sorted(inputs.get("signals", {}).items()):
        found[f"signals.{name}.version"] = about.get("version")
    for source in inputs.get("sources", ()):
        own = dict(source.get("config", {}))
        name = own.pop("name", "?")
        found |= dict(sorted(_leaves(f"sources.{name}.", own)))
        found[f"sources.{name}.version"] = source.get("version")
        found[f"sources.{name}.content"] = source.get("fingerprint", "")[:16]
    return found


def _rules(rules: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    known: Counter[str] = Counter()
    for rule in rules:
        own = dict(rule)
        signal = own.pop("signal")
        test = next((name for name in ("below", "above", "is", "in", "not_in") if name in own), "")
        bound = own.pop(test, MISSING)
        limits = [f" {name} {', '.join(own.pop(name))}" for name in ("domain", "language") if own.get(name)]
        name = f"policy.rules: {signal} {test}{''.join(limits)}"
        known[name] += 1
        name += f" ({known[name]})" if known[name] > 1 else ""
        found[name] = bound
        found |= dict(sorted(_leaves(f"{name}: ", own)))
    return found


def _leaves(prefix: str, value: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, one in value.items():
        found += _leaves(f"{prefix}{name}.", one) if isinstance(one, dict) and one else [(f"{prefix}{name}", one)]
    return found
