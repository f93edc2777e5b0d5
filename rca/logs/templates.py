"""Templates: log lines grouped by what does not vary, with codes that stay the same.

A line's group is that of drain3 with the same masks; a memo in front of it makes it quick. Lines
that say their place in the source are grouped by place, level and exception classes instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rca.logs.masks import LEVEL_NAMES, Masks, load_masks
from rca.logs.memo import Memo
from rca.logs.messages import unwrap_batch
from rca.logs.state import VERSION, MinerState, decode_state, encode_state, masks_of
from rca.telemetry import Codes, LogBatch, Texts

if TYPE_CHECKING:
    from rca.logs.tree import Line

# Systems have hundreds of templates, thousands with bad masks; beyond this many a miner is flooded.
MOST_TEMPLATES = 10_000
OTHER = "<other>"
MEMO_CAPACITY = 1 << 16
# Longer lines are payload; the longest line of eight public systems has 1,300 characters.
LONGEST_LINE = 4_096
NO_TEMPLATE = -1

_BLIND = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))  # every digit is 0
_SAME = bytes(range(256))
_LEFT = " "  # stands for a word in which the masks leave a digit: its digits matter
_HAS_DIGIT = re.compile("[0-9]").search
# A line that says its place says it early; the anchor may occur in other words before.
MOST_ANCHORS = 4


class TemplateMiner:
    """Groups messages into templates, online. The identity of a template is its code in this miner.

    Codes count up from 0 in order of first sight and never change; a copy gives templates that the
    original does not know new codes, so codes of a health profile hold in every analysis made with
    a copy of its miner. The text of a template may grow more general. Beyond ``capacity`` templates
    what is new falls into one template ``<other>``.

    Args:
        masks: what varies in lines; the ones that ship by default.
        capacity: most templates.
        memo: most lines, and most words, that are remembered.
    """

    def __init__(
        self, masks: Masks | None = None, *, capacity: int = MOST_TEMPLATES, memo: int = MEMO_CAPACITY
    ) -> None:
        from rca.logs.tree import Line, Tree

        self.masks = load_masks() if masks is None else masks
        self.capacity = capacity
        self._memo_size = memo
        self._tree = Tree()
        self._new_line = Line
        self._lines: Memo[str, Line] = Memo(memo)  # by masked line
        self._shapes: Memo[bytes, Line] = Memo(memo)  # by line, its digits blinded
        self._masked_words: Memo[str, str] = Memo(memo)  # by word, its digits blinded
        self._words: Memo[str, str] = Memo(memo)  # word -> the word where it is a location, else ""
        self._placed: dict[str, int] = {}  # text of a template of lines with a location -> code
        self._texts: list[str | int] = []  # by code: a text, or a cluster of the tree
        self._blind = _BLIND if self.masks.digit_blind else _SAME
        self._by_word = self.masks.digit_blind and self.masks.word_local

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def templates(self) -> tuple[str, ...]:
        """The text of each template, by code. Two templates may have grown the same text."""
        tokens = self._tree.tokens
        return tuple(text if isinstance(text, str) else " ".join(tokens(text)) for text in self._texts)

    def assign(self, messages: Texts, levels: npt.NDArray[np.int8] | None = None, *, payloads: bool = True) -> Codes:
        """The template of each message, learning as it goes: int32 codes, shape (lines,).

        What is learned depends on the order of lines: ``template_keys`` gives batches a fixed one.

        Args:
            messages: clean texts (see ``rca.logs.messages``), object array, shape (lines,).
            levels: int8 (0 unknown ... 6 fatal), shape (lines,); found in the text where unknown.
            payloads: whether payloads are part of a line; else they are left out (see the mask file).
        """
        return self._codes(messages, levels, learn=True, payloads=payloads)

    def match(self, messages: Texts, levels: npt.NDArray[np.int8] | None = None, *, payloads: bool = True) -> Codes:
        """What ``assign`` would say of each message alone, without learning; -1 where it is new."""
        return self._codes(messages, levels, learn=False, payloads=payloads)

    def _codes(self, messages: Texts, levels: npt.NDArray[np.int8] | None, *, learn: bool, payloads: bool) -> Codes:
        lines: list[str] = messages.tolist()
        codes: list[int] = []
        known = self._shapes.young.get
        blind, anchors = self._blind, self.masks.anchors
        shorten = None if payloads else self.masks.shorten
        for text in lines:
            if len(text) > LONGEST_LINE or "\n" in text:
                text = _head(text)
            for anchor in anchors:
                if anchor in text:
                    row = len(codes)
                    code = self._by_location(text, lines[row], anchor, 0 if levels is None else int(levels[row]), learn)
                    if code is not None:
                        break
            else:
                if shorten is not None:
                    text = shorten(text)
                shape = text.encode("utf-8", "surrogatepass").translate(blind)
                line = known(shape)
                if line is not None and line.leaf.cluster_ids is line.seen:
                    code = line.code
                else:
                    code = self._ask(text, shape) if learn else self._look_up(text)
                    known = self._shapes.young.get
            codes.append(code)
        return np.array(codes, np.int32)

    def _look_up(self, text: str) -> int:
        _, cluster = self._tree.find(self.masks.mask(text).split())
        return NO_TEMPLATE if cluster is None else self._tree.codes[cluster.cluster_id - 1]

    def _ask(self, text: str, shape: bytes) -> int:
        line = self._shapes.get(shape)
        if line is None:
            masked, alike = self._mask(text, shape)
            line = self._line(masked)
            if alike:
                self._shapes.put(shape, line)
        return self._learn(line)

    def _mask(self, text: str, shape: bytes) -> tuple[str, bool]:
        """The masked line, and whether every line of its shape is masked to the same."""
        if self._by_word:
            words = shape.decode("utf-8", "surrogatepass").split()
            known = self._masked_words.young.get
            masked = [known(word) or self._mask_word(word) for word in words]
            if _LEFT not in masked:
                return " ".join(masked), True
        line = self.masks.mask(text)
        return line, self._blind is _SAME or not _HAS_DIGIT(line)

    def _mask_word(self, word: str) -> str:
        masked = self._masked_words.get(word)
        if masked is None:
            masked = self.masks.mask(word)
            if _HAS_DIGIT(masked):
                masked = _LEFT
            self._masked_words.put(word, masked)
        return masked

    def _line(self, masked: str) -> Line:
        line = self._lines.get(masked)
        if line is None:
            line = self._new_line(masked)
            self._lines.put(masked, line)
        return line

    def _learn(self, line: Line) -> int:
        if line.leaf.cluster_ids is not line.seen:
            new = len(self._texts) if len(self._texts) < self.capacity else None
            clusters = len(self._tree.codes)
            if not self._tree.learn(line, new):
                return self._name(OTHER)
            if len(self._tree.codes) > clusters:
                self._texts.append(clusters + 1)
        return line.code

    def _by_location(self, text: str, whole: str, anchor: str, level: int, learning: bool) -> int | None:
        """The code of a line that says its place; None where it does not."""
        location = self._location(text, anchor)
        if not location:
            return None
        name = LEVEL_NAMES.get(level or self.masks.find_level(text), "")
        exceptions = "/".join(self.masks.find_exceptions(whole))
        template = " ".join(part for part in (name, location, exceptions) if part)
        code = self._placed.get(template)
        if code is None:
            code = self._name(template) if learning else NO_TEMPLATE
        return code

    def _location(self, text: str, anchor: str) -> str:
        end = 0
        for _ in range(MOST_ANCHORS):
            place = text.find(anchor, end)
            if place < 0:
                break
            end = text.find(" ", place)
            end = len(text) if end < 0 else end
            word = text[text.rfind(" ", 0, place) + 1 : end]
            location = self._words.get(word)
            if location is None:
                location = word.strip("[]():") if self.masks.is_location(word) else ""
                self._words.put(word, location)
            if location:
                return location
        return ""

    def _name(self, template: str) -> int:
        """The code of a template that is named by its text; a new one while there is room."""
        if template not in self._placed and len(self._texts) >= self.capacity:
            template = OTHER
        code = self._placed.get(template)
        if code is None:
            code = self._placed[template] = len(self._texts)
            self._texts.append(template)
        return code

    def adopt(self, other: TemplateMiner) -> Codes:
        """Learns another miner's templates: the code here of each of its codes, shape (templates of other,)."""
        known: dict[str, int] = {}
        for code, text in enumerate(self.templates):
            known.setdefault(text, code)
        out = np.empty(len(other), np.int32)
        for code, (text, kept) in enumerate(zip(other.templates, other._texts, strict=True)):
            if text in known:
                out[code] = known[text]
            else:
                out[code] = self._name(text) if isinstance(kept, str) else self._learn(self._line(text))
                known[text] = int(out[code])
        return out

    def copy(self) -> TemplateMiner:
        """A miner that knows the same and learns on its own."""
        return self._from_state(self._state())

    def to_json(self) -> bytes:
        """What was learned, as ASCII JSON. The same bytes for the same lines in the same order."""
        return encode_state(self._state())

    @classmethod
    def from_json(cls, data: bytes | str) -> TemplateMiner:
        """The miner of a saved state.

        Raises:
            ProfileError: the state is unreadable, of another version or contradicts itself.
        """
        return cls._from_state(decode_state(data))

    def _state(self) -> MinerState:
        tokens = self._tree.tokens
        return MinerState(
            version=VERSION,
            masks=self.masks.to_data(),
            capacity=self.capacity,
            templates=[text if isinstance(text, str) else list(tokens(text)) for text in self._texts],
            tree=self._tree.branches(),
        )

    @classmethod
    def _from_state(cls, state: MinerState) -> TemplateMiner:
        from rca.logs.tree import Tree

        miner = cls(masks_of(state), capacity=state.capacity)
        clusters: list[list[str]] = []
        codes: list[int] = []
        for code, template in enumerate(state.templates):
            if isinstance(template, str):
                miner._placed[template] = code
                miner._texts.append(template)
            else:
                clusters.append(template)
                codes.append(code)
                miner._texts.append(len(clusters))
        miner._tree = Tree.from_branches(state.tree, clusters, codes)
        return miner


