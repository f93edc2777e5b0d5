"""Drain's parse tree, searched so that it says when an answer may be remembered.

He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017, as
implemented by drain3. The tree, its growth and the merging of templates are drain3's own; the
search is repeated here for its depth of 4 with comparisons that run in C, and gives the same.
"""

from __future__ import annotations

from operator import eq
from typing import Any

from drain3.drain import Drain, LogCluster, Node

DEPTH, SIMILARITY, MAX_CHILDREN = 4, 0.4, 100
WILDCARD = "<*>"
NOWHERE = Node()


class Line:
    """A masked line and what the tree last said of it.

    While ``leaf.cluster_ids`` is the very list ``seen``, the tree would say ``code`` again and learn
    nothing. The list is replaced whenever an answer of its leaf may have changed.
    """

    __slots__ = ("code", "leaf", "seen", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.code = -1
        self.leaf: Any = NOWHERE
        self.seen: list[int] | None = None


class Tree:
    """Clusters of token sequences; codes are given by the caller."""

    def __init__(self) -> None:
        self.drain = Drain(depth=DEPTH, sim_th=SIMILARITY, max_children=MAX_CHILDREN, profiler=None)
        self.codes: list[int] = []

    def tokens(self, cluster: int) -> tuple[str, ...]:
        """The template of a cluster (1 is the first), token by token."""
        found: tuple[str, ...] = self.drain.id_to_cluster[cluster].log_template_tokens
        return found

    def find(self, tokens: list[str]) -> tuple[Any, Any]:
        """The leaf that a line leads to, and the best cluster in it; None where there is none."""
        leaf = self._leaf(tokens)
        return leaf, (None if leaf is None else self._best(leaf.cluster_ids, tokens))

    def learn(self, line: Line, new_code: int | None) -> bool:
        """Adds a line to its cluster, or to a new one of code ``new_code``; sets ``line.code``.

        Returns:
            Whether the line has a code now: not if it needs a new cluster and ``new_code`` is None.
        """
        tokens = line.text.split()
        leaf, cluster = self.find(tokens)
        line.seen = None
        if cluster is None:
            if new_code is not None:
                self._add(line, tokens, new_code)
            return new_code is not None
        line.code = self.codes[cluster.cluster_id - 1]
        template = cluster.log_template_tokens
        merged = tuple(self.drain.create_template(tokens, template))
        if merged == template:
            line.leaf, line.seen = leaf, leaf.cluster_ids
        else:
            cluster.log_template_tokens = merged
            leaf.cluster_ids = list(leaf.cluster_ids)  # other lines may now prefer another cluster
        return True

    def _add(self, line: Line, tokens: list[str], code: int) -> None:
        drain = self.drain
        drain.clusters_counter += 1
        cluster = LogCluster(tokens, drain.clusters_counter)
        drain.id_to_cluster[cluster.cluster_id] = cluster
        self.codes.append(code)
        drain.add_seq_to_prefix_tree(drain.root_node, cluster)
        group = drain.root_node.key_to_child_node[str(len(tokens))]
        wild = group.key_to_child_node.get(WILDCARD)
        if wild is not None:  # the new path may take lines away from the wildcard's
            wild.cluster_ids = list(wild.cluster_ids)
        line.code = code
        if WILDCARD not in tokens:  # else drain3 does not find the line's own cluster again
            line.leaf = self._leaf(tokens)
            line.seen = line.leaf.cluster_ids

    def _leaf(self, tokens: list[str]) -> Any:
        group = self.drain.root_node.key_to_child_node.get(str(len(tokens)))
        if group is None or len(tokens) < 2:
            return group
        children = group.key_to_child_node
        return children.get(tokens[0]) or children.get(WILDCARD)

    def _best(self, candidates: list[int], tokens: list[str]) -> Any:
        clusters = self.drain.id_to_cluster
        if not tokens:
            return clusters[candidates[0]]
        best, most_equal, most_wild = None, -1, -1
        for candidate in candidates:
            cluster = clusters[candidate]
            template = cluster.log_template_tokens
            equal = sum(map(eq, template, tokens))
            if equal < most_equal:
                continue
            wild = template.count(WILDCARD)
            if wild and WILDCARD in tokens:  # drain3 does not count a wildcard as equal to itself
                equal -= sum(a == b == WILDCARD for a, b in zip(template, tokens, strict=True))
            if equal > most_equal or (equal == most_equal and wild > most_wild):
                best, most_equal, most_wild = cluster, equal, wild
        return best if most_equal / len(tokens) >= SIMILARITY else None

    def branches(self) -> dict[str, dict[str, list[int]]]:
        """The tree as plain data: number of tokens -> first token -> clusters; "" for lines of one token or none."""
        result: dict[str, dict[str, list[int]]] = {}
        for length, group in self.drain.root_node.key_to_child_node.items():
            result[length] = {token: list(node.cluster_ids) for token, node in group.key_to_child_node.items()}
            if group.cluster_ids:
                result[length][""] = list(group.cluster_ids)
        return result

    @classmethod
    def from_branches(
        cls, branches: dict[str, dict[str, list[int]]], templates: list[list[str]], codes: list[int]
    ) -> Tree:
        """The tree that ``branches`` described; ``templates`` and ``codes`` in order of the clusters."""
        tree = cls()
        drain = tree.drain
        tree.codes = list(codes)
        drain.clusters_counter = len(templates)
        drain.id_to_cluster = {number: LogCluster(tokens, number) for number, tokens in enumerate(templates, 1)}
        for length, children in branches.items():
            group = Node()
            drain.root_node.key_to_child_node[length] = group
            for token, ids in children.items():
                if token:
                    node = Node()
                    node.cluster_ids = list(ids)
                    group.key_to_child_node[token] = node
                else:
                    group.cluster_ids = list(ids)
        return tree
