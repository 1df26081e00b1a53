import pytest
from batches import documents, library

from seedstock.corpus.signals.c4 import C4, NOTICES


def measure(*texts):
    return C4().compute(documents(list(texts))).to_pylist()


def test_what_each_column_counts():
    page = (
        "A first sentence. And a second one!\nMenu\n\n"
        '"Quoted speech, at length."\nRead more here...\nPlease turn on JavaScript now.\n'
    )
    (found,) = measure(page)
    assert found["terminal_lines"] == pytest.approx(3 / 5)
    assert found["short_lines"] == pytest.approx(1 / 5)
    assert found["javascript_lines"] == pytest.approx(1 / 5)
    assert found["sentences"] == 5
    assert not found["lorem_ipsum"] and not found["curly_bracket"]


@pytest.mark.parametrize("notice", [" ".join(words).title() for words in NOTICES])
def test_a_notice_counts_in_its_own_line_alone(notice):
    broken = notice.replace(" ", "\n")
    found = measure(f"Read our {notice}, please\nother", broken, notice)
    assert [row["policy_lines"] for row in found] == [0.5, 0, 1]


def test_a_notice_does_not_run_from_one_text_into_the_next():
    assert [row["policy_lines"] for row in measure("privacy", "policy")] == [0, 0]


def test_marks_of_pages():
    found = measure("LOREM ipsum dolor", "if (x) { y }", "")
    assert [(row["lorem_ipsum"], row["curly_bracket"]) for row in found] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_line_shares_of_real_modules_are_those_of_a_plain_count():
    texts = library(200_000)
    for found, text in zip(measure(*texts), texts, strict=True):
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        ends = sum(line.endswith((".", "!", "?", '"', "”")) and not line.endswith("...") for line in lines)
        assert found["terminal_lines"] == pytest.approx(ends / len(lines) if lines else 0)
        short = sum(len(line.split()) < 3 for line in lines)
        assert found["short_lines"] == pytest.approx(short / len(lines) if lines else 0)
