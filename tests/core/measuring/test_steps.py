"""What each step of a pass holds, counted on a network whose sizes are known."""

from __future__ import annotations

from typing import Any

import torch
from dnallm_core.measuring.steps import BODY, HEAD, Clock, Steps
from dnallm_core.testing.counting import Counting
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

WIDTH, WIDE, VOCABULARY = 8, 32, 100


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(WIDTH, WIDE), nn.Linear(WIDE, WIDTH)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(states))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            states = block(states)
        return self.head(states)


def counted(tokens: int) -> Steps:
    with FakeTensorMode(), torch.no_grad():
        network, states = Network(), torch.ones(1, tokens, WIDTH)
        counting = Counting()

        def peak() -> int:
            most, counting.peak = counting.peak, counting.alive
            return most

        steps = Steps(network, peak)
        with counting:
            network(states)
        steps.finish()
        steps.leave()
        network(states)  # watched no longer
    return steps


def test_each_step_holds_what_its_tensors_are_and_what_follows_the_last_block_is_the_head() -> None:
    steps = counted(1000)
    middle = steps.bytes["before blocks.0.up - after blocks.0.up"]
    assert middle == 4 * 1000 * WIDE
    head = steps.bytes["before head - after head"]
    assert head == 4 * 1000 * (WIDTH + VOCABULARY)
    assert steps.parts["before head - after head"] == HEAD
    assert steps.parts["before blocks.1.down - after blocks.1.down"] == BODY
    assert max(steps.bytes.values()) == head


def test_any_size_is_counted_without_memory() -> None:
    tokens = 10**9
    assert max(counted(tokens).bytes.values()) == 4 * tokens * (WIDTH + VOCABULARY)


def test_a_clock_tells_the_blocks_from_the_rest(monkeypatch: Any) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr("dnallm_core.measuring.steps.time.perf_counter", lambda: float(next(ticks)))
    network = Network()
    clock = Clock(network)
    network(torch.ones(1, 3, WIDTH))
    assert clock.seconds() == 1.0  # from the first block's beginning to the last one's end
    assert clock.seconds() == 0.0
