"""Unified diffs as lines that changed, without what only moved, and with what each line is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rca.suspects.vocabulary import tokens

# A diff beyond this is generated code or a vendored tree: its beginning says what it is.
LONGEST_DIFF, LONGEST_LINE = 100_000, 800

# Paths that do not run in production.
_INERT_PATH = re.compile(
    r"(\.(md|rst|txt|adoc|css|scss|less|svg|png|jpe?g|ico|html|tmpl|snap)$|(^|/)docs?/|documentation/|_test\.|\.test\."
    r"|\.spec\.|(^|/)(tests?|testdata|__tests__|fixtures)/|\.github/|\.circleci/|CODEOWNERS|\.editorconfig|lint|_fuzz"
    r"|(^|/)theme\.|CHANGELOG|LICENSE|storybook)",
    re.IGNORECASE,
)
_DEPENDENCY_PATH = re.compile(
    r"(go\.(mod|sum)|package(-lock)?\.json|yarn\.lock|requirements.*\.txt|pyproject\.toml|poetry\.lock"
    r"|Cargo\.(toml|lock)|pom\.xml|build\.gradle|Gemfile(\.lock)?|\.csproj)$"
)
_CONFIG_PATH = re.compile(r"\.(ya?ml|toml|ini|conf|cfg|properties|env|json|tf|tfvars|hcl)$|Dockerfile")
_COMMENT = re.compile(r"^\s*(//|#(?!include|\[)|/\*|\*(?!\w)|--\s|<!--|\"\"\"|''')")
_LOGGING = re.compile(
    r"\b(log|logger|logging|console|slog|LOG_\w+|fmt\.Print\w*|print(f|ln)?|metrics?\.(inc|observe|record))\b[.\w]*\s*\("
    r"|LOG_\w+\(|json\(\{\s*error|Err\w+\s*=\s*\"|Counter|Histogram|prometheus|className=|class=|style=",
    re.IGNORECASE,
)
_ERROR_PATH = re.compile(
    r"\b(errorf|errors\.\w+|raise|throw|except|catch|writeError|http\.Error)\b|return (nil, )?err\b|if err\b"
    r"|err != nil",
    re.IGNORECASE,
)
_IMPORT = re.compile(r"^\s*(import\b|from\s+\S+\s+import|#include|using\s|use\s|package\s|.*require\()")
_CALL = re.compile(r"([A-Za-z_][\w.]*)\s*\(")
_KEYWORDS = """
    if for while switch make append len return func catch def range and or not in int str min max print defer go new
    elif sizeof super"""
# What stands before a bracket without being a call worth knowing.
NO_CALLS = frozenset(_KEYWORDS.split())
_HEADER = ("+++", "---", "@@", "diff ", "index ")
_HEADER_MARKS = re.compile(r"^[@+\- ]+(-\d\S* \+\d\S*)?")


def is_logging(line: str) -> bool:
    """Whether a line only writes a log, a metric or a style."""
    return bool(_LOGGING.search(line))


def is_error_path(line: str) -> bool:
    """Whether a line belongs to the handling of errors."""
    return bool(_ERROR_PATH.search(line))


def is_import(line: str) -> bool:
    """Whether a line imports or names a package."""
    return bool(_IMPORT.match(line))


def is_inert(path: str) -> bool:
    """Whether a path holds documentation, styles, tests or build settings: nothing that runs."""
    return bool(_INERT_PATH.search(path)) and not _DEPENDENCY_PATH.search(path)


def called(lines: Iterable[str]) -> frozenset[str]:
    """Names that are called, without what they are called on."""
    return frozenset(name.split(".")[-1] for name in _CALL.findall("\n".join(lines))) - NO_CALLS


@dataclass(frozen=True, kw_only=True)
class Diff:
    """A parsed diff.

    Attributes:
        groups: neighbouring (removed, added) lines; calls over several lines joined, comments left out.
        context: unchanged lines around them.
        headings: file and function names of the hunks.
        paths: files of the change.
    """

    groups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    context: tuple[str, ...]
    headings: str
    paths: tuple[str, ...]

    @cached_property
    def all_removed(self) -> tuple[str, ...]:
        """Removed lines, moved ones too."""
        return tuple(line for removed, _ in self.groups for line in removed)

    @cached_property
    def all_added(self) -> tuple[str, ...]:
        """Added lines, moved ones too."""
        return tuple(line for _, added in self.groups for line in added)

    @cached_property
    def moved(self) -> Counter[str]:
        """Lines that stand on both sides."""
        return Counter(self.all_removed) & Counter(self.all_added)

    @cached_property
    def net_removed(self) -> tuple[str, ...]:
        """Removed lines that were not moved."""
        return _without(self.all_removed, self.moved)

    @cached_property
    def net_added(self) -> tuple[str, ...]:
        """Added lines that were not moved."""
        return _without(self.all_added, self.moved)

    @cached_property
    def removed(self) -> tuple[str, ...]:
        """Net removed lines that do something: no logging, no imports (configuration always does)."""
        return self.net_removed if self.configures else tuple(line for line in self.net_removed if not _quiet(line))

    @cached_property
    def added(self) -> tuple[str, ...]:
        """Net added lines that do something."""
        return self.net_added if self.configures else tuple(line for line in self.net_added if not _quiet(line))

    @cached_property
    def removed_words(self) -> frozenset[str]:
        """Tokens of the removed lines."""
        return tokens(" ".join(self.removed))

    @cached_property
    def added_words(self) -> frozenset[str]:
        """Tokens of the added lines."""
        return tokens(" ".join(self.added))

    @cached_property
    def present_words(self) -> frozenset[str]:
        """Tokens of all added lines, moved and quiet ones too."""
        return tokens(" ".join(self.all_added))

    @cached_property
    def configures(self) -> bool:
        """Whether a configuration file is among the files."""
        return any(_CONFIG_PATH.search(path) for path in self.paths)

    @cached_property
    def bumps(self) -> bool:
        """Whether only dependency files changed."""
        return bool(self.paths) and all(_DEPENDENCY_PATH.search(path) for path in self.paths)

    @cached_property
    def touches_dependencies(self) -> bool:
        """Whether a dependency file is among the files."""
        return any(_DEPENDENCY_PATH.search(path) for path in self.paths)


def parse_diff(diff: str, paths: Sequence[str] = ()) -> Diff:
    """A unified diff, or what is left of one (hunk headers without numbers are understood)."""
    groups: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    context: list[str] = []
    headings: list[str] = []
    removed: list[str] = []
    added: list[str] = []

    def close() -> None:
        if removed or added:
            groups.append((_join_calls(removed), _join_calls(added)))
            removed.clear()
            added.clear()

    for line in diff[:LONGEST_DIFF].splitlines():
        if line.startswith(_HEADER):
            headings.append(_HEADER_MARKS.sub("", line))
            close()
        elif line.startswith("-"):
            if added:
                close()
            removed.append(line[1 : LONGEST_LINE + 1])
        elif line.startswith("+"):
            added.append(line[1 : LONGEST_LINE + 1])
        else:
            close()
            context.append(line.strip()[:LONGEST_LINE])
    close()
    return Diff(
        groups=tuple(groups),
        context=tuple(line for line in context if line and not _COMMENT.match(line)),
        headings=" ".join(headings),
        paths=tuple(paths),
    )


def _quiet(line: str) -> bool:
    return is_logging(line) or is_import(line)


def _join_calls(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines with open brackets joined with the next ones; comments and blank lines left out."""
    joined: list[str] = []
    depth = 0
    for line in lines:
        if not line.strip() or _COMMENT.match(line):
            continue
        if depth > 0 and len(joined[-1]) < LONGEST_LINE:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line.strip())
            depth = 0
        depth += line.count("(") - line.count(")")
    return tuple(joined)


def _without(lines: Iterable[str], moved: Counter[str]) -> tuple[str, ...]:
    left = Counter(moved)
    kept = []
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
        elif line.strip("{}()[];, "):
            kept.append(line)
    return tuple(kept)
