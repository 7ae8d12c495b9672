"""The rules of the merge, one small board at a time."""

from __future__ import annotations

import pytest

from board import edit
from board.merge import Merged, merge
from board.merge_text import CONFLICT_LINE, FIRST, LAST, NEXT
from board.model import Status
from board.parse import parse


def task(name: str, status: str | None = "draft", prompt: str = "Do it.", keys: str = "", title: str = "Title") -> str:
    line = "" if status is None else f"status: {status}\n"
    return f"## {name}: {title}\n\n```yaml\n{line}{keys}```\n\n{prompt}\n\n"


def board(*tasks: str, rev: int | None = 1, front: str = "", top: str = "# Board\n\n") -> str:
    number = "" if rev is None else f"mux:\n  rev: {rev}\n"
    return f"---\nrepo: .\n{front}{number}---\n\n{top}{''.join(tasks)}"


def mux_wrote(text: str, rev: int, **tasks: tuple[Status, int]) -> str:
    changes = [edit.Change(name, status, {"attempt": number}) for name, (status, number) in tasks.items()]
    return edit.apply(text, changes, rev)


def status_of(merged: Merged, name: str) -> str:
    return parse(merged.text, ["shell"]).by_id[name].status


def mux_of(merged: Merged, name: str) -> dict[str, str]:
    return dict(parse(merged.text, ["shell"]).by_id[name].mux)


TWO = board(task("a"), task("b"))


def test_a_save_on_the_current_revision_is_the_result_byte_for_byte() -> None:
    theirs = "\ufeff" + TWO.replace("Do it.", "Do that.", 1).replace("\n", "\r\n").removesuffix("\r\n")
    assert merge([TWO], theirs, TWO) == Merged(theirs, (), ())


def test_a_stale_edit_is_in_and_the_task_stays_done() -> None:
    loaded = board(task("a", "ready"), task("b"))
    ours = mux_wrote(loaded, 3, a=(Status.DONE, 1))
    merged = merge([loaded], loaded.replace("Do it.", "Do that.", 1), ours)
    assert merged == Merged(ours.replace("Do it.", "Do that.", 1), (), ())
    merged = merge([loaded], loaded.replace("status: ready", "# mine\nstatus: ready # x\npriority: 2"), ours)
    assert merged.text == ours.replace("status: done", "# mine\nstatus: done # x\npriority: 2")
    assert (merged.decisions, merged.orders) == ((), ())


@pytest.mark.parametrize("rewrite", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("\n", "\r"),
    lambda text: text.replace(" \n", "\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.rstrip("\n"),
])  # fmt: skip
@pytest.mark.parametrize("back", [False, True])
def test_an_editor_that_rewrites_the_whole_file_changes_only_what_was_edited(rewrite, back) -> None:
    loaded = board(task("a", "ready", "One\nTwo \nThree"), task("b", prompt="Last"))
    ours = mux_wrote(loaded, 2, a=(Status.DONE, 1)).replace("Three", "Three\nFour")
    if back:
        loaded, ours = rewrite(loaded), rewrite(ours)
    theirs = loaded.replace("One", "Won")
    theirs = theirs.replace("\r\n", "\n").replace("\r", "\n") if back else rewrite(theirs)
    merged = merge([loaded], theirs, ours)
    assert merged.text.rstrip() == ours.replace("One", "Won").rstrip()
    assert merged.decisions == ()


ORDERS = [
    # bases, theirs, ours, what stands then, is it an order
    (["draft"], "ready", "draft", "ready", True),
    (["failed"], "ready", "failed", "ready", True),
    (["ready"], "ready", "done", "done", False),
    (["draft", "ready"], "ready", "done", "done", False),
    (["draft", "ready"], "draft", "ready", "draft", False),
    (["failed", "ready"], "stopped", "running", "stopped", True),
    (["running"], "done", "failed", "done", True),
    (["draft"], "running", "draft", "draft", False),
    (["ready"], "running", "failed", "failed", False),
    (["running"], None, "waiting", "draft", True),
    ([None], None, "running", "running", False),
    ([None], "ready", "draft", "ready", True),
]


