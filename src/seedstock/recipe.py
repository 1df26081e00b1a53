"""The recipe: one YAML file that describes a base model. Reading and checking it needs neither torch nor data."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, create_model

from seedstock import kinds
from seedstock.config import Config
from seedstock.errors import RecipeError

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


@cache
def model() -> type[Config]:
    """The pydantic model of a recipe, with every kind that is installed."""
    from seedstock.corpus.config import CorpusConfig
    from seedstock.evaluation.config import EvaluationConfig
    from seedstock.inputs.config import MixtureConfig
    from seedstock.release.config import ReleaseConfig
    from seedstock.training.configs.training import TrainingConfig

    def part(annotation: Any, /, **default: Any) -> Any:
        return (annotation, Field(default_factory=lambda: default, validate_default=True))

    sources: Any = list[kinds.field("sources")]  # type: ignore[misc]
    return create_model(
        "Recipe",
        __base__=Config,
        name=(Annotated[str, Field(pattern=NAME)], ...),
        seed=(int, 1),
        sources=(Annotated[sources, Field(min_length=1)], ...),
        corpus=part(CorpusConfig),
        mixture=part(MixtureConfig),
        input=part(kinds.field("inputs", "tokens"), kind="tokens"),
        tokenizer=part(kinds.field("tokenizers", "bpe")),
        model=part(kinds.field("models", "decoder"), kind="decoder"),
        objective=part(kinds.field("objectives", "causal"), kind="causal"),
        training=(TrainingConfig, ...),
        evaluation=part(EvaluationConfig),
        release=part(ReleaseConfig),
    )


def load(path: Path | str, overrides: list[str] | None = None, *, name: str | None = None) -> Any:
    """Reads and checks a recipe, with ``key.path=value`` overrides applied, and then its ``name``.

    Raises RecipeError that names the file, the line and the nearest known key.
    """
    path = Path(path)
    document = _parse(path)
    given = {_override(document, text) for text in overrides or []}
    if name is not None:
        document["name"] = name  # as it is: 1e3 is a name, not a number
        given.add(("name",))
    return _check(document, path, given)


def parse(text: str, where: str = "recipe") -> Any:
    """Checks a recipe given as text."""
    return _check(_yaml(text, Path(where)), Path(where), set())


def given(values: dict[str, Any], overrides: list[str] | None = None, where: str = "recipe") -> Any:
    """Checks a recipe given as plain values, with ``key.path=value`` overrides applied."""
    document = _yaml(json.dumps(values), Path(where))
    return _check(document, Path(where), {_override(document, text) for text in overrides or []})


def dump(recipe: Any, *, defaults: bool = True) -> str:
    """The recipe as YAML: every value in it, or without ``defaults`` only what was set."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    values = recipe.model_dump(mode="json", exclude_unset=not defaults)
    yaml.dump(_without_empty(recipe, values), stream)
    return stream.getvalue()


def _without_empty(part: Any, values: Any) -> Any:
    """Leaves out what is null by default; a null that takes the place of another default says something."""
    if isinstance(part, list | tuple):
        return [_without_empty(inner, value) for inner, value in zip(part, values, strict=True)]
    if not isinstance(part, BaseModel) or not isinstance(values, dict):  # a model may have a shorter form
        return values
    fields = {field.alias or name: (name, field) for name, field in type(part).model_fields.items()}
    return {
        key: _without_empty(getattr(part, fields[key][0]), value)
        for key, value in values.items()
        if value is not None or fields[key][1].default is not None
    }


