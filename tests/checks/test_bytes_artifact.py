import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from checks import bytes_artifact
from checks.contract import Artifact, CountedFile, Status

FILES = st.lists(
    st.builds(
        CountedFile,
        path=st.sampled_from(["weights.bin", "score.py", "a/b.c", "ngram.c"]),
        size_bytes=st.integers(0, 1 << 40),
        sha256=st.just("0" * 64),
        origin=st.sampled_from(["code", "output"]),
    ),
    min_size=1,
    max_size=6,
).map(tuple)
REFUSALS = st.lists(st.sampled_from(["x is a symbolic link", "y is a socket"]), max_size=3).map(
    tuple
)


@st.composite
def artifacts(draw, refusals=REFUSALS):
    return Artifact(
        files=draw(FILES),
        tokenizer_bytes=draw(st.integers(0, 1 << 20)),
        refusals=draw(refusals),
        digest="d",
    )


def artifact(*sizes, refusals=(), tokenizer_bytes=0):
    files = tuple(
        CountedFile(path=f"f{i}", size_bytes=size, sha256="0" * 64, origin="output")
        for i, size in enumerate(sizes)
    )
    return Artifact(files=files, tokenizer_bytes=tokenizer_bytes, refusals=refusals, digest="d")


@given(artifacts(), st.integers(1, 1 << 42))
def test_passes_exactly_when_nothing_is_refused_and_the_sum_fits(sealed, cap_bytes):
    finding = bytes_artifact.check(sealed, cap_bytes)
    total = sum(file.size_bytes for file in sealed.files) + sealed.tokenizer_bytes
    assert (finding.status is Status.PASS) == (total <= cap_bytes and not sealed.refusals)
    assert finding.status in (Status.PASS, Status.FAIL)
    assert (finding.measured, finding.limit, finding.unit) == (total, cap_bytes, "bytes")


@given(artifacts(refusals=st.just(())))
def test_the_cap_itself_passes_and_one_byte_over_fails(sealed):
    assert bytes_artifact.check(sealed, sealed.total_bytes).status is Status.PASS
    finding = bytes_artifact.check(sealed, sealed.total_bytes - 1)
    assert finding.status is Status.FAIL
    assert " 1 byte over" in finding.message


@given(artifacts(), st.integers(1, 1 << 42), st.data())
def test_the_order_of_files_does_not_matter(sealed, cap_bytes, data):
    shuffled = tuple(data.draw(st.permutations(sealed.files)))
    other = dataclasses.replace(sealed, files=shuffled)
    assert (
        bytes_artifact.check(other, cap_bytes).message
        == bytes_artifact.check(sealed, cap_bytes).message
    )


@given(artifacts(), st.integers(1, 1 << 42))
def test_every_counted_byte_is_in_the_evidence(sealed, cap_bytes):
    evidence = bytes_artifact.check(sealed, cap_bytes).evidence
    counted = sum(file["size_bytes"] for file in evidence["files"]) + evidence["tokenizer_bytes"]
    assert counted == sealed.total_bytes


def test_nothing_sealed_is_not_run():
    assert bytes_artifact.check(None, 10).status is Status.NOT_RUN
    assert bytes_artifact.check(artifact(), 10).status is Status.NOT_RUN


def test_an_overrun_names_the_largest_files_and_the_tokenizer():
    finding = bytes_artifact.check(artifact(5, 900, 70, 60, tokenizer_bytes=366_510), 1_000)
    assert finding.message == (
        "367,545 bytes, 366,545 bytes over the cap of 1,000; "
        "largest: f1 900, f2 70, f3 60, the data set's tokenizer 366,510"
    )


def test_files_of_equal_size_are_named_by_path():
    sealed = artifact(7, 7, 7)
    backwards = dataclasses.replace(sealed, files=sealed.files[::-1])
    for one in (sealed, backwards):
        assert bytes_artifact.check(one, 20).message.endswith("largest: f0 7, f1 7, f2 7")


def test_a_refusal_fails_below_the_cap_and_the_rest_is_counted():
    refusals = ("weights.bin is a symbolic link", "b", "c")
    finding = bytes_artifact.check(artifact(5, refusals=refusals), 1_000)
    assert finding.status is Status.FAIL
    assert finding.message == "refused at the seal: weights.bin is a symbolic link (and 2 more)"
    assert finding.evidence["refusals"] == list(refusals)
    only = bytes_artifact.check(artifact(refusals=refusals[:1]), 1_000)
    assert only.status is Status.FAIL