@pytest.mark.parametrize(("bases", "theirs", "ours", "then", "order"), ORDERS)
def test_a_status_is_an_order_only_if_no_version_of_the_revision_has_it(bases, theirs, ours, then, order) -> None:
    known = [board(task("a", status), task("b", prompt=str(index))) for index, status in enumerate(bases)]
    merged = merge(known, board(task("a", theirs), task("b", prompt="new")), board(task("a", ours), task("b"), rev=2))
    assert (status_of(merged, "a"), merged.orders) == (then, ("a",) if order else ())


def test_an_undo_is_not_silently_put_back() -> None:
    first, second = board(task("a", "draft"), task("b")), board(task("a", "ready"), task("b"))
    merged = merge([first, second], first.replace("# Board", "# Bord"), second)
    assert [decision.task for decision in merged.decisions] == ["a"]
    assert "taken back" in merged.decisions[0].text
    assert merged.text.count("status: ready") == 0
    first, second = TWO, TWO.replace("Do it.", "Do it now.", 1)
    merged = merge([first, second], first.replace("# Board", "# Bord"), second)
    assert "Do it now." in merged.text
    assert "stays" in merged.decisions[0].text


def test_mux_keys_are_always_the_boards() -> None:
    ours = mux_wrote(TWO, 5, a=(Status.RUNNING, 2))
    for broken in ("mux: nonsense\n", "mux:\n  attempt: 9\n  why: me\n", "", "mux: [\n", "mux\n  attempt: 2\n"):
        theirs = ours.replace("mux:\n  attempt: 2\n", broken)
        merged = merge([ours], theirs, ours)
        assert merged.text == ours
        assert len(merged.decisions) == 1
    again = mux_wrote(ours, 6, a=(Status.RUNNING, 3))
    assert merge(
        [ours], ours.replace("attempt: 2", "attempt: 9").replace("Do it.", "Do x."), again
    ).text == again.replace("Do it.", "Do x.")


@pytest.mark.parametrize("broken", ["", "mux: nonsense\n", "mux:\n  rev: x\n"])
def test_the_revision_is_put_back_and_nothing_else_touched(broken: str) -> None:
    theirs = TWO.replace("mux:\n  rev: 1\n", broken)
    assert merge([], theirs, TWO, [TWO]).text == TWO
    ours = mux_wrote(TWO, 2, a=(Status.DONE, 1))
    assert merge([], theirs, ours, lambda: [TWO, ours]) == Merged(ours, (), ())
    assert merge([], theirs.split("---\n", 2)[2], ours, lambda: [TWO, ours]).text == ours


def test_a_broken_block_keeps_the_persons_words_and_mux_keys() -> None:
    ours = mux_wrote(TWO, 2, a=(Status.DONE, 1))
    stale = TWO.replace("status: draft\n", "status: draft\nagent: [shell\n", 1)
    merged = merge([TWO], stale, ours)
    assert "agent: [shell\n" in merged.text
    assert "attempt: 1" in merged.text
    assert "status: done" in merged.text
    mending = merge([merged.text], merged.text.replace("[shell", "shell"), merged.text)
    assert (status_of(mending, "a"), mux_of(mending, "a"), mending.orders) == ("done", {"attempt": "1"}, ())


def test_each_part_of_a_task_merges_by_itself() -> None:
    loaded = board(task("a", keys="agent: shell # which\npriority: 1\ntimeout: 1h\n", prompt="One\nTwo\nThree\nFour"))
    ours = loaded.replace("priority: 1", "priority: 2").replace("Four", "4").replace("timeout: 1h\n", "")
    theirs = loaded.replace("a: Title", "a: Better").replace("One", "1").replace("agent", "# why\nagent")
    merged = merge([loaded], theirs, ours)
    keys = "# why\nagent: shell # which\npriority: 2\n"
    assert merged == Merged(board(task("a", keys=keys, prompt="1\nTwo\nThree\n4", title="Better")), (), ())


