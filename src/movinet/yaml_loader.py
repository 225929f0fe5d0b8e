"""YAML that stays as small as it looks. Not in `reading.py`, so that a light `import movinet` brings no PyYAML."""

from typing import Any

import yaml
from yaml.composer import ComposerError

from movinet.errors import brief

DEEPEST = 64
"""Levels of lists and mappings in each other."""

_MOST = 100_000  # nodes, those that an alias stands for counted again


class Loader(yaml.SafeLoader):
    """PyYAML's own with bounds: on levels, on what aliases stand for, and on keys, which are said once.

    Raises:
        yaml.YAMLError: the text is not such YAML.
        Exception: any; PyYAML believes what a tag says (`!!int x`, `!!bool x`, a 13th month).
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._extent: dict[int, tuple[int, int]] = {}  # nodes and levels of each node that is complete

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        is_alias = isinstance(event, yaml.AliasEvent)
        self._level += 1
        if self._level > DEEPEST:
            raise ComposerError(None, None, f"nested deeper than {DEEPEST} levels", event.start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        assert node is not None
        if id(node) not in self._extent:
            if is_alias:
                raise ComposerError(None, None, "an alias stands for what it is in", event.start_mark)
            self._extent[id(node)] = self._extent_of(node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise ComposerError(None, None, f"{brief(key.value)} is said twice", key.start_mark)
                seen.add((key.tag, key.value))
        return node

    def _extent_of(self, node: yaml.Node) -> tuple[int, int]:
        inside: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inside = node.value
        extents = [self._extent[id(part)] for part in inside]
        nodes, levels = 1 + sum(n for n, _ in extents), 1 + max((n for _, n in extents), default=0)
        if nodes > _MOST or levels > DEEPEST:
            mark: Any = node.start_mark
            raise ComposerError(None, None, f"more than {_MOST:,} values or {DEEPEST} levels, aliases counted", mark)
        return nodes, levels
