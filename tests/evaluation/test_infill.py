"""Infilling: gaps are lines of the text, and only the line itself counts as right."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "objectives"))
sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from real_windows import trained
from small_networks import small

from seedstock.evaluation.infill import bits_per_byte, continuer, exact_match, gaps, infiller, marked, plain, words

TEXT = "import os\n\ndef f(x):\n    return x + 1  \n\n\nclass A:\n    pass\n\tb = 3\n"


@given(st.lists(st.text("ab \t\r", max_size=12), max_size=12).map("\n".join), st.integers(1, 4))
def test_a_gap_and_what_is_around_it_are_the_text(text, lines):
    for gap in gaps([text], lines=lines):
        assert gap.before + gap.line + gap.after == text
        assert gap.line == gap.line.strip() and len(gap.line) >= 4 and "\n" not in gap.line


def test_gaps_of_a_text_do_not_depend_on_the_others():
    assert list(gaps([TEXT], lines=2)) == list(gaps([TEXT, TEXT * 2], lines=2))[:2]
    assert {gap.line for gap in gaps([TEXT], lines=9)} == {"def f(x):", "return x + 1", "class A:", "pass", "b = 3"}


def test_the_share_is_of_lines_that_came_back_to_the_letter():
    asked = list(gaps([TEXT], lines=9))
    known = {gap.before: gap.line for gap in asked}
    assert exact_match(lambda before, after: " " + known[before] + "\n", asked)["exact_match"] == 1
    found = exact_match(lambda before, after: "pass", asked)
    assert found["exact_match"] == pytest.approx(1 / 5) and found["gaps"] == 5


@pytest.mark.parametrize("spm", [False, True])
def test_prompts_fit_the_context_and_hold_both_sides(spm):
    tokenizer, _ = trained()
    network = small("llama", context=64).build(tokenizer.vocab_size)
    prompts = []
    forward = network.forward
    network.forward = lambda tokens, **more: prompts.append(tokens[0].tolist()) or forward(tokens, **more)
    middle = tokenizer.specials["fim_middle"]
    for long in (1, 30):
        prompts.clear()
        infiller(network, tokenizer, spm=spm, new_tokens=8)(TEXT * long + "    x = (", "\n    return x" + TEXT * long)
        assert middle in prompts[0] and len(prompts[0]) <= 64 - 8
        text = tokenizer.decode(prompts[0], skip_specials=True)
        assert "x = (" in text and "return x" in text
        assert (tokenizer.specials["bos"] in prompts[0]) == (long == 1 and len(tokenizer.encode(TEXT)) < 20)
        prompts.clear()
        continuer(network, tokenizer, new_tokens=8)(TEXT * long + "    x = (", "\n")
        assert tokenizer.decode(prompts[0], skip_specials=True).endswith("x = (")


def test_a_line_is_as_likely_as_its_tokens_after_the_prompt():
    tokenizer, _ = trained()
    network = small("llama", context=64).build(tokenizer.vocab_size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # every token is as likely as any other
    asked = list(gaps([TEXT], lines=9))
    for prompt in (marked(tokenizer, 40), plain(tokenizer, 40)):
        found = bits_per_byte(network, tokenizer, prompt, asked)
        tokens = sum(len(tokenizer.encode(gap.line)) for gap in asked)
        wanted = tokens * math.log2(tokenizer.vocab_size) / sum(len(gap.line) for gap in asked)
        assert found["bits_per_byte"] == pytest.approx(wanted, rel=1e-5) and found["gaps"] == 5


@given(st.lists(st.text("ab_ \t(", max_size=12), max_size=8).map("\n".join), st.integers(1, 4))
def test_a_missing_word_is_whole_and_within_the_text(text, count):
    for gap in words([text], count=count):
        assert gap.before + gap.line + gap.after == text
        assert gap.line.strip().replace("_", "a").isalnum() and len(gap.line.strip()) >= 3
        assert "\n" in gap.before and "\n" in gap.after
        assert not gap.after[:1].isalnum() and not (gap.before[-1:].isalnum() and not gap.line.startswith(" "))


def test_a_word_is_cut_out_of_what_was_written():
    tokenizer, _ = trained()
    network = small("llama", context=64).build(tokenizer.vocab_size)
    target = iter(tokenizer.encode(" value = 3\n").tolist())

    def forward(tokens, **more):
        logits = torch.zeros(1, tokens.shape[1], tokenizer.vocab_size)
        logits[0, -1, next(target)] = 1
        return logits

    network.forward = forward
    assert continuer(network, tokenizer, new_tokens=8, word=True)("x = 1\n   ", ")") == " value"
