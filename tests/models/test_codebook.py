"""A codebook follows what it stands for, whatever the pieces that a step comes in, and no code stays unused."""

from __future__ import annotations

import pytest
import torch

from seedstock.models.codebook import Codebook, straight_through
from seedstock.models.configs.autoencoder import AutoencoderConfig


def clusters(count=512, width=3, seed=1):
    """Latents around eight far corners, ``[B, 8, width]``."""
    keys = torch.Generator().manual_seed(seed)
    corners = torch.tensor([[x, y, z] for x in (-4, 4) for y in (-4, 4) for z in (-4, 4)], dtype=torch.float32)
    return corners[torch.randint(8, (count, 8), generator=keys)] + 0.1 * torch.randn(count, 8, width, generator=keys)


def book(codes, **options):
    made = Codebook(codes, 3, seed=1)
    with torch.no_grad():
        made.weight.normal_(generator=torch.Generator().manual_seed(3))
    made.follow(**{"momentum": 0.9, "revive": 0.05, "learned": False, **options})
    return made.train()


def step(made, latents, parts=1):
    for part in latents.chunk(parts):
        made.note(part, made.nearest(part), torch.ones(len(part)))
    made.after_step(lambda found: found)


def test_the_nearest_is_the_nearest():
    made, latents = book(16), clusters(8)
    expected = torch.cdist(latents.flatten(0, 1), made.weight).argmin(1).view(8, 8)
    assert torch.equal(made.nearest(latents), expected)


def test_vectors_go_to_the_means_of_what_they_stand_for_and_none_is_left_out():
    made = book(24)
    with torch.no_grad():
        made.weight.fill_(9.0)  # all in one place
    latents = clusters()
    for _ in range(100):
        step(made, latents)
    codes = made.nearest(latents)
    assert len(codes.unique()) >= 22
    assert (latents - made(codes)).square().mean() < 0.02, "each corner has vectors of its own"
    for code in codes.unique().tolist():
        mean = latents[codes == code].mean(0)
        torch.testing.assert_close(made.weight[code], mean, rtol=0, atol=0.05)


def test_without_revival_codes_that_nobody_uses_stay_unused():
    made = book(8, revive=0.0)
    with torch.no_grad():
        made.weight.fill_(9.0)
    for _ in range(20):
        step(made, clusters())
    assert len(made.nearest(clusters()).unique()) == 1


@pytest.mark.parametrize("learned", [True, False])
def test_the_pieces_of_a_step_change_nothing(learned):
    whole, split = book(16, learned=learned), book(16, learned=learned)
    for number in range(5):
        step(whole, clusters(seed=number))
        step(split, clusters(seed=number), parts=7)
    torch.testing.assert_close(whole.weight, split.weight, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(whole.usage, split.usage, rtol=1e-5, atol=1e-4)


def test_erased_pictures_and_evaluation_leave_no_trace():
    made, latents = book(8), clusters(4)
    made.note(latents, made.nearest(latents), torch.zeros(4))
    made.eval()
    made.note(latents, made.nearest(latents), torch.ones(4))
    assert not made.tally.any()
    before = made.weight.clone()
    made.after_step(lambda found: found)
    assert torch.equal(made.weight, before)


def test_gradients_go_straight_through():
    latents = clusters(2).requires_grad_()
    made = book(8)
    rounded = straight_through(latents, made(made.nearest(latents)))
    (rounded * 3).sum().backward()
    assert torch.equal(latents.grad, torch.full_like(latents, 3.0))


def test_codes_are_drawn_as_the_network_draws_pictures():
    network = AutoencoderConfig(image=16, widths=(8, 16), groups=4, codes=32).build(seed=1).eval()
    images = torch.randint(256, (3, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    codes = network.codes(images)
    assert codes.shape == (3, 64) and codes.max() < 32
    torch.testing.assert_close(network.draw(codes), network(images))
    with pytest.raises(ValueError, match="no codes"):
        AutoencoderConfig(shape="kl", image=16, widths=(8, 16), groups=4).build().codes(images)


def test_a_codebook_in_parts_moves_as_a_whole_one(tmp_path):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    plain, parted = book(16), book(16)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for number in range(3):
            latents = clusters(seed=number)
            step(plain, latents)
            parted.note(latents, parted.nearest(latents), torch.ones(len(latents)))  # forward sees whole weights
            parted.weight = torch.nn.Parameter(distribute_tensor(parted.weight.detach(), mesh, [Shard(0)]), False)
            parted.after_step(lambda found: found)
            parted.weight = torch.nn.Parameter(parted.weight.full_tensor().detach(), False)
            torch.testing.assert_close(parted.weight, plain.weight)
    finally:
        torch.distributed.destroy_process_group()
