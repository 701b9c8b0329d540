"""How a long piece of work tells the person who waits."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a workflow calls while it runs; the command line draws it, tests ignore it."""

    def say(self, text: str) -> None:
        """A sentence worth keeping on the screen."""

    def step(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` of the present work; `note` may hold figures such as the loss."""


class Silent:
    """Progress that nobody watches."""

    def say(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, note: str = "") -> None:
        pass