def _parse(path: Path) -> Any:
    try:
        return _yaml(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise RecipeError(
            f"the recipe cannot be read: {error.strerror}", where=path, fix="name a recipe file, as in recipes/"
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError("the recipe is not UTF-8 text", where=path, fix="save it as UTF-8") from error


def _yaml(text: str, where: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="rt", pure=True).load(text)
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise RecipeError(_invalid(error), where=f"{where}:{line}", fix="mend that line") from error
    if not isinstance(document, dict):
        raise RecipeError("a recipe is a mapping of keys to values", where=f"{where}:1", fix="start from recipes/")
    return document


def _invalid(error: Exception) -> str:
    """What is wrong with a piece of YAML, in a line."""
    problem = getattr(error, "problem", None) or str(error)
    return f"not valid YAML: {' '.join(problem.split())}"


def _override(document: Any, text: str) -> tuple[str | int, ...]:
    """Applies ``training.steps=200`` to the parsed recipe; list items go by number or by their ``name``."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    key, equals, value = text.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        lacks = "key" if equals else "value"
        raise RecipeError(f"--set {text} has no {lacks}", fix="write --set training.steps=200")
    try:
        given = YAML(typ="safe", pure=True).load(value)
    except (YAMLError, ValueError) as error:
        raise RecipeError(_invalid(error), where=f"--set {text}", fix="quote the value where it is text") from error
    node, path = document, []
    for depth, part in enumerate(parts):
        step: str | int = part
        if isinstance(node, list):
            named = [i for i, item in enumerate(node) if isinstance(item, dict) and item.get("name") == part]
            step = named[0] if named else int(part) if part.isdigit() and int(part) < len(node) else -1
            if step == -1:
                raise RecipeError(f"--set {key}: there is no item {part!r}", fix="name one by its number or name")
        path.append(step)
        if depth == len(parts) - 1:
            node[step] = given
        else:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
            if not isinstance(node, dict | list):
                raise RecipeError(f"--set {key}: {part!r} is a value, not a group of keys", fix="see seedstock schema")
    return tuple(path)


def _check(document: Any, path: Path, given: set[tuple[str | int, ...]]) -> Any:
    try:
        recipe = model().model_validate(_plain(document))
        _same_tokenizer(recipe, path)
        _same_rate(recipe, path)
        _known_length(recipe, path)
        _known_phases(recipe, path)
        _known_scores(recipe, path)
        _known_rates(recipe, path)
        _known_parts(recipe, path)
        return recipe
    except ValidationError as error:
        problems = error.errors(include_url=False)
    messages = [_message(document, path, problem, given) for problem in problems]
    first, *others = messages
    more = "".join(f"\n{where}: {text}" for where, text in others)
    raise RecipeError(f"{first[1]}{more}", where=first[0], fix="`seedstock schema` prints every key and its type")


def _same_tokenizer(recipe: Any, path: Path) -> None:
    """Token files go with the tokenizer that they were made with, and with no other."""
    for source in recipe.sources:
        if source.kind != "tokens":
            continue
        own = recipe.tokenizer
        if own.kind != "imported" or Path(own.path) != Path(source.tokenizer):
            raise RecipeError(
                f"the source {source.name!r} holds ids of the tokenizer {source.tokenizer}, which is not the recipe's",
                where=path,
                fix=f"write tokenizer: {{kind: imported, path: {source.tokenizer}}}",
            )


def _same_rate(recipe: Any, path: Path) -> None:
    """A model of sounds is for as many samples a second as its input gives."""
    own, given = (getattr(part, "rate", None) for part in (recipe.model, recipe.input))
    if isinstance(own, int) and isinstance(given, int) and own != given:
        what = f"the model is for {own:,} samples a second, the input gives {given:,}"
        raise RecipeError(what, where=path, fix=f"write model.rate: {given}")


def _known_length(recipe: Any, path: Path) -> None:
    """A mixture with budgets or a schedule is planned before the first step."""
    if recipe.mixture.needs_length and recipe.training.time is not None:
        raise RecipeError(
            "mixture.budgets and mixture.schedule need a run of known length, and training.time is measured",
            where=path,
            fix="set training.steps or training.tokens in its place",
        )


def _known_phases(recipe: Any, path: Path) -> None:
    """Other lengths of an example are those that the model and what is read allow."""
    training, context = recipe.training, getattr(recipe.model, "context", 0)
    lengths = [phase.length or context for phase in training.phases]

    def refuse(what: str, fix: str) -> None:
        raise RecipeError(f"training.phases: {what}", where=path, fix=fix)

    if lengths and training.time is not None:
        refuse("they are parts of a known length, and training.time is measured", "set training.steps or tokens")
    if len(set(lengths)) < 2 and set(lengths) <= {context}:
        return
    if recipe.input.kind != "tokens":
        refuse(f"the input {recipe.input.kind} has items of one shape", "leave `length` out of them")
    for length in lengths:
        if length > context:
            refuse(f"a length of {length:,} is beyond model.context, {context:,}", f"set model.context: {length}")
        if context % length:
            refuse(f"a length of {length:,} does not divide model.context, {context:,}", "take lengths that divide it")
    if max(lengths) < context:
        refuse(f"none is as long as model.context, {context:,}", f"set model.context: {max(lengths)}")
    if any(recipe.mixture.budgets.values()):
        refuse("mixture.budgets count windows of one length", "leave one of the two out")
    if getattr(recipe.objective, "stored", None):
        refuse("objective.stored holds what a teacher says of windows of one length", "leave `stored` out")


def _known_rates(recipe: Any, path: Path) -> None:
    """Rates of a model with a base width are those that were found there, which no rule for sizes knows."""
    if not getattr(recipe.model, "base_width", None):
        return
    own = recipe.training.optimizer
    rates = {"training.optimizer": own, "training.optimizer.rest": getattr(own, "rest", None)}
    for where, one in rates.items():
        if one is not None and getattr(one, "learning_rate", 0) is None:
            raise RecipeError(
                f"{where} has no learning_rate, and model.base_width says that it was found at that width",
                where=path,
                fix="give the rate that is best at the base width, or leave base_width out",
            )


def _known_parts(recipe: Any, path: Path) -> None:
    """Parts that begin from runs of their own are parts of the model."""
    asked, parts = [part for part in recipe.training.begun if part], getattr(recipe.model, "towers", ())
    for part in asked:
        if part not in parts:
            what = f"training.start: a model of the kind {recipe.model.kind} has no part {part!r}"
            fix = f"its parts are {' and '.join(parts)}" if parts else "write start: run:NAME, for all of it"
            raise RecipeError(what, where=path, fix=fix)


def _known_scores(recipe: Any, path: Path) -> None:
    """What the objective wants to know of documents is measured by a signal of the policy."""
    from seedstock.errors import nearest
    from seedstock.inputs.scores import FIELDS, PREFIX, known

    signals = recipe.corpus.policy.signals
    columns = {f"{one.name}.{column}": kind for one in signals for column, kind in one.types().items()}
    for name in recipe.objective.scores():
        if known(name, columns):
            continue
        there = [*(one for one in columns if known(one, columns)), *(f"{PREFIX}{field}" for field in FIELDS)]
        signal, close = name.partition(".")[0], nearest(name, there)
        add = f"add the signal {signal!r} to corpus.policy.signals"
        if signal in {one.name for one in signals} or signal not in kinds.names("signals"):
            add = f"did you mean {close!r}?" if close else f"numbers there: {', '.join(there)}"
        raise RecipeError(f"objective: no signal of the policy gives the numbers {name!r}", where=path, fix=add)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list) else node


def _message(document: Any, path: Path, problem: Any, given: set[tuple[str | int, ...]]) -> tuple[str, str]:
    """Where (file and line) and what, for one of pydantic's findings."""
    steps, node, line = [], document, 1
    location = list(problem["loc"])
    if problem["type"] == "unknown_key":
        location.append(problem["ctx"]["key"])
    elif problem["type"] == "union_tag_invalid":
        location.append("kind")
    for step in location:
        # The name of the chosen kind is part of pydantic's location but not of the file.
        inside = (isinstance(node, dict) and step in node) or (
            isinstance(node, list) and isinstance(step, int) and step < len(node)
        )
        if not inside:
            continue
        line = _line(node, step, line)
        steps.append(step)
        node = node[step]
    missing = problem["type"] == "missing"
    key = ".".join(str(step) for step in ([*steps, location[-1]] if missing else steps))
    text = "this key is required" if missing else problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "union_tag_invalid":
        text = _unknown_kind(problem)
    where = f"--set {key}" if tuple(steps) in given else f"{path}:{line}"
    return where, f"{key}: {text}" if key else text


def _line(node: Any, step: str | int, default: int) -> int:
    try:
        marks = node.lc
        position = marks.key(step) if isinstance(node, dict) else marks.item(step)
        return position[0] + 1
    except (AttributeError, KeyError, TypeError):
        return default  # the value came from --set


def _unknown_kind(problem: Any) -> str:
    from seedstock.errors import nearest

    tag = problem["ctx"]["tag"]
    known = [name.strip("' ") for name in problem["ctx"]["expected_tags"].split(",")]
    close = nearest(tag, known)
    hint = f"did you mean {close!r}? " if close else ""
    return f"unknown kind {tag!r}; {hint}known kinds: {', '.join(known)}"