def test_of_one_key_changed_on_both_sides_the_saves_is_taken_and_the_other_said() -> None:
    loaded = board(task("a", keys="priority: 1\nports: 1\nrun: x\n"), front="max_workers: 1\n")
    ours = loaded.replace("priority: 1", "priority: 2").replace("ports: 1\n", "").replace("run: x", "run: y")
    ours = ours.replace("max_workers: 1", "max_workers: 2").replace("a: Title", "a: Ours")
    theirs = loaded.replace("priority: 1", "priority: 3").replace("ports: 1", "ports: 3").replace("run: x\n", "")
    theirs = theirs.replace("max_workers: 1", "max_workers: 3").replace("a: Title", "a: Theirs")
    merged = merge([loaded], theirs, ours)
    said = " / ".join(decision.text for decision in merged.decisions)
    assert merged.text == theirs
    for word in ("front matter: `max_workers`", "priority: 2", "run: y", "had removed it", "a: Ours"):
        assert word in said
    assert not any(decision.conflict for decision in merged.decisions)


@pytest.mark.parametrize("flow", ["{status: ready, priority: 1}", "  status: ready\n  priority: 1"])
def test_flow_mappings_and_indented_blocks_merge_too(flow: str) -> None:
    loaded = board(f"## a: Title\n\n```yaml\n{flow}\n```\n\nDo it.\n")
    ours = mux_wrote(loaded, 2, a=(Status.DONE, 1))
    merged = merge([loaded], loaded.replace("priority: 1", "priority: 2"), ours)
    assert merged.text == ours.replace("priority: 1", "priority: 2")
    both = ours.replace("priority: 1", "priority: 1, ports: 5" if "{" in flow else "priority: 1\n  ports: 5")
    merged = merge([loaded], loaded.replace("priority: 1", "priority: 2"), both)
    settings = parse(merged.text, ["shell"]).by_id["a"].settings
    assert (settings.priority, settings.ports, mux_of(merged, "a")) == (2, 5, {"attempt": "1"})
    block = loaded.replace(flow, "status: ready\npriority: 2")
    merged = merge([loaded], block, ours)
    assert (status_of(merged, "a"), mux_of(merged, "a"), merged.orders) == ("done", {"attempt": "1"}, ())


def test_tasks_added_on_both_sides_deleted_and_moved() -> None:
    a, b, c, d, e = (task(name) for name in "abcde")
    loaded = board(a, b, c)
    assert merge([loaded], board(a, d, b, c), board(a, b, c, e, rev=2)).text == board(a, d, b, c, e, rev=2)
    assert merge([loaded], board(a, c), board(a, b, c, e, rev=2)).text == board(a, c, e, rev=2)
    assert merge([loaded], board(c, a, b), board(a, b, c, e, rev=2)).text == board(c, e, a, b, rev=2)
    assert merge([loaded], board(a, b, c, d), board(c, a, b, rev=2)).text == board(c, d, a, b, rev=2)
    assert (
        merge([loaded], board(a, d, b).rstrip() + "\n", board(a, b, c, rev=2)).text
        == board(a, d, b, rev=2).rstrip() + "\n"
    )


def test_a_task_after_one_without_a_final_newline() -> None:
    loaded = board(task("a"), task("b")).rstrip("\n")
    theirs, ours = f"{loaded}\n\n{task('c')}", f"{loaded}\n\n{task('d')}".replace("rev: 1", "rev: 2")
    merged = parse(merge([loaded], theirs, ours).text, ["shell"])
    assert set(merged.by_id) == {"a", "b", "c", "d"}


