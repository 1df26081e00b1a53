"""gensim's side of word_vectors.py: trains Word2Vec on lines of words, counts them, or judges files of vectors.

``train LINES OUT OPTIONS``: OPTIONS is JSON for gensim.models.Word2Vec. ``count LINES OUT OPTIONS``: positive pointwise
mutual information of neighbours, weighed by distance, contexts smoothed by 0.75, shifted by ln k, and the left singular
vectors times the square roots of the singular values (Levy et al. 2015, sections 3.1 and 3.3). ``judge FILE…``: rank
correlation with people's judgements (WordSim-353, SimLex-999) and analogies (questions-words), over the sets that
gensim brings along.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def train(lines: str, out: str, options: str) -> dict[str, float]:
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence

    given = json.loads(options)
    epochs = given.pop("epochs")
    model = Word2Vec(**given)
    sentences = LineSentence(lines)
    model.build_vocab(sentences)
    began = time.perf_counter()
    _, words = model.train(sentences, total_examples=model.corpus_count, epochs=epochs)
    seconds = time.perf_counter() - began
    model.wv.save_word2vec_format(out)
    return {"words": words, "seconds": seconds, "vocabulary": len(model.wv)}


def count(lines: str, out: str, options: str) -> dict[str, float]:
    import numpy as np
    from gensim.models import KeyedVectors
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import svds

    given, began = json.loads(options), time.perf_counter()
    window = given["window"]
    with Path(lines).open(encoding="utf-8") as file:
        texts = [line.split() for line in file]
    names: dict[str, int] = {}
    for text in texts:
        for word in text:
            names.setdefault(word, len(names))
    size = len(names)
    # Lines stand apart by as many words as nobody looks over.
    gap = np.full(window, size)
    stream = np.concatenate([part for text in texts for part in (np.array([names[w] for w in text], np.int64), gap)])
    share = np.bincount(stream, minlength=size + 1)[:size] / sum(map(len, texts))
    kept = np.append(np.minimum(1, np.sqrt(given["sample"] / share)), 1.0)
    stream = stream[np.random.default_rng(0).random(len(stream)) < kept[stream]]
    table = coo_matrix((size, size)).tocsr()
    for apart in range(1, window + 1):
        left, right = stream[:-apart], stream[apart:]
        inside = (left < size) & (right < size)
        weight = np.full(inside.sum(), (window - apart + 1) / window)
        table += coo_matrix((weight, (left[inside], right[inside])), shape=(size, size)).tocsr()
    table = (table + table.T).tocoo()
    rows = np.asarray(table.sum(1)).ravel()
    smooth = rows**0.75
    value = np.log(table.data * smooth.sum() / (rows[table.row] * smooth[table.col])) - np.log(given["negative"])
    some = value > 0
    ppmi = coo_matrix((value[some], (table.row[some], table.col[some])), shape=(size, size)).tocsr()
    left, strength, _ = svds(ppmi, k=given["vector_size"], random_state=0)
    vectors = KeyedVectors(given["vector_size"])
    vectors.add_vectors(list(names), (left * np.sqrt(strength)).astype(np.float32))
    vectors.save_word2vec_format(out)
    return {"words": sum(map(len, texts)), "seconds": time.perf_counter() - began, "vocabulary": size}


def judge(*files: str) -> dict[str, dict[str, float]]:
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    found = {}
    for file in files:
        vectors = KeyedVectors.load_word2vec_format(file)
        one: dict[str, float] = {"words": len(vectors)}
        for name in ("wordsim353.tsv", "simlex999.txt"):
            _, spearman, left_out = vectors.evaluate_word_pairs(datapath(name))
            one[name.partition(".")[0]] = float(spearman[0])
            one[f"{name.partition('.')[0]} left out %"] = float(left_out)
        score, sections = vectors.evaluate_word_analogies(datapath("questions-words.txt"), restrict_vocab=len(vectors))
        total = sections[-1]
        one |= {"analogies": score, "analogies asked": len(total["correct"]) + len(total["incorrect"])}
        one["near"] = {
            word: [near for near, _ in vectors.most_similar(word, topn=6)] for word in NEAR if word in vectors
        }
        found[file] = one
    return found


NEAR = ("whale", "window", "three", "morning", "block", "function")

if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    print(json.dumps({"train": train, "count": count, "judge": judge}[command](*rest)))
