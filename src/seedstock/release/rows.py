"""The rows of the papers' tables, and the sentences that follow from facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from seedstock.release.config import Answers, ReleaseConfig
from seedstock.release.figures import Figures, yes_no
from seedstock.release.formats import Format

BANDS = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
SETTINGS = ("optimizer", "schedule", "clip", "ema")
NO_LANGUAGE = "und"
LARGEST = "more than 10 trillion tokens"
SHOWN = 40  # groups of the audit; the corpus report has all of them
PHASES = {"kept": "Kept", "changed": "… of these with edits", "held_out": "… of these held out", "dropped": "Dropped"}


class Rows:
    """What the templates call; figures go through ``figures``, so that each can be traced."""

    def __init__(self, form: Format, figures: Figures, unit: str = "tokens", *, worded: bool = True) -> None:
        """``worded``: documents hold text, whose bytes say something."""
        self.form, self.f, self.unit, self._worded = form, figures, unit, worded

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by the names that templates use."""
        names = [
            name for name in dir(self) if not name.startswith("_") and name not in ("form", "f", "unit", "functions")
        ]
        return {name: getattr(self, name) for name in names}

    def shares(self, caption: str, label: str, groups: list[dict[str, Any]]) -> Markup:
        """A table of documents, bytes of text and tokens, or what the input's items are called; nothing where the
        only group is that of documents in no language."""
        f = self.f
        if not self._worded and [one["name"] for one in groups] == [NO_LANGUAGE]:
            return Markup("")
        rows = [
            [
                one["name"],
                f.count(one["documents"]),
                *([f.count(one["bytes"])] if self._worded else []),
                f.count(one["tokens"]),
                f.share(one["share"]),
            ]
            for one in groups
        ]
        text = ["Bytes of text"] if self._worded else []
        columns = [label, "Documents", *text, self.unit.capitalize(), f"Share of {self.unit}"]
        return self.form.table(caption, columns, rows, len(columns) - 1)

    def left_out(self, flags: list[dict[str, Any]]) -> list[list[str]]:
        """Groups below four fifths of the overall survival, each with the step."""
        f, rows = self.f, []
        for flag in flags[:SHOWN]:
            at = flag["at"]
            step = "all steps" if at is None else f"{at['phase']}: {at['reason'] or at['step']}"
            shares = (f.count(flag["documents"]), f.share(flag["survival"]), f.share(flag["overall"]))
            rows.append([f"{flag['by']}: {flag['name'] or 'unknown'}", step, *shares])
        return rows

    def machine_share(self, domains: dict[str, dict[str, Any]]) -> list[list[str]]:
        """By domain, how many documents were measured, and how many look as if a language model wrote them."""
        f = self.f
        return [
            [name or "unknown", f.count(one["measured"]), f.count(one["above"]), f.count(one["kept_above"])]
            for name, one in domains.items()
        ]

    def languages(self, groups: list[dict[str, Any]]) -> str:
        """The languages with at least a hundredth of the tokens."""
        spoken = [one for one in groups if one["share"] >= 0.01 and one["name"] != NO_LANGUAGE]
        named = [f"{one['name']} ({self.f.share(one['share'])})" for one in spoken]
        return ", ".join(named) or "none identified"

    def ratios(self, values: dict[str, float | None]) -> list[list[str]]:
        return [[name, self.f.decimals(value, 2)] for name, value in values.items()]

    def parts(self, values: dict[str, int]) -> list[list[str]]:
        return [[name.capitalize(), self.f.count(value)] for name, value in values.items() if value]

    def layers(self, model: dict[str, Any]) -> str:
        """How many, of each stack where there are two."""
        if not model.get("decoder_layers"):
            return self.f.count(model["layers"])
        return f"{self.f.count(model['layers'])} and {self.f.count(model['decoder_layers'])}"

    def architecture(self, model: dict[str, Any]) -> str:
        """Shape and size in a line."""
        if towers := model.get("towers"):
            each = (
                f"{self.layers(one)} layers of width {self.f.count(one['width'])} for {name}s"
                for name, one in towers.items()
            )
            return f"{model['shape']} {model['kind']}, {' and '.join(each)}"
        if "layers" not in model:  # convolutions, of which each has sizes of its own
            return f"{model['shape']} {model['kind']}, {self.f.count(model['parameters'])} parameters"
        width = self.f.count(model["width"])
        return f"{model['shape']} {model['kind']}, {self.layers(model)} layers of width {width}"

    def sizes(self, model: dict[str, Any]) -> list[list[str]]:
        """A column for each network; then what there is once."""
        f, networks = self.f, list(model.get("towers", {"": model}).values())
        rows = [["Layers", *map(self.layers, networks)]] if "layers" in networks[0] else []
        named = {"width": "Width", "heads": "Heads", "kv_heads": "Heads of keys and values"}
        named |= {"head_size": "Size of a head", "mlp_width": "Width of the MLP", "context": "Context"}
        rows += [
            [label, *(f.count(one[name]) for one in networks)] for name, label in named.items() if name in networks[0]
        ]
        blank = [""] * (len(networks) - 1)
        rows += [["Vocabulary", *blank, f.count(model["vocab_size"])]] if model["vocab_size"] else []
        return [*rows, ["Parameters", *blank, f.count(model["parameters"])]]

    def networks(self, model: dict[str, Any]) -> list[str]:
        """The heads of the columns of ``sizes``."""
        return [f"{name.capitalize()}s" for name in model["towers"]] if "towers" in model else ["Value"]

    def retrieved(self, found: dict[str, Any]) -> list[list[str]]:
        """By language, how many pictures were found by their captions, and captions by their pictures."""
        f, rows = self.f, []
        for language, one in found.items():
            own, linear = one["model"], one.get("linear", {})
            shares = [own[f"{way} R@{k}"] for way in ("picture", "caption") for k in (1, 10)]
            beside = [linear.get(f"picture R@{k}") for k in (1, 10)]
            cells = [*map(f.share, shares), *("–" if value is None else f.share(value) for value in beside)]
            rows.append([language, f.count(one["pairs"]), f.share(one["chance"]), *cells])
        return rows

    def captioned(self, found: dict[str, Any]) -> list[list[str]]:
        """By language, captions that were written for held-out pictures, and those of the pictures that look alike."""
        rows = []
        for language, one in found.items():
            for name, label in (("model", "This model"), ("nearest", "The nearest training picture's caption")):
                if way := one.get(name):
                    cells = (self.f.count(one["pictures"]), self.f.share(way["exact"]))
                    rows.append([language, label, *cells, self.f.decimals(way["character_error"], 3)])
        return rows

    def choices(self, model: dict[str, Any]) -> str:
        """The architecture's choices in a sentence."""
        if model.get("kind") == "embedding":
            return "A vector for each token as it is read, another as it is predicted, and nothing between them"
        if model.get("kind") == "autoencoder":
            between = "a codebook" if model["shape"] == "vq" else "Gaussian latents"
            return f"Residual convolutions with group norm that halve a picture and double it again, {between} between"
        if model.get("kind") == "codec":
            return "Convolutions over samples, an LSTM over frames, residual codebooks between"
        if towers := model.get("towers"):
            return ". ".join(
                f"For {name}s: {self.choices(one | {'tied_embeddings': None})}" for name, one in towers.items()
            )
        named = {"rope": "rotary", "sines": "sinusoidal"}
        position = named.get(model["position"], model["position"]) + " positions"
        found = [
            f"{model['norm'].upper() if model['norm'] == 'rms' else 'layer'} norm",
            position,
            f"{model['activation']} MLP",
        ]
        found += ["normalised queries and keys"] * bool(model["qk_norm"])
        found += ["biases" if model["biases"] else "no biases"]
        if model["tied_embeddings"] is not None:
            found += ["input and output embeddings tied" if model["tied_embeddings"] else "separate output embedding"]
        if model["kv_heads"] != model["heads"]:
            found.append("grouped-query attention")
        if model.get("window"):
            near = "all layers" if not model.get("global_every") else f"all but one layer in {model['global_every']}"
            found.append(f"{near} see what is at most {model['window']} positions away")
        if model.get("experts"):
            found.append(f"{model['experts']} experts, {model['experts_per_token']} for each token")
        text = "; ".join(found)
        return text[0].upper() + text[1:]

    def settings(self, training: dict[str, Any]) -> list[list[Any]]:
        """Optimizer, schedule and what was settled by measuring."""
        named: dict[str, Any] = {name: training[name] for name in SETTINGS if name in training}
        return [[name, self._plain(value)] for name, value in (_flat(named) | training["settled"]).items()]

    def passes(self, strata: list[dict[str, Any]]) -> list[list[str]]:
        f = self.f
        return [
            [
                *(one[name] for name in ("source", "domain", "language")),
                f.count(one["tokens"]),
                f.count(one["examples"]),
                f.decimals(one["epochs"], 2),
            ]
            for one in strata
        ]

    def compute(self, training: dict[str, Any], model: dict[str, Any]) -> list[list[str]]:
        """FLOPs, time, speed and the hardware, as far as it was recorded."""
        f, versions, settled = self.f, training["versions"], training["settled"]
        rows = [
            ["FLOPs (6 for each multiplied parameter and token, and attention)", f.figures(training["flops"], 3)],
            ["FLOPs a token", f.figures(model["flops_a_token"]["training"], 3)],
        ]
        if training["time"]["seconds"]:
            rows += [
                ["Time in training steps", f.time(training["time"]["seconds"])],
                ["Tokens a second", f.count(round(training["time"]["tokens_per_second"]))],
                ["FLOP/s reached", f.figures(training["flops_per_second"], 3)],
            ]
        if training["mfu"]:
            rows.append(["Share of the measured peak (MFU, last attempt)", f.share(training["mfu"])])
        rows += [[label, str(versions[key])] for key, label in self._machine if key in versions]
        if settled.get("threads") and "gpu" not in versions:
            rows.append(["Threads", f.count(settled["threads"])])
        return rows

    _machine = (
        ("gpu", "Accelerator"),
        ("system", "System"),
        ("instructions", "Instruction set"),
        ("torch", "torch"),
        ("python", "Python"),
        ("seedstock", "Seedstock"),
    )

    def floors(self, evaluation: dict[str, Any]) -> list[list[str]]:
        """The model's score, then every floor, the best first among its kind."""
        f, held_out, models = self.f, evaluation["held_out"], evaluation.get("count_models") or {}
        rows = [["This model", f.decimals(held_out["bits_per_byte"], 3), f.decimals(held_out["standard_error"], 3)]]
        for order, one in models.get("orders", {}).items():
            name = f"Count model of order {f.count(int(order))} ({models['smoothing']})"
            rows.append([name, f.decimals(one["bits_per_byte"], 3), f.decimals(one.get("standard_error"), 3)])
        for name, value in self._compressors(evaluation.get("xz") or {}):
            rows.append([name, f.decimals(value, 3), f.decimals(None, 3)])
        return rows

    def judged(self, sets: list[dict[str, Any]]) -> list[list[str]]:
        """What a second stage got right of each set of texts."""
        f = self.f
        return [
            [
                one["set"],
                f.count(one["texts"]),
                f.share(one["accuracy"]),
                " to ".join(f.share(bound) for bound in one["accuracy_interval"]),
                f.decimals(one.get("macro_f1"), 3),
                f.share(one["most_frequent"]) if "most_frequent" in one else "–",
                f.count(one["in_training"]) if "in_training" in one else "–",
            ]
            for one in sets
        ]

    def losses(self, evaluation: dict[str, Any]) -> list[list[str]]:
        """The losses and metrics of a model that does not predict the next token, then what counts reach."""
        f = self.f
        named = [*evaluation["losses"].items(), *evaluation["metrics"].items()]
        rows = [
            [name.replace("_", " "), f.decimals(one["mean"], 4), f.decimals(one["standard_error"], 4)]
            for name, one in named
        ]
        for name, value in (evaluation.get("item_floors") or {}).items():
            rows.append([f"Without learning: {name}", f.decimals(value, 4), ""])
        for name in ("knn", "linear") if evaluation.get("probes") else ():
            own, raw = (evaluation["probes"][what][name] for what in ("features", "raw"))
            what = {"knn": "nearest neighbours", "linear": "a linear classifier"}[name]
            rows.append([f"Classes found by {what} on its features", *self._share(own)])
            rows.append([f"Classes found by {what} on raw values", *self._share(raw)])
        models = evaluation.get("token_counts") or {}
        for order, one in models.get("orders", {}).items():
            name = f"Count model of order {f.count(int(order))} ({models['smoothing']}), nats a token"
            rows.append([name, f.decimals(one["nats_per_token"], 4), f.decimals(one["standard_error"], 4)])
        return rows

    def _share(self, one: dict[str, float]) -> list[str]:
        return [self.f.decimals(one["accuracy"], 4), self.f.decimals(one["standard_error"], 4)]

    def scores(self, groups: dict[str, dict[str, Any]]) -> list[list[str]]:
        f = self.f
        return [
            [name, f.count(one["bytes"]), f.decimals(one["bits_per_byte"], 3), f.decimals(one["standard_error"], 3)]
            for name, one in groups.items()
        ]

    def limits(self, facts: dict[str, Any]) -> list[str]:
        """What follows from the facts alone."""
        f, data, training = self.f, facts["data"], facts["training"]
        tokens, model, unit = f.count(training["tokens"]), facts["model"], facts["input"]["unit"]
        if model.get("kind") == "embedding":
            found = [
                "It gives a word one vector, whatever it means in a sentence, with the habits of the training text.",
                f"It has {f.count(model['parameters'])} parameters and was trained on {tokens} tokens.",
            ]
        elif unit == "tokens":
            found = [
                "It is a base model: it continues text as its training text goes on, true or not.",
                f"It has {f.count(model['parameters'])} parameters, was trained on {tokens} tokens, and sees "
                f"{f.count(model['context'])} of them at once.",
            ]
        else:
            examples = f.count(training["examples"])
            found = [
                f"It is a base model: it knows {unit} like those that it was trained on.",
                f"It has {f.count(model['parameters'])} parameters and was trained on {examples} {unit}, repeats"
                " counted.",
            ]
        for group, word in (("by_language", "language"), ("by_domain", "domain"), ("by_source", "source")):
            first = data[group][0] if data[group] else None
            if first and first["share"] > 0.5 and first["name"] != NO_LANGUAGE:
                found.append(f"{f.share(first['share'])} of its training {unit} are of one {word}: {first['name']}.")
        floors = (facts["evaluation"] or {}).get("floors") or {}
        if "beats_best" in floors and not floors["beats_best"]:
            found.append("It does not predict held-out text better than the best count model: it has learned little.")
        if data["forgotten"]:
            found.append(f"It was trained on {f.count(data['forgotten'])} documents that were erased since.")
        return found

    def questions(self, answers: Answers) -> list[list[str]]:
        """The questions with three-valued answers."""
        fields = type(answers).model_fields
        kinds = [name for name, field in fields.items() if "bool" in str(field.annotation) and name != "continues"]
        return [[fields[name].description or name, yes_no(getattr(answers, name))] for name in kinds]

    def totals(self, steps: dict[str, Any]) -> list[list[str]]:
        rows = [["Read", self.f.count(steps["read"]["documents"]), self.f.count(steps["read"]["bytes"])]]
        for name, label in PHASES.items():
            rows.append([label, self.f.count(steps[name]["documents"]), self.f.count(steps[name]["bytes"])])
        return rows

    def flow(self, steps: list[dict[str, Any]]) -> list[list[str]]:
        f = self.f
        return [
            [one["phase"], one["step"], one["reason"], f.count(one["documents"]), f.count(one["bytes"])]
            for one in steps
        ]

    def dropped(self, steps: list[dict[str, Any]], phase: str) -> int:
        return sum(one["documents"] for one in steps if one["phase"] == phase)

    def edits(self, kinds: dict[str, dict[str, int]]) -> list[list[str]]:
        return [[kind, self.f.count(one["edits"]), self.f.count(one["documents"])] for kind, one in kinds.items()]

    def licences(self, corpus: dict[str, Any]) -> list[str]:
        """The allow-list of licences, where the policy has one."""
        policy = corpus.get("policy")
        allowed = (policy.get("licences") or {}).get("allow") if isinstance(policy, dict) else None
        return list(allowed or [])

    def fields(self, missing: list[dict[str, str]]) -> list[list[Any]]:
        return [[self.form.code(one["field"]), one["question"]] for one in missing]

    def band(self, tokens: int) -> str:
        """The size band of text in the European Union's template."""
        return next((name for most, name in BANDS if tokens < most), LARGEST)

    def takedown(self, config: ReleaseConfig) -> str:
        """Where to ask for the removal of a document."""
        place = config.takedown or config.contact
        if not place:
            return "Nobody has said where to ask for the removal of a document."
        return f"To ask whether a document was used, or to have it removed: {place}."

    def _plain(self, value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(self._plain(one) for one in value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return str(value)
        return self.f.count(value) if isinstance(value, int) else self.f.figures(value, 6)

    @staticmethod
    def _compressors(xz: dict[str, Any]) -> list[tuple[str, float]]:
        names = {"alone": "xz -9e alone", "after_training": "xz -9e after a sample of the training text"}
        return [(label, xz[name]) for name, label in names.items() if name in xz]


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested settings by dotted names, without those that are not set."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": inner for key, inner in _flat(value).items()}
        elif value is not None:
            found[name] = value
    return found
