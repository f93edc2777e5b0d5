"""A dictionary of bounded size that forgets what was not asked for lately."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """At most ``capacity`` entries in two generations; what the old one still gives moves to the young one.

    When the young generation is full it becomes the old one, whose entries are forgotten. This
    keeps what was used lately, as an LRU dictionary does, and costs nothing when an entry is read.
    """

    __slots__ = ("half", "old", "young")

    def __init__(self, capacity: int) -> None:
        self.half = max(capacity // 2, 1)
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of a key, None where it is unknown or forgotten."""
        value = self.young.get(key)
        if value is None:
            value = self.old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remembers a value."""
        if len(self.young) >= self.half and key not in self.young:
            self.old, self.young = self.young, {}
        self.young[key] = value

    def __len__(self) -> int:
        return len(self.young.keys() | self.old.keys())
