"""What a tokenizer is told of: parity, tokens that no text gives, specials in text, the page and the command."""

from __future__ import annotations

import gzip
import json

import pytest

from seedstock.cli import main
from seedstock.errors import DataError
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.evaluate import evaluate, parity
from seedstock.inputs.tokenizers.glitches import inspect
from seedstock.inputs.tokenizers.page import page


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_parity_is_the_ratio_of_tokens_for_the_same_sentences(bpe, tmp_path):
    rows = [
        {"id": "x/eng_Latn/1", "language": "eng_Latn", "text": "the first one"},
        {"id": "x/eng_Latn/2", "language": "eng_Latn", "text": "nobody translated this one"},
        {"id": "x/deu_Latn/1", "language": "deu_Latn", "text": "das allererste davon"},
        {"id": "x/hin_Deva/9", "language": "hin_Deva", "text": "अकेला"},
    ]
    found = parity(bpe, lines(tmp_path / "p.jsonl", rows))
    first, german = (len(bpe.encode(rows[number]["text"])) for number in (0, 2))
    assert found["reference"] == "eng_Latn" and set(found["languages"]) == {"eng_Latn", "deu_Latn"}
    assert found["languages"]["deu_Latn"]["premium"] == round(german / first, 4)
    assert found["languages"]["eng_Latn"] == {
        "premium": 1.0,
        "bytes_per_token": round((13 + 26) / (first + len(bpe.encode(rows[1]["text"]))), 4),
        "sentences": 2,
    }
    with pytest.raises(DataError, match="no sentences in the language 'fra'") as error:
        parity(bpe, tmp_path / "p.jsonl", "fra")
    assert "deu_Latn" in error.value.fix


def test_parity_on_real_sentences(bpe, data_pack):
    found = parity(bpe, data_pack / "multilingual" / "sib200-30.jsonl.zst")["languages"]
    assert len(found) == 30 and all(own["sentences"] > 500 for own in found.values())
    assert found["eng_Latn"]["premium"] == 1.0
    assert found["deu_Latn"]["premium"] < found["tha_Thai"]["premium"] if "tha_Thai" in found else True


def test_a_token_that_no_text_gives_is_named(bpe, tmp_path):
    assert inspect(bpe)["unreachable"]["count"] == 0
    record = json.loads((bpe.folder / "tokenizer.json").read_text())
    record["model"]["vocab"]["ĠSolidĠGoldĠMagikarp"] = bpe.vocab_size
    (tmp_path / "tokenizer.json").write_text(json.dumps(record))
    found = inspect(Tokenizer(tmp_path))
    assert found["unreachable"] == {"count": 1, "examples": [" Solid Gold Magikarp"]}
    assert found["longest"][0]["text"] == " Solid Gold Magikarp" or found["longest"][0]["bytes"] >= 20
    assert found["special_injection"] == {"texts": 4 * len(bpe.specials), "read_as_special": 0}


def test_text_files_are_measured_by_language_and_domain(bpe, corpus, tmp_path):
    rows = [{key: row[key] for key in ("text", "language", "domain")} for row in corpus.rows]
    plain = tmp_path / "plain.txt"
    plain.write_text("hello world\r\n" * 10, newline="")
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    found = evaluate(bpe, [tmp_path / "rows.jsonl.gz", plain])
    assert set(found["bytes_per_token"]["by_language"]) == {"en", "de", "hi", "zh", "ar", "und"}
    english = [row["text"] for row in rows if row["language"] == "en"]
    ratio = sum(len(text.encode()) for text in english) / sum(len(bpe.encode(text)) for text in english)
    assert found["bytes_per_token"]["by_language"]["en"] == round(ratio, 4)
    assert found["round_trip"]["exact"] == found["round_trip"]["chunks"] == len(rows) + 1
    assert "Bytes a token by language" in page(found)


def test_a_page_holds_no_markup_of_the_corpus(bpe):
    report = json.loads((bpe.folder / "report.json").read_text())
    report["longest"][0]["text"] = "<script>alert(1)</script>"
    made = page(report)
    assert "<script>" not in made and "&lt;script&gt;" in made
    assert (bpe.folder / "report.html").read_text().startswith("<!doctype html>")


def test_the_command(bpe, tmp_path, capsys, data_pack):
    (tmp_path / "t.txt").write_text("All human beings are born free.\n" * 9)
    parallel = str(data_pack / "multilingual" / "sib200-30.jsonl.zst")
    out = tmp_path / "page.html"
    asked = [str(bpe.folder), str(tmp_path / "t.txt")]
    assert main(["tokenizer", *asked, "--parallel", parallel, "--html", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parity"]["languages"]["eng_Latn"]["premium"] == 1 and "relative to eng_Latn" in out.read_text()
    assert main(["tokenizer", str(bpe.folder)]) == 0
    assert "bytes a token" in capsys.readouterr().out
    assert main(["tokenizer", str(bpe.folder), str(tmp_path / "none.txt")]) == 3
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "bad.jsonl").write_text("{not json\n")
    assert main(["tokenizer", str(bpe.folder), str(tmp_path / "bad.jsonl")]) == 3
    assert "line 1" in capsys.readouterr().err
