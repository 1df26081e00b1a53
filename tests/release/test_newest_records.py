"""The newest of everything is what was recorded last, wherever it was recorded first."""

from seedstock.ledger.chain import Chain
from seedstock.release.records import Records


def test_the_newest_stage_and_checkpoint_are_those_recorded_last(tmp_path):
    run = tmp_path / "run"
    chain = Chain(run / "ledger/chain.jsonl")
    sealed = {"manifest_sha256": "0" * 64, "root": "0" * 64}
    for name in "XYX":
        chain.append("stage", {"stage": "corpus", "folder": f".store/corpus/{name}", **sealed})
    for step, digest in ((4, "first"), (8, "later"), (4, "again")):  # a second attempt from the start
        (run / f"checkpoints/step-{step}").mkdir(parents=True, exist_ok=True)
        chain.append("checkpoint", {"folder": f"checkpoints/step-{step}", "step": step, "digest": digest, **sealed})
    records = Records(run)
    assert records.stage("corpus").name == "X"
    assert (records.checkpoint["step"], records.checkpoint["digest"]) == (4, "again")
