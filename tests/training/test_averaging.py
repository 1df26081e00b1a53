"""The mean of checkpoints is the mean of their weights, and of nothing else."""

import pytest
import torch
from small_run import small_config, small_fit, small_network

from seedstock.errors import DataError
from seedstock.training.averaging import load_mean
from seedstock.training.state import load_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    experts = {"experts": 4, "experts_per_token": 2, "expert_width": 32, "balance_rate": 0.01}
    network = small_network(**experts)
    from seedstock.objectives.base import Spec
    from seedstock.objectives.configs.causal import CausalConfig

    spec = Spec(vocab_size=64, context=16, model=network.config)
    small_fit(folder, small_config(steps=6, checkpoint_every=2), network, objective=CausalConfig().build(spec))
    return folder / "checkpoints", lambda: small_network(**experts)


def test_weights_are_averaged_and_buffers_are_the_last_ones(run):
    folder, make = run
    folders = [folder / f"step-{step:08d}" for step in (6, 2, 4)]
    singles = []
    for one in sorted(folders):
        network = make()
        load_weights(one, network)
        singles.append(network)
    mean = make()
    assert load_mean(folders, {"network": mean}) == [2, 4, 6], "the order in which they are named does not matter"
    for name, parameter in mean.named_parameters():
        wanted = torch.stack([dict(one.named_parameters())[name].double() for one in singles]).mean(0)
        torch.testing.assert_close(parameter.double(), wanted, rtol=1e-6, atol=1e-8)
    biases = [name for name in mean.state_dict() if name not in dict(mean.named_parameters())]
    assert biases and all(torch.equal(mean.state_dict()[name], singles[-1].state_dict()[name]) for name in biases)


@pytest.mark.parametrize("steps", [[], [4], [4, 4]])
def test_one_checkpoint_or_the_same_twice_is_refused(run, steps):
    folder, make = run
    with pytest.raises(DataError, match="two checkpoints or more"):
        load_mean([folder / f"step-{step:08d}" for step in steps], {"network": make()})
