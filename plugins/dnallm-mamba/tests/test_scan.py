"""The engines of the selective scan: each agrees with the reference, forwards and backwards."""

from __future__ import annotations

import sys
import types
import warnings

import pytest
import torch
from dnallm_core.errors import RequirementError
from dnallm_mamba import scan
from dnallm_mamba.scan import chunked, engine_for, engines, native, reference
from dnallm_mamba.scan.compiler import EngineUnavailableError

CPU = torch.device("cpu")


def native_engine():
    try:
        native.library()
    except EngineUnavailableError as error:
        pytest.skip(str(error))
    return native


ENGINES = [pytest.param(lambda: chunked, id="plain"), pytest.param(native_engine, id="native")]
SIZES = [(2, 100, 40, 16), (1, 65, 16, 5), (3, 1, 20, 8), (1, 130, 36, 16)]


def inputs(batch, length, width, states, dtype=torch.float32, seed=0):
    make = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=make, dtype=torch.float64).to(dtype)

    return {
        "x": normal(batch, length, width),
        "step": normal(batch, length, width) - 2,
        "A": -torch.exp(normal(width, states)),
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D": normal(width),
        "state": normal(batch, width, states),
    }


def outcome(engine, given, dtype, reverse, mask):
    """y, the last state, and the gradients of a loss that weighs every output differently."""
    leaves = {key: value.to(dtype).clone().requires_grad_() for key, value in given.items()}
    y, last = engine.selective_scan(**leaves, mask=mask, reverse=reverse)
    weights = torch.linspace(-1, 1, y.numel(), dtype=dtype).view_as(y)
    ((y * weights).sum() + (last**2).sum()).backward()
    return {"y": y, "last": last, **{f"d{key}": leaf.grad for key, leaf in leaves.items()}}


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_and_gradients_agree_with_the_reference_in_float64(engine, size, reverse):
    given = inputs(*size)
    mask = torch.ones(size[0], size[1])
    mask[0, : min(7, size[1] - 1)] = 0
    exact = outcome(reference, given, torch.float64, reverse, mask)
    found = outcome(engine(), given, torch.float32, reverse, mask)
    for name, right in exact.items():
        scale = right.detach().abs().max().clamp(min=1)
        apart = (found[name].double() - right).detach().abs().max() / scale
        assert apart < 2e-6, name


