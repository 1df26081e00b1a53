import hashlib
import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from batches import library
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock.corpus.dedup import DedupConfig, find_clusters, minhash, shingles
from seedstock.corpus.dedup.parts import InMemory
from seedstock.progress import Silent

SHINGLE = 5


def table(texts, sources=None, locators=None):
    count = len(texts)
    return pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "text_sha256": pa.array([hashlib.sha256(text.encode()).digest() for text in texts], pa.binary(32)),
            "source": pa.array(sources or ["s"] * count, pa.string()),
            "locator": pa.array(locators or [f"{at:05d}" for at in range(count)], pa.string()),
            "bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
        }
    )


def clusters(parts, **config):
    return find_clusters(DedupConfig(**config), [InMemory(part) for part in parts], Silent())


def plain_set(text):
    words = text.split()
    return {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def plain_jaccard(left, right):
    return len(left & right) / len(left | right) if left or right else 0.0


def near_duplicates(count=120, seed=3):
    """Pieces of real modules, and copies with words replaced at rates that end on both sides of the threshold."""
    draw = random.Random(seed)
    words = [word for text in library(900_000) for word in text.split()]
    texts = []
    for number in range(count):
        piece = words[number * 400 : number * 400 + draw.randrange(60, 380)]
        texts.append(" ".join(piece))
        for _ in range(draw.randrange(3)):
            copy = list(piece)
            for _ in range(draw.randrange(1, 2 + len(copy) // 40)):
                copy[draw.randrange(len(copy))] = f"w{draw.randrange(10**9)}"
            texts.append("\n".join(copy))
    draw.shuffle(texts)
    return texts


@pytest.fixture(scope="module")
def injected():
    texts = near_duplicates()
    sets = [plain_set(text) for text in texts]
    true = {
        (a, b): similarity
        for a, b in itertools.combinations(range(len(texts)), 2)
        if (similarity := plain_jaccard(sets[a], sets[b])) > 0.3
    }
    return texts, true


def components(count, pairs):
    group = list(range(count))
    for a, b in pairs:
        old, new = group[b], group[a]
        group = [new if value == old else value for value in group]
    return group


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
def test_recall_and_precision_against_exact_similarity(injected, threshold):
    texts, true = injected
    above = [pair for pair, similarity in true.items() if similarity >= threshold]
    assert len(above) > 20 and len(above) < len(true)
    found = clusters([table(texts)], threshold=threshold).cluster_of
    together = [found[a] == found[b] >= 0 for a, b in above]
    assert sum(together) / len(together) >= 0.98  # one in a hundred at the threshold may be missed
    # Precision is exact: whatever shares a cluster is joined by pairs that truly reach the threshold.
    truth = components(len(texts), above)
    for cluster in range(found.max() + 1):
        assert len({truth[at] for at in np.flatnonzero(found == cluster)}) == 1


def test_the_division_into_parts_changes_nothing(injected):
    texts, _ = injected
    rows = table([*texts, *texts[:20], "", "", "too short"])
    whole = clusters([rows])

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.integers(0, rows.num_rows), max_size=5).map(sorted))
    def check(cuts):
        bounds = [0, *cuts, rows.num_rows]
        parts = [rows.slice(begin, end - begin) for begin, end in itertools.pairwise(bounds)]
        again = clusters(parts)
        for name in ("cluster_of", "representative", "kind", "sizes"):
            assert np.array_equal(getattr(again, name), getattr(whole, name)), name

    check()


def test_equal_texts_are_exact_duplicates_whatever_their_length():
    texts = ["a", "b", "a", "", "", "one two three four five six", "a"]
    for kind in ("exact", "minhash"):
        found = clusters([table(texts)], kind=kind)
        assert found.cluster_of.tolist() == [0, -1, 0, 1, 1, -1, 0]
        assert found.kind.tolist() == ["exact", "", "exact", "exact", "exact", "", "exact"]
        assert found.sizes.tolist() == [3, 2]


def test_exact_leaves_near_duplicates_alone(injected):
    assert (clusters([table(injected[0])], kind="exact").cluster_of == -1).all()


def test_the_representative_is_the_longest_then_the_first_by_source_and_place():
    base = [f"word{n}" for n in range(100)]
    texts = [" ".join(base), " ".join([*base, "more"]), " ".join(["else", *base]), " ".join([*base, "more"])]
    found = clusters([table(texts, sources=["a", "b", "b", "a"], locators=["1", "1", "1", "2"])])
    assert found.cluster_of.tolist() == [0, 0, 0, 0]
    assert found.representative.tolist() == [False, False, False, True]
    assert found.kind.tolist() == ["minhash", "exact", "minhash", "minhash"]


def test_every_cluster_has_one_representative_and_its_size(injected):
    texts, _ = injected
    found = clusters([table([*texts, *texts[:10]])], linkage="single")
    alone = found.cluster_of < 0
    assert found.representative[alone].all() and (found.kind[alone] == "").all()
    for cluster, size in enumerate(found.sizes):
        members = np.flatnonzero(found.cluster_of == cluster)
        assert len(members) == size > 1
        assert found.representative[members].sum() == 1
        longest = members[found.representative[members]][0]
        texts_ = [*texts, *texts[:10]]
        assert len(texts_[longest]) == max(len(texts_[at]) for at in members)
    assert sorted(set(found.cluster_of[~alone])) == list(range(len(found.sizes)))


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_what_goes_is_similar_to_what_stays_for_it_and_what_stays_to_nothing_else(injected, threshold):
    texts, true = injected
    found = clusters([table([*texts, *texts[:10]])], threshold=threshold)
    single = clusters([table([*texts, *texts[:10]])], threshold=threshold, linkage="single")
    assert np.array_equal(found.cluster_of, single.cluster_of)
    assert (~single.representative).sum() >= (~found.representative).sum() > 20
    numbers = [*range(len(texts)), *range(10)]
    for row in np.flatnonzero(~found.representative):
        pair = tuple(sorted((numbers[row], numbers[found.stands_for[row]])))
        assert found.representative[found.stands_for[row]]
        assert pair[0] == pair[1] or true[pair] >= threshold
    stays = {numbers[row] for row in np.flatnonzero(found.representative)}
    both = [pair for pair, similarity in true.items() if similarity >= threshold and stays.issuperset(pair)]
    assert len(both) <= 0.02 * len(true)
    assert found.size_of[found.representative].sum() == len(numbers)


def test_a_large_bucket_of_unlike_documents_stays_apart_and_ends():
    """A shared licence header and little else: many pairs share a band, none reaches the threshold."""
    draw = random.Random(8)
    header = [f"licence{n}" for n in range(150)]
    texts = [" ".join([*header, *(f"w{draw.randrange(10**9)}" for _ in range(60))]) for _ in range(400)]
    similarity = plain_jaccard(plain_set(texts[0]), plain_set(texts[1]))
    assert 0.5 < similarity < 0.8
    assert (clusters([table(texts)]).cluster_of == -1).all()


def test_members_of_a_bucket_that_differ_from_its_first_are_compared_with_each_other():
    """Of one bucket of five documents only two pairs are alike, and neither holds the first."""
    base = [f"w{n}" for n in range(40)]

    def text(*changes):
        words = list(base)
        for at, word in changes:
            words[at] = word
        return " ".join(words)

    texts = [text((10, "a")), text((20, "b"), (3, "x")), text((30, "c"), (5, "y")), text((20, "b"), (4, "x"))]
    texts.append(text((30, "c"), (6, "y")))
    sets = [plain_set(one) for one in texts]
    alike = [pair for pair in itertools.combinations(range(5), 2) if plain_jaccard(*(sets[n] for n in pair)) >= 0.7]
    assert alike == [(1, 3), (2, 4)]
    assert clusters([table(texts)], threshold=0.7).cluster_of.tolist() == [-1, 0, 1, 0, 1]


@given(st.floats(0.01, 1), st.integers(16, 512))
def test_bands_find_pairs_at_the_threshold_and_are_the_longest_that_do(threshold, permutations):
    count, rows = minhash.bands(threshold, permutations)
    assert 1 <= count * rows <= permutations

    def recall(count, rows):
        return 1 - (1 - threshold**rows) ** count

    assert rows == 1 or recall(count, rows) >= minhash.RECALL
    wider = rows + 1
    assert wider > permutations or recall(permutations // wider, wider) < minhash.RECALL


def test_signatures_estimate_the_similarity(injected):
    texts, true = injected
    rows, found = minhash.signatures(pa.array(texts, pa.large_string()), SHINGLE, 256, seed=4)
    assert rows.tolist() == list(range(len(texts)))
    errors = [float((found[a] == found[b]).mean()) - similarity for (a, b), similarity in true.items()]
    assert abs(np.mean(errors)) < 0.02 and np.std(errors) < 0.05


def test_signatures_depend_on_the_seed_and_nothing_else(injected):
    texts = pa.array(injected[0], pa.large_string())
    first, again, other = (minhash.signatures(texts, SHINGLE, 32, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    halves = [minhash.signatures(part, SHINGLE, 32, 1)[1] for part in (texts[:50], texts[50:])]
    assert np.array_equal(np.concatenate(halves), first)


def test_shingles_are_those_of_plain_words(injected):
    texts = [*injected[0][:40], "", "a b", "a b c d e", "é 語 c d e f"]
    found = shingles.sets(pa.array(texts, pa.large_string()), SHINGLE)
    plain = [plain_set(text) for text in texts]
    assert [len(hashes) for hashes in found] == [len(set_) for set_ in plain]
    for a, b in itertools.product(range(0, len(texts), 7), repeat=2):
        expected = plain_jaccard(plain[a], plain[b]) if plain[a] or plain[b] else 1.0
        assert shingles.jaccard(found[a], found[b]) == pytest.approx(expected)


def test_nothing_to_compare():
    empty = clusters([])
    assert len(empty.cluster_of) == len(empty.sizes) == 0
    assert len(clusters([table([])]).cluster_of) == 0
    assert clusters([table(["x", "y z"])]).representative.all()


def test_configuration():
    assert DedupConfig.model_validate({"kind": "exact"}).steps[0].kind == "exact"
    assert DedupConfig.model_validate({"threshold": "80 %"}) == DedupConfig()
    several = DedupConfig.model_validate({"steps": [{"kind": "url"}, {}, {"kind": "lines"}], "against": ["run:a"]})
    assert [step.kind for step in several.steps] == ["url", "minhash", "lines"]
    assert DedupConfig.model_validate(several.model_dump(mode="json")) == several
    for wrong in (
        {"threshold": 0},
        {"threshold": 2},
        {"kind": "simhash"},
        {"tresholds": 0.8},
        [],
        [{"kind": "lines"}, {"kind": "url"}],
    ):
        with pytest.raises(ValidationError):
            DedupConfig.model_validate(wrong)
