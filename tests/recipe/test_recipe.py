from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock import kinds, recipe
from seedstock.config import _count, _fraction, _size
from seedstock.errors import RecipeError

RECIPES = Path(__file__).parents[2] / "recipes"
TINY = """\
name: tiny
sources:
  - name: letters
    kind: text
    path: letters.txt
tokenizer: {kind: bytes}
model:
  kind: decoder
  context: 64
training:
  steps: 20
"""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_checks_and_reads_back_the_same(path, tmp_path, monkeypatch):
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "model.json").write_text("{}")  # a model that a recipe names is known by its digest
    monkeypatch.setenv("SEEDSTOCK_ALIGNMENT", str(tmp_path))
    monkeypatch.setenv("SEEDSTOCK_TASKS", str(tmp_path / "texts.jsonl"))
    loaded = recipe.load(path)
    assert recipe.parse(recipe.dump(loaded)) == loaded
    assert recipe.parse(recipe.dump(loaded, defaults=False)) == loaded


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  steps: 20", "  stepz: 20", 11, "training.stepz: unknown key 'stepz'; did you mean 'steps'?"),
        ("    path: letters.txt", "    pth: letters.txt", 5, "did you mean 'path'?"),
        ("    kind: text", "    kind: txet", 4, "unknown kind 'txet'; did you mean 'text'?"),
        ("  steps: 20", "  steps: many", 11, "training.steps: 'many' is not a number"),
        ("  context: 64", "  context: 64 parsecs", 9, "model.context"),
        ("name: tiny", "name: ../tiny", 1, "name:"),
        ("sources:", "sorces:", 2, "did you mean 'sources'?"),
        ("sources:", "evaluation: {tasks: [arc]}\nsources:", 2, "benchmark tasks are not built yet"),
        ("tokenizer: {kind: bytes}", "tokenizer: {kind: bytes", 7, "not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_the_nearest_known_key(tmp_path, old, new, line, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    assert message in str(caught.value)
    assert f"{path}:{line}" in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY.replace("steps", "stepz").replace("context: 64", "contxt: 64"))
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    assert "stepz" in str(caught.value) and "contxt" in str(caught.value)


def test_a_missing_file_and_a_missing_key_say_so(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        recipe.load(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="name: this key is required"):
        recipe.parse(TINY.replace("name: tiny\n", ""))


def test_any_key_can_be_set_from_the_command_line(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY)
    loaded = recipe.load(path, ["training.steps=7", "sources.letters.limit=2 MB", "model.context=128", "seed=3"])
    assert (loaded.training.steps, loaded.sources[0].limit, loaded.model.context, loaded.seed) == (7, 2_000_000, 128, 3)
    with pytest.raises(RecipeError, match=r"--set training.stepz: .*did you mean 'steps'"):
        recipe.load(path, ["training.stepz=7"])
    with pytest.raises(RecipeError, match="there is no item 'words'"):
        recipe.load(path, ["sources.words.limit=2"])
    with pytest.raises(RecipeError, match="has no value"):
        recipe.load(path, ["training.steps"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=[1", "not valid YAML"),
        ("seed=2001-99-99", "not valid YAML"),
        ("seed=\0", "not valid YAML"),
        ("=x", "--set =x has no key"),
        ("training..steps=2", "has no key"),
    ],
)
def test_an_override_that_is_not_yaml_says_so(tmp_path, override, words):
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY)
    with pytest.raises(RecipeError, match=words) as error:
        recipe.load(path, [override])
    assert "--set" in str(error.value)


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b"])
def test_control_characters_are_no_yaml(character):
    with pytest.raises(RecipeError, match="not valid YAML"):
        recipe.parse(TINY + f"# {character}\n")


@pytest.mark.parametrize("name", ["1e3", "007", "null", "true", "2024-01-01"])
def test_a_name_stays_what_was_written(tmp_path, name):
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY)
    assert recipe.load(path, name=name).name == name
    assert recipe.parse(recipe.dump(recipe.load(path, name=name))).name == name


@given(st.integers(0, 10**9))
def test_units_scale_numbers(n):
    assert _count(f"{n}k") == n * 1000 == _size(f"{n} kB")
    assert _size(f"{n} KiB") == n * 1024
    assert _fraction(f"{n / 10**9 * 100:.9f} %") == pytest.approx(n / 10**9)


@pytest.mark.parametrize(("convert", "text"), [(_count, "4 MB/s"), (_size, "4 parsecs"), (_fraction, "120 %")])
def test_units_that_make_no_sense_are_refused(convert, text):
    with pytest.raises(ValueError):
        convert(text)


def test_a_recipe_is_read_without_torch_or_data():
    import subprocess
    import sys

    code = (
        "import sys; from seedstock import recipe; "
        f"recipe.load({str(RECIPES / 'quickstart.yaml')!r}); "
        "sys.exit(', '.join({'torch', 'pyarrow', 'tokenizers', 'matplotlib'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_null_that_is_not_the_default_is_kept():
    loaded = recipe.parse(TINY + "mixture: {max_repeats: null}\ncorpus: {dedup: null}\n")
    for defaults in (True, False):
        again = recipe.parse(recipe.dump(loaded, defaults=defaults))
        assert again.mixture.max_repeats is None and again.corpus.dedup is None


def test_every_kind_that_training_rests_on_names_its_provider():
    found = kinds.providers(recipe.parse(TINY + "  callbacks: [{kind: samples}]\n"))
    assert {name.split()[0] for name in found} >= {"tokenizer", "model", "objective", "optimizer", "callback"}
    assert all(one["package"] == "seedstock" and len(one["sha256"]) == 64 for one in found.values())