def test_deleted_on_one_side_and_edited_on_the_other_stays() -> None:
    a, b = task("a"), task("b", "ready")
    edited = task("b", "ready", "Do more.")
    kept = merge([board(a, b)], board(a), board(a, edited, rev=2))
    assert (kept.text, kept.decisions[0].task) == (board(a, edited, rev=2), "b")
    kept = merge([board(a, b)], board(a, edited), board(a, rev=2))
    assert (kept.text, kept.decisions[0].task, kept.orders) == (board(a, edited, rev=2), "b", ())
    running = mux_wrote(board(a, b), 2, b=(Status.RUNNING, 1))
    assert merge([board(a, b)], board(a), running).text == board(a, rev=2)
    newest = mux_wrote(board(a, b), 3, b=(Status.DONE, 2))
    kept = merge([board(a, b)], board(a, edited), board(a, rev=4), lambda: [board(a, b), newest, board(a, rev=4)])
    assert (status_of(kept, "b"), mux_of(kept, "b"), kept.orders) == ("done", {"attempt": "2"}, ())


@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("back", ["abcd", "acdb", "bacd"])
def test_a_section_that_was_cut_and_is_pasted_back_on_one_revision_is_back(back: str, ran: bool) -> None:
    """Cut, saved, pasted elsewhere, saved: all from one buffer, while mux may have written meanwhile."""
    loaded = board(*(task(name) for name in "abcd"))
    loaded = mux_wrote(loaded, 1, b=(Status.STOPPED, 2)) if ran else loaded
    parts = {name: f"## {name}: " + loaded.split(f"## {name}: ")[1].split("## ")[0] for name in "abcd"}
    top = loaded.split("## a: ")[0]
    cut = top + "".join(parts[name] for name in "acd")
    pasted = top + "# Later\n\n" + "".join(parts[name] for name in back)
    ours = cut.replace("rev: 1", "rev: 2")
    for now in (cut, ours):
        merged = merge([loaded, cut], pasted, now, lambda: [loaded, cut, ours])
        assert merged.text == pasted.replace("rev: 1", f"rev: {2 if now is ours else 1}")
        assert [each.task for each in merged.decisions] == ["b"] and "it is back" in merged.decisions[0].text
        assert merged.orders == ()
        assert mux_of(merged, "b") == ({"attempt": "2"} if ran else {})


@pytest.mark.parametrize("word", ["ready", '"ready"'])
@pytest.mark.parametrize("pasted", [False, True])
def test_an_order_that_was_taken_back_by_a_cut_is_none_again_from_a_buffer_of_before(pasted: bool, word: str) -> None:
    """One that was pasted elsewhere is meant; one that stands where it stood may be another person's old buffer."""
    loaded, cut = board(task("a", word), task("b")), board(task("b"))
    order = (task("b"), task("a", word)) if pasted else (task("a", word), task("b"))
    merged = merge([loaded, cut], board(*order, "# Later\n"), cut, lambda: [loaded, cut])
    assert (status_of(merged, "a"), merged.orders) == ("ready" if pasted else "draft", ())
    assert ("no order" in str(merged.decisions)) == (not pasted)
    fresh = board(task("a", "ready"), task("b"), "# Later\n")
    loaded = board(task("a"), task("b"))
    merged = merge([loaded, cut], fresh, cut, lambda: [loaded, cut])
    assert (status_of(merged, "a"), merged.orders) == ("ready", ("a",)), "a freshly written one"


def test_prose_that_was_cut_and_is_pasted_elsewhere_is_back_and_else_said() -> None:
    note = "# Note\n\nMine.\n\n"
    loaded = board(task("a"), note, task("b"))
    cut = loaded.replace(note, "")
    pasted = cut + note
    merged = merge([loaded, cut], pasted, cut)
    assert merged.text == pasted and "it is back" in merged.decisions[0].text
    merged = merge([loaded, cut], loaded.replace("Do it.", "Do that.", 1), cut)
    assert merged.text == cut.replace("Do it.", "Do that.", 1) and "stays out" in merged.decisions[0].text


