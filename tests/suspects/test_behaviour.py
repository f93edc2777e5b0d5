"""What a diff can do: real edits score, edits that only look like one do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.suspects.behaviour import INERT, judge_change
from rca.suspects.diffs import parse_diff
from rca.types import Change


def degree(diff: str, path: str = "src/app/main.go", name: str = "change") -> float:
    return judge(diff, path, name).degree


def judge(diff: str, path: str = "src/app/main.go", name: str = "change"):
    return judge_change(Change(id="x", component="", kind="change.commit", name=name, time=0, files=(path,), diff=diff))


@pytest.mark.parametrize(
    ("kind", "diff", "path"),
    [
        ("number_changed", "-\ttimeout := 5 * time.Second\n+\ttimeout := 300 * time.Millisecond\n", "src/client.go"),
        ("number_changed", "-  max_connections: 50\n+  max_connections: 10\n", "config/db.yaml"),
        ("text_changed", '-\tField("title")\n+\tField("name")\n', "src/mapping.go"),
        ("text_changed", "-level: info\n+level: debug\n", "config/agent.yaml"),
        ("condition_changed", "-    if age < limit:\n+    if age <= limit:\n", "src/check.py"),
        (
            "guard_removed",
            "-\tif r.Result != nil {\n-\t\tuse(r.Result.Code)\n-\t}\n+\tuse(r.Result.Code)\n",
            "src/pay.go",
        ),
        ("call_removed", "-\tregisterDefaults(registry)\n", "src/boot.go"),
        ("bound_removed", "-    SELECT id FROM t ORDER BY s LIMIT 50\n+    SELECT id FROM t ORDER BY s\n", "src/q.sql"),
        ("release_removed", "-\tdefer rows.Close()\n", "src/read.go"),
        ("call_in_loop", "+\tfor _, id := range ids {\n+\t\tfetchOne(ctx, id)\n+\t}\n", "src/load.go"),
        ("growth", "+seen = {}\n+seen[key] = value\n", "src/memo.py"),
        ("wait_added", "+    time.sleep(2)\n", "src/work.py"),
        ("schema_changed", "+ALTER TABLE orders DROP COLUMN state;\n", "src/m.sql"),
        ("new_reference", '+    run("SELECT a FROM favourites WHERE u = 1")\n', "src/dao.py"),
        ("await_removed", "-    await save(order, items)\n+    save(order, items)\n", "src/save.ts"),
        ("concurrency_added", "+\tgo func() { refresh() }()\n", "src/refresh.go"),
    ],
)
def test_an_edit_that_changes_behaviour_is_found_with_its_kind(kind: str, diff: str, path: str) -> None:
    found = judge(diff, path)
    assert kind in found.kinds
    assert found.degree >= 0.5


@pytest.mark.parametrize(
    ("diff", "path", "most"),
    [
        ("-color: red;\n+color: blue;\n", "web/theme.css", INERT),
        ("+A page about timeouts and pools.\n", "docs/pools.md", INERT),
        ("-\tassert(1 == 2)\n+\tassert(2 == 2)\n", "src/app_test.go", INERT),
        ('-\tlog.Printf("took %d", n)\n+\tlogger.Info("took", "n", n)\n', "src/app.go", 0.05),
        ('-import "os"\n-import "io"\n+import "io"\n+import "os"\n', "src/app.go", 0.05),
        ("-\tclose(a)\n \tx\n+\tclose(a)\n", "src/app.go", INERT),
        ("-# old words\n+# new words\n", "src/app.py", INERT),
        ("-\tsum := add(items)\n-\treturn sum\n+\ttotal := add(items)\n+\treturn total\n", "src/app.go", 0.6),
        ("-    v1.2.3\n+    v1.2.4\n", "go.mod", 0.1),
    ],
)
def test_an_edit_that_only_looks_like_one_scores_little(diff: str, path: str, most: float) -> None:
    assert degree(diff, path) <= most + 1e-9


def test_a_local_rename_is_no_exchanged_name() -> None:
    diff = "-\tfor _, it := range items {\n-\t\tn += it.Price\n+\tfor _, item := range items {\n+\t\tn += item.Price\n"
    assert "name_changed" not in judge(diff).kinds


def test_the_larger_the_ratio_the_likelier_a_number_matters() -> None:
    def to(value: int) -> float:
        return degree(f"-  size: 100\n+  size: {value}\n", "config/app.yaml")

    assert to(110) < to(200) < to(1000)


def test_the_same_duration_in_another_unit_is_no_change_of_a_number() -> None:
    same = judge("-\twait := 1 * time.Second\n+\twait := 1000 * time.Millisecond\n")
    assert not {"number_changed", "name_changed"} & set(same.kinds)


def test_asking_for_each_item_in_a_loop_instead_of_for_all_at_once_is_found() -> None:
    diff = "-    rows = store.fetch_many(ids)\n+    for one in ids:\n+        rows.append(store.fetch(one))\n"
    assert judge(diff, "src/load.py").kinds["call_in_loop"] == 0.8


def test_a_major_version_weighs_more_than_a_minor_and_a_patch() -> None:
    def bump(new: str) -> float:
        return degree(f"-lib 1.4.2\n+lib {new}\n", "requirements.txt")

    assert bump("2.0.0") > bump("1.5.0") > bump("1.4.3")


def test_without_a_diff_little_is_believed_and_less_if_it_claims_to_be_harmless() -> None:
    assert degree("", name="tune things") > degree("", name="docs: describe things")


def test_what_only_moved_cancels_out_in_the_words() -> None:
    found = judge("-\talpha(beta)\n \tother\n+\talpha(beta)\n+\tgamma(delta)\n")
    assert not found.removed
    assert {"gamma", "delta"} <= found.added
    assert not {"alpha", "beta"} & found.added


def test_a_call_over_several_lines_is_one_line() -> None:
    diff = parse_diff("-f(\n-  a,\n-  b)\n+f(\n+  a)\n")
    assert diff.groups == ((("f( a, b)",), ("f( a)",)),)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+- @"), st.text(max_size=40)), max_size=20))
def test_any_text_is_a_diff_of_some_degree(lines: list[tuple[str, str]]) -> None:
    found = judge("\n".join(mark + text for mark, text in lines))
    assert INERT <= found.degree <= 1
    assert all(0 <= strength <= 1 for strength in found.kinds.values())
    assert all(0 <= belief <= 1 for belief in found.beliefs.values())