def template_keys(logs: LogBatch, miner: TemplateMiner) -> tuple[Codes, tuple[str, ...]]:
    """The template of each line of a batch: int32 codes, shape (lines,), and every template's text by code.

    Envelopes are taken off, payloads left out. Lines are learned in order of time, component and
    message: the same lines in any order get the same codes. The miner learns: hand in a copy of a
    profile's, so that its codes hold here too.
    """
    logs = unwrap_batch(logs, miner.masks)
    order = canonical_order(logs)
    codes = np.empty(len(logs), np.int32)
    codes[order] = miner.assign(logs.message[order], logs.level[order], payloads=False)
    return codes, miner.templates


def canonical_order(logs: LogBatch) -> npt.NDArray[np.int64]:
    """Rows in order of time, component, message and level: the same for the same lines, shape (lines,)."""
    rank = np.empty(max(len(logs.components), 1), np.int64)
    rank[np.argsort(np.array(logs.components, dtype=str), kind="stable")] = np.arange(len(logs.components))
    component = rank[logs.component]
    order = np.lexsort((component, logs.times))
    same = (np.diff(logs.times[order]) == 0) & (np.diff(component[order]) == 0)
    if same.any():  # runs of equal time and component are put in order of what they say
        run = np.concatenate([[0], np.cumsum(~same)])
        tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
        message, level = logs.message, logs.level
        rows = sorted(tied.tolist(), key=lambda place: (run[place], message[order[place]], level[order[place]]))
        order[tied] = order[rows]
    return order


def _head(text: str) -> str:
    """The first line of a message (the stack trace below varies in length), at most 4,096 characters."""
    return text.strip().partition("\n")[0][:LONGEST_LINE]