def test_a_section_that_was_taken_off_after_the_save_was_opened_stays_off() -> None:
    """As `mux archive` does it, under a revision of its own."""
    loaded, ours = board(task("a"), task("b")), board(task("a"), rev=2)
    assert merge([loaded], loaded.replace("Do it.", "Do that.", 1), ours).text == board(
        task("a", prompt="Do that."), rev=2
    )


def test_a_new_task_is_fresh_and_brings_no_mux_keys() -> None:
    ours = mux_wrote(TWO, 2, a=(Status.RUNNING, 1))
    new = task("c", "ready", keys="mux:\n  attempt: 4\n")
    merged = merge([ours], ours + new, ours)
    assert (merged.orders, mux_of(merged, "c"), status_of(merged, "c")) == (("c",), {}, "ready")
    copied = merge([ours], ours + task("c", "running", keys="mux:\n  attempt: 4\n"), ours)
    assert (copied.orders, mux_of(copied, "c"), status_of(copied, "c")) == ((), {}, "draft")
    renamed = merge([ours], ours.replace("## a:", "## z:"), ours)
    assert (renamed.orders, mux_of(renamed, "z"), status_of(renamed, "z")) == ((), {}, "draft")
    assert merge([ours], ours + task("c", None), ours).orders == ()


def test_a_copy_above_its_original_does_not_take_its_place() -> None:
    ours = mux_wrote(TWO, 2, b=(Status.RUNNING, 1))
    copy = task("b", "ready", "Another.")
    merged = merge([ours], ours.replace("## a:", f"{copy}## a:"), ours)
    assert merged.text == ours.replace("## a:", f"{copy}## a:")
    assert merged.orders == ()


def test_prose_merges_like_prompts() -> None:
    loaded = board(task("a"), top="Hello.\n\n# Notes\n\nOne\n\nTwo\n\n")
    theirs = loaded.replace("One", "1").replace("Hello", "Hi")
    merged = merge([loaded], theirs, loaded.replace("Two", "2").replace("rev: 1", "rev: 2"))
    assert merged == Merged(theirs.replace("Two", "2").replace("rev: 1", "rev: 2"), (), ())
    merged = merge([loaded], theirs, loaded.replace("One", "Eins"))
    assert merged.decisions[0].conflict
    assert merged.decisions[0].task is None
    assert "# Notes" in merged.decisions[0].text


CONFLICT = f"{FIRST}\nOurs\n{NEXT}\nTheirs\n{LAST}"


def conflict(*versions: str) -> str:
    marks = [FIRST, *[NEXT] * (len(versions) - 1)]
    return "".join(f"{mark}\n{version}\n" for mark, version in zip(marks, versions, strict=True)) + LAST


def test_a_conflict_keeps_both_versions_and_never_nests() -> None:
    def prompt(line: str, number: int = 1) -> str:
        return board(task("a", prompt=f"Before\n{line}\nAfter"), rev=number)

    first = merge([prompt("Base")], prompt("Theirs"), prompt("Ours", 2))
    assert first.text == prompt(conflict("Ours", "Theirs"), 2)
    assert [(each.task, each.conflict) for each in first.decisions] == [("a", True)]
    assert len(CONFLICT_LINE.findall(first.text)) == 3
    assert merge([prompt("Base")], prompt("Theirs"), first.text) == Merged(first.text, (), ())
    third = merge([prompt("Base")], prompt("Third"), first.text)
    assert third.text == prompt(conflict("Ours", "Theirs", "Third"), 2)
    assert merge([prompt("Base")], prompt("Third"), third.text) == Merged(third.text, (), ())
    solved = merge([first.text], prompt("Both", 2), third.text)
    assert solved.text == prompt(conflict("Third", "Both"), 2)
    assert merge([third.text], prompt("Both", 2), third.text).text == prompt("Both", 2)
    assert merge([first.text], prompt("Theirs", 2), third.text).text == prompt(conflict("Third", "Theirs"), 2)


