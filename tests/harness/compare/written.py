"""Run folders as a judge leaves them, as far as a comparison reads them: run.json, report.json, nats."""

import json
import math

import msgspec
import numpy as np

from harness.report.model import encode
from tests.harness.report import samples

replaced = msgspec.structs.replace


def nats_of(dataset, seed, *, level=2.0):
    """Nats a token, noisy; one seed draws the same noise at any level."""
    noise = np.random.default_rng(seed).normal(0, 0.3, dataset.val.tokens)
    return np.abs(level + noise)


def report_of(dataset, nats, **more):
    """The passing sample as a report on this data, with these nats a token by seed."""
    sample = samples.passing()
    text_bytes = dataset.text.text_bytes
    seeds = tuple(
        replaced(
            sample.seeds[0],
            seed=seed,
            tokens=len(nats_N),
            bytes=text_bytes,
            nats_per_token=math.fsum(nats_N) / len(nats_N),
            bits_per_byte=math.fsum(nats_N) / text_bytes / math.log(2),
        )
        for seed, nats_N in nats.items()
    )
    data = replaced(
        sample.data,
        val_tokens=dataset.val.tokens,
        val_text_bytes=text_bytes,
        val_sha256=dataset.val.sha256,
        val_text_sha256=dataset.val.text_sha256,
    )
    return replaced(sample, **{"seeds": seeds, "data": data, **more})


def run_folder(folder, dataset, nats, **more):
    """Write a run folder; return it."""
    report = report_of(dataset, nats, **more)
    for seed, nats_N in nats.items():
        place = folder / "seeds" / str(seed)
        place.mkdir(parents=True)
        np.asarray(nats_N, "<f8").tofile(place / "nats.f64")
    (folder / "report.json").write_bytes(encode(report))
    (folder / "run.json").write_text(json.dumps({"data_folder": str(dataset.folder)}))
    return folder
