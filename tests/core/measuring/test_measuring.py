from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.errors import DnallmError, OutputError, RequirementError
from dnallm_core.footprint import Records, predict
from dnallm_core.measuring import Point, fit, measure, write_overlay, write_plugin_facts
from dnallm_core.measuring.fitting import predicted, solve
from dnallm_core.measuring.measure import Runner

WEIGHTS = 10**9


def points(lengths: list[int], rows: tuple[int, ...] = (1, 4)) -> list[Point]:
    """What a network with known terms would show."""
    return [
        Point(
            row, tokens,
            WEIGHTS + 3 * 10**7 + 2_000 * tokens + 40_000 * row * tokens + 8 * row * tokens**2,
            0.1 + 1e-4 * row * tokens,
        )
        for tokens in lengths
        for row in rows
    ]  # fmt: skip


def test_known_terms_are_found_again() -> None:
    found = fit(points([128, 1024, 8192, 32768]), points([512, 4096, 16384]), WEIGHTS)
    assert found.bytes["per_token"] == pytest.approx(40_000, rel=0.01)
    assert found.bytes["per_token_squared"] == pytest.approx(8, rel=0.01)
    assert found.seconds["per_token"] == pytest.approx(1e-4, rel=0.01)
    assert found.over < 0.01
    assert found.under < 0.01


def test_terms_are_never_negative() -> None:
    odd = [Point(1, 100, WEIGHTS + 9 * 10**8, 1.0), Point(1, 1000, WEIGHTS + 5 * 10**8, 2.0),
           Point(1, 10_000, WEIGHTS + 6 * 10**8, 3.0)]  # fmt: skip
    assert min(fit(odd, [], WEIGHTS).bytes.values()) >= 0


def test_no_fitted_point_lies_above_the_prediction_by_more_than_a_hundredth() -> None:
    noisy = [p._replace(bytes=round(p.bytes * (1.08 if p.tokens == 1024 else 1)))
             for p in points([128, 1024, 8192])]  # fmt: skip
    found = fit(noisy, [], WEIGHTS)
    for point in noisy:
        assert WEIGHTS + predicted(found.bytes, point) >= point.bytes * 0.989


def test_a_deviation_of_held_points_is_reported() -> None:
    held = [p._replace(bytes=p.bytes * 2) for p in points([4096])]
    assert fit(points([128, 1024, 8192]), held, WEIGHTS).under == pytest.approx(0.5, abs=0.01)


def test_noise_is_not_taken_for_growth_that_the_network_has_not() -> None:
    noisy = [p._replace(bytes=p.bytes + 10**6 * p.tokens // 128) for p in points([128, 512, 2048])]
    found = fit(noisy, [], WEIGHTS, ("fixed", "per_row", "per_token"))
    assert found.bytes["per_token_squared"] == 0.0
    assert found.bytes["per_length"] == 0.0


def test_least_squares_without_a_solution_is_zero() -> None:
    assert solve([(1.0, 2.0), (2.0, 4.0)], [0.0, 0.0], [1.0, 1.0]) == [0.0, 0.0]


def record(device: str = "cpu", value: float = 1.0) -> dict[str, Any]:
    return {"device": device, "dtype": "float32", "mode": "inference", "terms": {"per_token": value},
            "seconds": {}, "measured": {}}  # fmt: skip


def test_the_overlay_keeps_one_record_a_device_format_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "footprints.json"
    write_overlay("toy", record(value=1.0), path)
    write_overlay("toy", record(value=2.0), path)
    write_overlay("toy", record("cuda"), path)
    held = json.loads(path.read_text())["models"]["toy"]
    assert [(each["device"], each["terms"]["per_token"]) for each in held] == [
        ("cpu", 2.0), ("cuda", 1.0),
    ]  # fmt: skip
    path.write_text("{")
    with pytest.raises(OutputError, match="is no JSON file of measurements"):
        write_overlay("toy", record(), path)


def test_an_installed_package_is_never_written_to(laboratory: Any) -> None:
    home = laboratory.install()
    manifest = catalog()["toy-1"]
    assert write_plugin_facts(manifest, record()) == home / "facts" / "footprints.json"
    packages = laboratory.folder / "site-packages"
    packages.mkdir()
    home.rename(packages / home.name)
    import sys

    from dnallm_core.footprint.records import _folder

    _folder.cache_clear()
    sys.path.insert(0, str(packages))
    try:
        with pytest.raises(OutputError, match="is an installed package, which is not written to"):
            write_plugin_facts(manifest, record())
    finally:
        sys.path.remove(str(packages))
        _folder.cache_clear()


def small() -> str:
    """The smallest network of the installed plugins."""
    sizes = {m.id: m.parameters for m in catalog().values()
             if m.installed and m.parameters and m.config and m.inputs == ("sequence",)}  # fmt: skip
    if not sizes:
        pytest.skip("no plugin is installed")
    return min(sizes, key=lambda name: (sizes[name] or 0, name))


def test_a_real_network_is_measured_and_the_record_is_used(tmp_path: Path) -> None:
    manifest = catalog()[small()]
    with Runner() as runner:
        found = measure(manifest, lengths=[64, 128, 256], batches=(1,), threads=1, runner=runner)
    assert found.record["terms"]["weights"] == 4 * (manifest.parameters or 0)
    assert found.record["measured"]["versions"]["torch"]
    path = write_overlay(manifest.id, found.record, tmp_path / "footprints.json")
    footprint = predict(manifest, 128, records=Records(path))
    assert any("measured on" in term.basis for term in footprint.terms)


def test_a_run_that_fails_says_why() -> None:
    manifest = catalog()[small()]
    job = {"model": manifest.id, "device": "cpu", "dtype": "float32", "mode": "inference",
           "batch": 1, "tokens": 8, "config": {}, "inputs": [], "threads": 1}  # fmt: skip
    with Runner() as runner, pytest.raises(DnallmError, match=r"1 x 8 tokens failed: "):
        runner.run({**job, "device": "nowhere"})


def test_unreadable_lengths_are_a_sentence() -> None:
    from dnallm_core.cli.measure import _numbers

    with pytest.raises(RequirementError, match="'1,x' is no list of whole numbers"):
        _numbers("1,x", "lengths")
