"""Of several texts the one nearest to the others is taken, by edits that are those of the evaluation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.evaluation.captions import distance
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.captioner import CaptionerConfig
from seedstock.objectives.risk import edits, least_risk

TEXTS = st.lists(st.text("abc", max_size=6), min_size=2, max_size=5)


def rows(texts, end=9):
    return torch.tensor([[*map(ord, text), *[end] * (7 - len(text))] for text in texts])


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.data())
def test_edits_are_levenshteins(texts, data):
    others = data.draw(st.permutations(texts))
    lengths = [torch.tensor([len(text) for text in some]) for some in (texts, others)]
    found = edits(rows(texts), lengths[0], rows(others), lengths[1])
    assert found.tolist() == [distance(one, other) for one, other in zip(texts, others, strict=True)]


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_what_is_taken_is_nearest_to_the_others(texts):
    chosen = least_risk(rows(texts)[None], end=9)[0]
    risks = [sum(distance(one, other) for other in texts) for one in texts]
    assert chosen.tolist() == rows(texts)[risks.index(min(risks))].tolist()


@pytest.mark.parametrize("candidates", [1, 5])
def test_captions_of_candidates_are_whole_and_the_same_each_time(candidates):
    sizes = {"width": 16, "layers": 1, "heads": 2}
    towers = {"picture": VisionConfig(shape="clip", image=8, patch=4, **sizes)}
    towers["text"] = DecoderConfig(shape="gpt2", context=10, **sizes)
    model, specials = TowersConfig(**towers).resolved(), {"bos": 0, "eos": 1, "pad": 2}
    spec = Spec(vocab_size=8, context=12, model=model, specials=specials, fields={"image": (8, 8, 3), "tokens": (10,)})
    objective = CaptionerConfig(embedding=8, layers=1, candidates=candidates).build(spec)
    nets = assemble(model.build(8, 1), objective).eval()
    images = torch.rand(3, 8, 8, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = objective.written(nets, images)
    assert found.shape[0] == 3 and (found[:, 0] == 0).all()
    for row in found.tolist():
        after = row[row.index(1) + 1 :] if 1 in row else []
        assert set(after) <= {2}
    assert torch.equal(found, objective.written(nets, images))