@pytest.mark.parametrize("grown", [False, True], ids=["alone", "with gradients"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_gate_opens_what_is_read_from_the_states(engine, grown):
    given = inputs(2, 70, 20, 16)
    gate = torch.randn(2, 70, 40, generator=torch.Generator().manual_seed(1))[..., 20:]
    with torch.set_grad_enabled(grown):
        right, _ = reference.selective_scan(**given, gate=gate)
        found, _ = engine().selective_scan(**given, gate=gate)
        ungated, _ = engine().selective_scan(**given)
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        found, ungated * torch.nn.functional.silu(gate), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_strong_and_weak_decays_neither_overflow_nor_vanish(engine):
    given = inputs(1, 200, 16, 16)
    given["step"] = given["step"] * 20  # steps from 1e-17 to 40
    given["A"] = given["A"] * 50
    exact = outcome(reference, given, torch.float64, False, None)
    found = outcome(engine(), given, torch.float32, False, None)
    for name, right in exact.items():
        assert torch.isfinite(found[name]).all(), name
        scale = right.detach().abs().max().clamp(min=1)
        assert (found[name].double() - right).detach().abs().max() / scale < 2e-5, name


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_sequence_in_pieces_gives_what_the_whole_gives(engine, reverse):
    given = inputs(2, 90, 24, 16)
    whole, last = engine().selective_scan(**given, reverse=reverse)
    state, pieces = given.pop("state"), []
    cuts = [(0, 1), (1, 40), (40, 90)]
    for start, end in cuts[::-1] if reverse else cuts:
        piece = {
            key: value[:, start:end] if value.ndim == 3 else value for key, value in given.items()
        }
        y, state = engine().selective_scan(**piece, state=state, reverse=reverse)
        pieces.append(y)
    joined = torch.cat(pieces[::-1] if reverse else pieces, dim=1)
    torch.testing.assert_close(joined, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("edged", [False, True], ids=["zeros", "edge"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_convolution_and_its_gradients_agree_with_the_reference(engine, edged, reverse):
    make = torch.Generator().manual_seed(0)
    x = torch.randn(2, 37, 20, generator=make)
    weight, bias = torch.randn(20, 4, generator=make), torch.randn(20, generator=make)
    edge = torch.randn(2, 3, 20, generator=make) if edged else None

    def run(module):
        leaves = [each.clone().requires_grad_() for each in (x, weight, bias)]
        y = module.convolve(*leaves, edge, reverse)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        return [y, *(leaf.grad for leaf in leaves)]

    for ours, right in zip(run(engine()), run(reference), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_activation_memory_grows_with_length_as_the_inputs_do(engine):
    width, states, kept = 64, 16, {}
    for length in (512, 1024):
        given = inputs(1, length, width, states)
        given["x"].requires_grad_()
        sizes = {}

        def note(tensor, sizes=sizes):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            engine().selective_scan(**given)
        kept[length] = sum(sizes.values())
    assert kept[1024] < 2.1 * kept[512]
    assert kept[1024] < 1024 * width * states / 2  # never (batch, length, width, states)


def test_an_engine_that_nobody_knows_is_refused_with_the_nearest_name(monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, "nativ")
    with pytest.raises(RequirementError, match=r'names no engine .* "native"'):
        engine_for(CPU)


def test_without_a_compiler_the_plain_engine_runs_and_this_is_said_once(monkeypatch):
    def nothing(_device):
        raise EngineUnavailableError("there is no C compiler (cc, gcc or clang)")

    monkeypatch.setitem(engines._MAKERS, "native", nothing)
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    engines._engine.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"plain engine.*no C compiler"):
            assert engine_for(CPU).name == "plain"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert engine_for(CPU).name == "plain"
        monkeypatch.setenv(engines.VARIABLE, "native")
        with pytest.raises(RequirementError, match="cannot be had: there is no C compiler"):
            engine_for(CPU)
    finally:
        engines._engine.cache_clear()


def test_a_compiler_that_fails_is_named_with_its_last_words(monkeypatch, tmp_path):
    from dnallm_mamba.scan import compiler

    monkeypatch.setenv("CC", "false")
    monkeypatch.setattr(compiler, "_cache_folder", lambda: tmp_path)
    with pytest.raises(EngineUnavailableError, match="false failed"):
        compiler.load_library()
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(EngineUnavailableError, match="CC names 'no-such-compiler'"):
        compiler.load_library()


def test_a_gpu_too_old_for_triton_runs_the_plain_engine_and_says_so(monkeypatch):
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    monkeypatch.setitem(engines._PREFERRED, "cuda", ("triton",))
    engines._engine.cache_clear()
    with pytest.warns(UserWarning, match=r"compute capability 6\.1; Triton needs 7\.0"):
        assert engine_for(torch.device("cuda")).name == "plain"
    engines._engine.cache_clear()


def test_where_triton_can_build_no_kernel_the_plain_engine_runs_and_says_why(monkeypatch):
    """A module in the place of the Triton engine's, on a machine without a C compiler."""

    def prove(_device):
        raise RuntimeError(
            "Failed to find C compiler. Please specify via CC environment variable.\n"
        )

    module = types.ModuleType("dnallm_mamba.scan.triton_scan")
    module.prove, module.selective_scan = prove, chunked.selective_scan
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(scan, "triton_scan", module, raising=False)
    monkeypatch.delenv(engines.VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setitem(engines._PREFERRED, "cuda", ("triton",))
    engines._engine.cache_clear()
    try:
        with pytest.warns(
            UserWarning, match=r"plain engine.*no kernel here: Failed to find C comp"
        ):
            assert engine_for(torch.device("cuda")).name == "plain"
        module.prove = lambda _device: None
        engines._engine.cache_clear()
        assert engine_for(torch.device("cuda")).name == "triton"
    finally:
        engines._engine.cache_clear()


def test_an_engine_of_another_device_is_refused(monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, "triton")
    with pytest.raises(RequirementError, match="runs on CUDA devices, not on cpu"):
        engine_for(CPU)


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_mamba_ssm_is_called_as_its_kernels_are_and_gives_the_reference(monkeypatch, reverse):
    """A module in the place of mamba-ssm's, with the signature that version 2 documents."""
    calls = []

    def selective_scan_fn(
        u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
        return_last_state=False,
    ):  # fmt: skip
        calls.append((u.shape, delta.shape, B.shape, C.shape, delta_softplus, return_last_state))
        parts = [each.transpose(1, 2) for each in (u, delta, B, C)]
        gate = None if z is None else z.transpose(1, 2)
        y, last = reference.selective_scan(parts[0], parts[1], A, parts[2], parts[3], D, gate=gate)
        return y.transpose(1, 2), last

    place = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    place.selective_scan_fn = selective_scan_fn
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, place.__name__, place)
    monkeypatch.delitem(sys.modules, "dnallm_mamba.scan.mamba_ssm_scan", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    given = inputs(2, 30, 12, 8)
    given.pop("state")
    gate = torch.randn(2, 30, 12, generator=torch.Generator().manual_seed(1))
    scan = engines._mamba_ssm("cuda").selective_scan
    for opened in (None, gate):
        found = scan(**given, reverse=reverse, gate=opened)
        right = reference.selective_scan(**given, reverse=reverse, gate=opened)
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5)
    assert len(calls) == 2
    assert calls[0] == ((2, 12, 30), (2, 12, 30), (2, 8, 30), (2, 8, 30), True, True)
    scan(**given, mask=torch.ones(2, 30))  # masks and states go to another engine
    assert len(calls) == 2
    monkeypatch.delitem(sys.modules, "dnallm_mamba.scan.mamba_ssm_scan", raising=False)
