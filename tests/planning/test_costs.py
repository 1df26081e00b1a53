"""FLOPs, memory, energy and the plan: against torch's own counters, against fake counters, and by their signs."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.planning import flops
from seedstock.planning.energy import Meter, estimate
from seedstock.planning.hardware import DEVICES, named, this_machine
from seedstock.planning.memory import Use, largest, memory, peak
from seedstock.planning.parameters import Shape, active, body, parameters
from seedstock.planning.plan import duration, plan, quantity, vocabulary
from seedstock.training.configs.training import TrainingConfig

SMALL = {"width": 64, "layers": 3, "heads": 4, "kv_heads": 2, "context": 32}


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("AMD Instinct MI300X", "mi300x"),
        ("NVIDIA H100 PCIe", None),  # its sheet promises less
        ("NVIDIA T1000", None),
    ],
)
def test_a_device_is_known_by_the_name_that_its_driver_gives(told, known):
    assert named(told) == (DEVICES[known] if known else None)


@pytest.mark.parametrize("shape", ["qwen3", "plain"])
def test_flops_equal_what_torch_counts(shape):
    from torch.utils.flop_counter import FlopCounterMode

    config = DecoderConfig(shape=shape, **SMALL)
    network = config.build(320)
    tokens = torch.zeros(2, 32, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        network(tokens).sum().backward()
    expected = flops.training(Shape.of(config), 320) * tokens.numel()
    # torch leaves out the CPU's fused attention; what is left is the matrices.
    attention = 12 * 3 * 64 * 32 * tokens.numel()
    assert counter.get_total_flops() in (
        pytest.approx(expected, rel=1e-6),
        pytest.approx(expected - attention, rel=1e-6),
    )


def test_flops_are_six_a_parameter_in_a_large_model():
    shape = Shape.of(DecoderConfig(width=8192, layers=80, heads=64, kv_heads=8, mlp_width=28672, context=2048))
    assert flops.training(shape, 0) / body(shape) == pytest.approx(6, rel=0.06)
    assert flops.training(shape, 0, length=0) == pytest.approx(3 * flops.forward(shape, 0, length=0))


def test_memory_by_part():
    shape = Shape.of(DecoderConfig(**SMALL))
    adamw, muon = (memory(shape, 320, Use(4, optimizer=kind)) for kind in ("adamw", "muon"))
    count = sum(parameter.numel() for parameter in DecoderConfig(**SMALL).build(320, device="meta").parameters())
    assert adamw["gradients"] == 4 * count and adamw["optimizer"] == 8 * count > muon["optimizer"]
    twice = memory(shape, 320, Use(8))
    assert twice["activations"] == 2 * adamw["activations"] and twice["weights"] == adamw["weights"]
    halves = memory(shape, 320, Use(4, shards=2))
    assert 2 * halves["optimizer"] == adamw["optimizer"] and halves["activations"] == adamw["activations"]


@pytest.mark.parametrize("shape", ["qwen3", "plain", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_what_autograd_keeps(shape, dtype):
    from seedstock.models.mask import Mask

    config = DecoderConfig(shape=shape, width=128, layers=4, heads=4, context=64)
    network = config.build(512).use(dtype)
    documents, positions = torch.arange(64).repeat(8, 1) // 40, torch.arange(64).repeat(8, 1) % 40
    x, kept = network.embed(torch.zeros(8, 64, dtype=torch.long), positions), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = network.backbone(x, positions, Mask.over(documents)).hidden
    found = out.untyped_storage().nbytes() + sum(size for place, size in kept.items() if place not in weights)
    parts = memory(Shape.of(config), 512, Use(8, precision="fp32" if dtype == torch.float32 else "bf16", device="cpu"))
    assert (parts["activations"] + parts["copies"]) / found == pytest.approx(1, abs=0.1)


def test_a_step_of_several_passes_holds_gradients_beside_activations():
    shape = Shape.of(DecoderConfig(**SMALL))
    once, twice = (Use(4, passes=passes) for passes in (1, 2))
    parts = memory(shape, 320, once)
    assert peak(parts, twice) == sum(parts.values()) - parts["scratch"] > peak(parts, once)


def test_the_largest_micro_batch_is_the_last_that_fits():
    shape = Shape.of(DecoderConfig(**SMALL))
    room = 40 * 2**20
    size = largest(shape, 320, Use(1), room, 4096)
    assert 1 < size < 4096
    for more, fits in ((0, True), (1, False)):
        one = Use(size + more, passes=-(-4096 // (size + more)))
        assert (peak(memory(shape, 320, one), one) <= room) == fits
    assert largest(shape, 320, Use(1), 1000, 8) == 0 and largest(shape, 320, Use(1), 1e12, 8) == 8


class Rapl:
    """A folder of counters as Linux shows them."""

    def __init__(self, folder):
        self.folder = folder
        for name, label in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:0:1", "dram")):
            (folder / name).mkdir()
            (folder / name / "name").write_text(label + "\n")
            (folder / name / "max_energy_range_uj").write_text("1000000000\n")
            self.set(name, 0)

    def set(self, name, joules):
        (self.folder / name / "energy_uj").write_text(f"{int(joules * 1e6)}\n")


def test_counters_are_read_across_their_wrap(tmp_path):
    rapl = Rapl(tmp_path)
    rapl.set("intel-rapl:0", 900)
    with Meter(powercap=tmp_path, grid=100) as meter:
        rapl.set("intel-rapl:0", 100)  # 200 J later, past the wrap at 1000 J
        rapl.set("intel-rapl:0:0", 150)  # a part of the package: not counted again
        rapl.set("intel-rapl:0:1", 16)
        found = meter.read()
    assert found.watt_hours * 3600 == pytest.approx(216) and found.low == found.high == found.watt_hours
    assert found.method == "measured" and "package-0, dram" in found.basis
    assert found.co2_grams == pytest.approx(found.watt_hours / 1000 * 100)


def test_a_counter_that_goes_away_leaves_the_estimate(tmp_path):
    import shutil

    Rapl(tmp_path)
    with Meter(powercap=tmp_path) as meter:
        shutil.rmtree(tmp_path / "intel-rapl:0")
        found = meter.read()
    assert found.method == "estimated" and found.low < found.watt_hours < found.high


@pytest.mark.parametrize("last", [1, 2])
def test_a_gpu_that_is_lost_leaves_the_estimate(tmp_path, monkeypatch, last):
    class NVMLError(Exception):
        pass

    readings = iter([1000] * last)

    def consumption(handle):
        try:
            return next(readings)
        except StopIteration:
            raise NVMLError("GPU is lost") from None

    nvml = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
    }
    module = SimpleNamespace(**nvml, nvmlDeviceGetTotalEnergyConsumption=consumption, NVMLError=NVMLError)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    with Meter(powercap=tmp_path) as meter:
        assert meter.read().method == "estimated"


def test_estimate_is_power_times_time():
    found = estimate(7200, (10, 20, 50), grid=500)
    assert (found.low, found.watt_hours, found.high) == (20, 40, 100)
    assert found.co2_grams == 20 and found.method == "estimated"
    assert estimate(60).watt_hours == pytest.approx(2 * estimate(30).watt_hours)


def recipe(**training):
    model = DecoderConfig(size="4M", context=256)
    return SimpleNamespace(
        model=model,
        training=TrainingConfig(**training),
        tokenizer=SimpleNamespace(kind="bpe", vocab_size=8192),
        input=SimpleNamespace(tokenized=True),
    )


def test_a_plan_on_named_hardware():
    found = plan(recipe(steps=400, batch_tokens=2048), hardware=DEVICES["h100"])
    assert found.tokens == 400 * 2048 and found.flops == pytest.approx(found.flops_a_token * found.tokens)
    assert found.seconds == pytest.approx(found.flops / (989e12 * 0.4))
    assert abs(sum(found.parameters.values()) / 4e6 - 1) < 0.05
    rows = dict(found.rows())
    assert list(rows) == ["parameters", "tokens", "FLOPs", "memory", "fits", "time", "energy", "CO2", "cost"]
    assert "400 steps of 2,048" in rows["tokens"] and "40% of h100" in rows["time"] and "estimated" in rows["energy"]
    json.dumps(found.record())
    assert all(row[1] in found.table() for row in found.rows()) and "model.width = 192" in found.table()


@pytest.mark.parametrize("devices", [0, -1])
def test_no_devices_plan_nothing(devices):
    with pytest.raises(RecipeError, match="1 or more"):
        plan(recipe(steps=400, batch_tokens=2048), hardware=DEVICES["h100"], devices=devices)


def test_a_plan_for_a_time_and_a_measured_speed():
    found = plan(recipe(time="5 min"), tokens_per_second=5000.0)
    assert (found.seconds, found.tokens) == (300, 1_500_000) and found.measured
    assert "measured" in dict(found.rows())["time"]


def test_this_machine_has_a_rate():
    machine = this_machine(0.05)
    assert machine.flops > 1e8 and machine.watts > 0


def test_words_for_numbers():
    assert [quantity(value) for value in (7, 999, 4_012_345, 1.5e12)] == ["7", "999", "4.01M", "1.50T"]
    assert quantity(3 * 2**30, 1024) == "3.00Gi"
    assert [duration(s) for s in (45.6, 200, 3600, 5 * 3600 + 600, 90_000)] == [
        *("45 s", "3 min 20 s", "1 h", "5 h 10 min", "1 day 1 h"),
    ]
    assert (
        vocabulary(SimpleNamespace(kind="bpe", vocab_size=1000)) == 1024
        and vocabulary(SimpleNamespace(kind="bytes")) == 320
    )


@pytest.mark.parametrize("changes", [{}, {"shared_expert": 64, "expert_width": 32, "experts_per_token": 3}])
def test_a_mixture_costs_what_a_token_uses_of_it(changes):
    from torch.utils.flop_counter import FlopCounterMode

    config = DecoderConfig(shape="mixtral", **SMALL, **changes)
    network, shape = config.build(320), Shape.of(config)
    assert sum(p.numel() for p in network.parameters()) == sum(parameters(shape, 320).values())
    assert sum(active(shape, 320).values()) < sum(parameters(shape, 320).values())
    tokens = torch.zeros(2, 32, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        network(tokens).sum().backward()
    expected = flops.training(shape, 320) * tokens.numel()
    attention = 12 * 3 * 64 * 32 * tokens.numel()
    assert counter.get_total_flops() in (
        pytest.approx(expected, rel=1e-6),
        pytest.approx(expected - attention, rel=1e-6),
    )


def test_the_plan_of_a_mixture_tells_all_parameters_from_those_of_a_token():
    recipe = SimpleNamespace(
        model=DecoderConfig(shape="mixtral", size="10M"),
        training=TrainingConfig(),
        tokenizer=SimpleNamespace(kind="bpe", vocab_size=1024),
        input=SimpleNamespace(tokenized=True),
    )
    made = plan(recipe, hardware=DEVICES["h100"])
    assert sum(made.parameters.values()) == pytest.approx(10e6, rel=0.05) and made.active < 0.5 * 10e6
    assert "of them for each token" in made.table()
