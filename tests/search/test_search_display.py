"""What is shown of a search is true."""

import io

import torch
from rich.console import Console
from spaces import SPACE

from movinet.search.controller import Controller
from movinet.search.names import odds
from movinet.search.search_display import SearchDisplay


def shown(terminal: bool, sure: bool) -> str:
    text, now = io.StringIO(), [0.0]
    console = Console(file=text, force_terminal=terminal, width=200, highlight=False, color_system=None)
    controller = Controller(SPACE)
    with torch.no_grad():
        controller.logits[SPACE.places["blocks.1.layers"], 2] = 4.0 if sure else 0.0
    row = {"step": 1, "epoch": 1, "loss": 0.5, "lr": 1e-3, "clips_per_s": 2.0, "quality": 0.4, "reward": 0.39}
    row |= {"expected_cost": 1.6e6, "entropy": 0.5 if sure else 1.0, "entropy_kernel": 0.25}
    with SearchDisplay(console, 2, 10, seconds=1.0, clock=lambda: now[0]) as display:
        now[0] += 2.0
        display.step(row)
        if terminal:
            console.print(display._render())
        display.epoch(row | odds(controller))
    return text.getvalue()


def test_rewards_cost_and_entropy() -> None:
    for terminal in (False, True):
        text = shown(terminal, sure=True)
        for part in ("loss 0.500", "quality 0.400", "reward 0.390", "cost 1.6M", "open 50% (kernel 25%)"):
            assert part in text


def test_what_is_most_certain_after_an_epoch() -> None:
    assert "epoch 1/2  expected cost 1.6M  open 50%  blocks.1.layers 3 96%" in shown(False, sure=True)
    assert "blocks.1.layers" not in shown(False, sure=False)