def test_a_conflict_that_would_tear_a_fence_apart_keeps_both_prompts_whole() -> None:
    def prompt(text: str, number: int = 1) -> str:
        return board(task("a", prompt=text), task("b"), rev=number)

    base = prompt("```sh\nmake\n```\nend")
    merged = merge(
        [base], prompt("~~~sh\nmake\n~~~\nend"), prompt("```sh\nmake\n```\n# not in code\nend").replace("# not", "not")
    )
    assert set(parse(merged.text, ["shell"]).by_id) == {"a", "b"}
    tilde, tick = "~~~~sh\nmake\n# all\n~~~~\nend", "```bash\nmake\n# all\n```\nend\n\nmore"
    merged = merge([base], prompt(tilde), prompt(tick, 2))
    assert tilde in merged.text
    assert set(parse(merged.text, ["shell"]).by_id) == {"a", "b"}


def test_without_a_base_nothing_is_ordered_or_deleted() -> None:
    ours = mux_wrote(board(task("a", prompt="Two"), task("b")), 2, a=(Status.FAILED, 1))
    theirs = board(task("a", "ready", prompt="Two"), task("c", "ready"), rev=None)
    merged = merge([], theirs, ours, [ours])
    assert (merged.orders, status_of(merged, "a"), status_of(merged, "c")) == ((), "failed", "draft")
    assert {decision.task for decision in merged.decisions} == {"a", "c"}
    assert set(parse(merged.text, ["shell"]).by_id) == {"a", "b", "c"}


def test_without_a_base_a_text_is_taken_if_the_board_did_not_change_it() -> None:
    old, ours = board(task("a", prompt="One\nx"), task("b")), board(task("a", prompt="Two\nx"), task("b"), rev=2)
    theirs = board(task("a", prompt="Three\nx"), task("b", prompt="New"), rev=None)
    merged = merge([], theirs, ours, lambda: [old, ours])
    assert merged.text == board(task("a", prompt=conflict("Two", "Three") + "\nx"), task("b", prompt="New"), rev=2)
    assert merge([], theirs, merged.text, lambda: [old, ours, merged.text]).text == merged.text
    assert merge([], theirs, ours, [ours]).text == board(task("a", prompt="Three\nx"), task("b", prompt="New"), rev=2)


def test_without_a_base_a_key_of_the_history_is_no_edit() -> None:
    def keys(priority: int, rev: int | None) -> str:
        return board(task("a", keys=f"priority: {priority}\n"), rev=rev)

    assert merge([], keys(1, None), keys(2, 2), [keys(1, 1), keys(2, 2)]).text == keys(2, 2)
    assert merge([], keys(3, None), keys(2, 2), [keys(2, 1), keys(2, 2)]).text == keys(3, 2)
    merged = merge([], keys(3, None), keys(2, 2), [keys(1, 1), keys(2, 2)])
    assert merged.text == keys(3, 2)
    assert "priority: 2" in merged.decisions[0].text


def test_a_version_of_the_history_holds_no_edit() -> None:
    ours = mux_wrote(TWO, 2, a=(Status.DONE, 1))
    assert merge([TWO, ours], TWO, ours) == Merged(ours, (), ())
    bare = TWO.replace("mux:\n  rev: 1\n", "")
    assert merge([], bare, ours, lambda: [bare, TWO, ours]) == Merged(ours, (), ())


@pytest.mark.parametrize("opened", ["```sh", "<!-- later:"])
def test_what_a_person_is_typing_takes_no_task_away(opened: str) -> None:
    loaded = board(task("a"), task("b", "ready"), task("c"))
    ours = mux_wrote(loaded, 2, b=(Status.DONE, 1))
    theirs = loaded.replace("Do it.", f"Do it.\n{opened}", 1)
    merged = merge([loaded], theirs, ours)
    assert merged.text == ours.replace("Do it.", f"Do it.\n{opened}", 1)
    closing = merge([merged.text, theirs], ours.replace("Do it.", "Do it.\n", 1), merged.text)
    assert (status_of(closing, "b"), mux_of(closing, "b")) == ("done", {"attempt": "1"})


