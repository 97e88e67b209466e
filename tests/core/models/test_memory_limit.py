"""A sequence that this machine's memory cannot hold: refused by name, before it is read into tensors."""

from __future__ import annotations

import pytest
from dnallm_core.errors import ResourceError
from dnallm_core.loading import load
from dnallm_core.resources import memory

GIGABYTE = 10**9


@pytest.fixture(scope="module")
def bidirectional():
    return load("caduceus-ecoli-tiny", device="cpu", dtype="float32")


def test_one_that_could_never_fit_is_refused_with_the_windows_that_do(bidirectional):
    with pytest.raises(ResourceError, match="sequence 2 has 60,000,000 bp") as caught:
        bidirectional.embed(["ACGT", "ACGT" * 15_000_000])
    assert caught.value.needed > caught.value.available
    assert 1_000_000 < caught.value.fits_at < 60_000_000
    assert "--window 1024" in caught.value.hint


def test_memory_that_is_merely_in_use_refuses_nothing(bidirectional, monkeypatch):
    monkeypatch.setattr(memory, "host_memory", lambda: (0, 8 * GIGABYTE))
    with pytest.warns(UserWarning, match="extrapolation"):
        assert bidirectional.embed(["ACGT" * 4_500]).shape == (1, 128)


def test_one_that_is_streamed_is_not(monkeypatch):
    causal = load("mamba-ecoli-tiny", device="cpu", dtype="float32")
    monkeypatch.setattr(memory, "host_memory", lambda: (0, GIGABYTE // 8))
    with pytest.raises(ResourceError):
        causal.embed(["ACGT" * 10_000])
    assert causal.score(["ACGT" * 10_000]).shape == (1,)
