"""The papers of a release: a model card and a training-content page, each in Markdown and in HTML."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from seedstock.release.config import ReleaseConfig
from seedstock.release.figures import Figures, said, yes_no
from seedstock.release.formats import Format, Html, Markdown
from seedstock.release.loading import loading
from seedstock.release.rows import Rows

TEMPLATES = Path(__file__).with_name("templates")
PAPERS = {"card": ("README", "model-card"), "content": ("training-content", "training-content")}
LIBRARIES = {"word2vec": "gensim"} | dict.fromkeys(("VQModel", "AutoencoderKL", "DiTTransformer2DModel"), "diffusers")
LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    *("gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "isc", "unlicense", "zlib", "artistic-2.0", "ecl-2.0"),
}
"""SPDX names, in small letters, that Hugging Face lists for a model card; for others it wants ``other``."""


def render(
    facts: dict[str, Any],
    config: ReleaseConfig,
    missing: list[dict[str, str]],
    *,
    exported: bool = True,
    beside: str | None = None,
) -> tuple[dict[str, str], list[tuple[float, str]]]:
    """(file name → text, every figure that was printed with its value)."""
    figures, files = Figures(), {}
    for template, (markdown, page) in PAPERS.items():
        title = config.title or facts["name"]
        if template == "content":
            title = f"What {title} was trained on"
        given = {"facts": facts, "config": config, "missing": missing, "exported": exported}
        given["how"] = loading(facts["model"]["class"], beside)
        text, _ = _fill(template, Markdown(), figures, given, ".md")
        front = front_matter(facts, config) if template == "card" else ""
        files[f"{markdown}.md"] = f"{front}# {Markdown().finalize(title)}\n\n{_tidy(text)}"
        body, sections = _fill(template, Html(), figures, given, ".html")
        files[f"{page}.html"] = _page(title, body, sections)
    return files, figures.printed


def front_matter(facts: dict[str, Any], config: ReleaseConfig) -> str:
    """The YAML that Hugging Face reads at the head of a model card. What nobody said is left out."""
    from ruamel.yaml import YAML

    record: dict[str, Any] = {}
    spoken = [group["name"] for group in facts["data"]["by_language"] if group["share"] >= 0.01]
    if codes := [name for name in spoken if name.isalpha() and len(name) in (2, 3) and name != "und"]:
        record["language"] = codes
    if config.licence:
        known = config.licence.lower() in LICENCES
        record["license"] = config.licence.lower() if known else "other"
        if not known:
            record |= {"license_name": config.licence.lower().replace(" ", "-")}
            record |= {"license_link": config.licence_url} if config.licence_url else {}
    library = LIBRARIES.get(facts["model"]["class"], "transformers")
    record |= {"library_name": library, "pipeline_tag": loading(facts["model"]["class"]).task}
    tuned = facts["objective"]["second_stage"]
    record["tags"] = [*(["fine-tuned"] if tuned else ["base-model", "pretrained"]), "seedstock"]
    held_out = (facts["evaluation"] or {}).get("held_out", {})
    if held_out.get("bits_per_byte") is not None:
        metric = {"type": "bits_per_byte", "name": "bits per byte", "value": round(held_out["bits_per_byte"], 4)}
        data = {"name": "held-out split of the training corpus", "type": "held-out"}
        result = {"task": {"type": "text-generation"}, "dataset": data, "metrics": [metric]}
        record["model-index"] = [{"name": config.title or facts["name"], "results": [result]}]
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(record, stream)
    return f"---\n{stream.getvalue()}---\n\n"


def _fill(template: str, form: Format, figures: Figures, given: dict[str, Any], extension: str) -> tuple[str, Any]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=form.finalize, undefined=StrictUndefined
    )
    environment.filters |= {
        name: getattr(figures, name) for name in ("count", "decimals", "figures", "share", "size", "time")
    }
    environment.filters |= {"said": said, "yes_no": yes_no}
    for name in ("h2", "h3", "p", "code", "strong", "link", "items", "block", "table"):
        environment.globals[name] = getattr(form, name)
    kind = given["facts"]["input"]
    rows = Rows(form, figures, kind["unit"], worded=kind["tokenized"])
    environment.globals |= rows.functions() | {"extension": extension}
    return environment.get_template(f"{template}.j2").render(**given), form.sections


def _page(title: str, body: str, sections: list[tuple[str, str]]) -> str:
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, keep_trailing_newline=True)
    return environment.get_template("page.html.j2").render(title=title, body=Markup(body.strip()), sections=sections)


def _tidy(text: str) -> str:
    import re

    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"