def test_the_base_is_the_version_with_the_fewest_differing_sections() -> None:
    first = board(task("a", prompt="One"), task("b", prompt="One"), task("c", prompt="One"))
    second = first.replace("Board", "Bord")
    ours = second.replace("rev: 1", "rev: 2")
    theirs = first.replace("One", "Two", 1)
    merged = merge([first, second], theirs, ours)
    assert merged.text == ours.replace("One", "Two", 1)
    third = second.replace("One", "Two", 1)
    assert merge([first, second], third, ours).text == ours.replace("One", "Two", 1)


def test_a_person_may_put_an_unknown_word_and_is_told_by_check() -> None:
    merged = merge([TWO], TWO.replace("status: draft", "status: redy", 1), TWO)
    assert merged.orders == ()
    assert parse(merged.text, ["shell"]).by_id["a"].written_status == "redy"


def test_one_person_who_types_on_is_not_in_conflict_and_two_people_lose_nothing() -> None:
    loaded = board(task("a", prompt="First."), task("b"))
    typing, more = loaded.replace("First.", "First.\nFix the lo"), loaded.replace("First.", "First.\nFix the login")
    ours = mux_wrote(typing, 2, b=(Status.DONE, 1))
    assert merge([loaded, typing], more, ours) == Merged(ours.replace("the lo", "the login"), (), ())
    other = loaded.replace("First.", "First.\nSend the letters out")
    merged = merge([loaded, other], more, other)
    assert merged.decisions[0].conflict
    assert "Send the letters out" in merged.text
    assert "Fix the login" in merged.text


def test_a_prompt_after_a_closing_fence_without_a_line_break() -> None:
    loaded = "---\nmux:\n  rev: 1\n---\n## a: Title\n```yaml\nstatus: draft\n```"
    ours = mux_wrote(loaded, 2, a=(Status.DONE, 1)) + "\nMore."
    merged = merge([loaded], loaded.replace("Title", "Better"), ours)
    assert merged.text == ours.replace("Title", "Better")


def test_an_order_in_a_save_that_broke_the_lines_of_mux_is_given_once() -> None:
    loaded = mux_wrote(TWO, 2, a=(Status.FAILED, 1))
    theirs = loaded.replace("status: failed", "status: ready").replace("attempt: 1", "attempt: [")
    first = merge([loaded], theirs, loaded)
    assert (first.text, first.orders) == (loaded.replace("status: failed", "status: ready"), ("a",))
    failed = mux_wrote(first.text, 3, a=(Status.FAILED, 2))
    again = merge([loaded, theirs], theirs.replace("# Board", "# Bord"), failed)
    assert (status_of(again, "a"), mux_of(again, "a"), again.orders) == ("failed", {"attempt": "2"}, ())


@pytest.mark.parametrize("key", ["front", "a"])
def test_comments_of_both_sides_stay(key: str) -> None:
    line = "repo: .\n" if key == "front" else "status: draft\n"
    merged = merge([TWO], TWO.replace(line, f"# theirs\n{line}", 1), TWO.replace(line, f"# ours\n{line}", 1) + "\n")
    assert "# theirs\n# ours\n" in merged.text


def test_without_a_base_a_heading_of_the_history_is_no_edit() -> None:
    def titled(title: str, rev: int | None) -> str:
        return board(task("a", title=title), rev=rev)

    assert merge([], titled("One", None), titled("Two", 2), [titled("One", 1), titled("Two", 2)]).text == titled(
        "Two", 2
    )
    merged = merge([], titled("Three", None), titled("Two", 2), [titled("One", 1), titled("Two", 2)])
    assert (merged.text, "Two" in merged.decisions[0].text) == (titled("Three", 2), True)
    assert merge([], titled("Three", None), titled("Two", 2), [titled("Two", 2)]) == Merged(titled("Three", 2), (), ())
