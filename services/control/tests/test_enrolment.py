"""Enrolment: every picture is enrolled once or refused with a reason, and a crash loses nothing."""

import os
from pathlib import Path
from typing import Any

import pytest

from overt.control.errors import AllRefused, ListErased, ListFull, ListInUse, NoPictures, WrongPack
from overt.control.policy import OrderDraft


def test_each_picture_is_enrolled_or_refused_with_a_reason(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada", bo="face bo", cup="refuse no face", two="refuse several faces")
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert report.accepted == ("ada", "bo")
    assert report.refused == (("cup.jpg", "no face"), ("two.jpg", "several faces"))
    assert "2 pictures enrolled (2 entries), 2 refused" in report.summary
    assert "refused cup.jpg: no face" in report.summary
    assert len(bench.gallery.collections["w1", "a" * 64]) == 2


def test_a_folder_is_one_entry_with_several_pictures(bench: Any) -> None:
    control = bench.start()
    folder = bench.write()
    (folder / "Ada").mkdir()
    (folder / "Ada" / "front.jpg").write_text("face ada front")
    (folder / "Ada" / "side.jpg").write_text("face ada side")
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert report.accepted == ("Ada", "Ada")
    assert "2 pictures enrolled (1 entries)" in report.summary


def test_progress_counts_every_picture(bench: Any) -> None:
    control, told = bench.start(), []
    folder = bench.write(ada="face ada", bo="refuse no face")
    control.enrol_folder(folder, "w1", category="blue_list", progress=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2)]


def test_the_same_picture_again_changes_nothing(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada")
    control.enrol_folder(folder, "w1", category="blue_list")
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert (report.accepted, report.unchanged) == ((), ("ada",))
    assert len(bench.gallery.collections["w1", "a" * 64]) == 1


def test_the_same_picture_is_not_enrolled_under_two_names(bench: Any) -> None:
    control = bench.start()
    report = control.enrol_folder(bench.write(ada="face x", bo="face x"), "w1", category="blue_list")
    assert report.accepted == ("ada",)
    assert report.refused == (("bo.jpg", "the same picture is enrolled as entry ada"),)


def test_names_that_differ_in_unsafe_characters_are_two_entries(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(**{"a b": "face 1", "a?b": "face 2", "a-b": "face 3"})
    assert len(set(control.enrol_folder(folder, "w1", category="blue_list").accepted)) == 3


def test_a_name_made_to_take_the_id_of_another_entry_is_refused(bench: Any) -> None:
    control = bench.start()
    (taken,) = control.enrol_folder(bench.write(**{"a b": "face 1"}), "w1", category="blue_list").accepted
    report = control.enrol_folder(bench.write(**{taken: "face 2"}), "w1", category="blue_list")
    assert [reason for _, reason in report.refused] == [f"its name makes the id of another entry, {taken}"]


def test_an_entry_that_left_the_folder_is_reported_because_it_is_still_looked_for(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada", bo="face bo")
    control.enrol_folder(folder, "w1", category="blue_list")
    (folder / "ada.jpg").unlink()
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert report.absent == ("ada",)
    assert "still on the list but not in the folder: ada" in report.summary


def test_a_folder_without_pictures_is_an_error(bench: Any) -> None:
    control = bench.start()
    with pytest.raises(NoPictures):
        control.enrol_folder(bench.write(), "w1", category="blue_list")


def test_when_every_picture_is_refused_the_error_says_why(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(cup="refuse no face", two="refuse several faces")
    with pytest.raises(AllRefused, match=r"cup\.jpg: no face; two\.jpg: several faces"):
        control.enrol_folder(folder, "w1", category="blue_list")


def test_what_is_no_regular_file_is_refused_and_not_waited_for(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert report.accepted == ("ada",)
    assert report.refused == (("gone.jpg", "not a file"), ("pipe.jpg", "not a file"))


def test_a_list_made_by_another_pack_is_refused_and_both_packs_are_named(bench: Any) -> None:
    folder = bench.write(ada="face ada")
    bench.start().enrol_folder(folder, "w1", category="blue_list")
    bench.fingerprint = "b" * 64
    with pytest.raises(WrongPack) as refused:
        bench.start().enrol_folder(folder, "w1", category="blue_list")
    assert "a" * 64 in str(refused.value)
    assert "b" * 64 in str(refused.value)


def test_a_list_does_not_grow_under_a_running_order(bench: Any, draft: OrderDraft) -> None:
    control = bench.start()
    control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    control.issue_order(draft)
    with pytest.raises(ListInUse, match="in use by deployment d1"):
        control.enrol_folder(bench.write(bo="face bo"), "w1", category="blue_list")
    assert len(bench.gallery.collections["w1", "a" * 64]) == 1


def test_the_id_of_an_erased_list_is_not_used_again(bench: Any) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada")
    control.enrol_folder(folder, "w1", category="blue_list")
    control.erase_watchlist("w1")
    with pytest.raises(ListErased):
        control.enrol_folder(folder, "w1", category="blue_list")


def test_a_folder_larger_than_the_cap_is_refused_before_any_work(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.control.enrolment.MAX_WATCHLIST_ENTRIES", 2)
    control, told = bench.start(), []
    folder = bench.write(ada="face ada", bo="face bo", cy="face cy")
    with pytest.raises(ListFull, match="3 entries, the cap is 2"):
        control.enrol_folder(folder, "w1", category="blue_list", progress=lambda *at: told.append(at))
    assert told == []


@pytest.mark.parametrize("confirmed_first", [False, True])
def test_a_crash_after_the_templates_were_written_is_mended_by_importing_again(
    bench: Any, confirmed_first: bool
) -> None:
    control = bench.start()
    if confirmed_first:
        control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    folder = bench.write(ada="face ada", bo="face bo")
    bench.gallery.crash_after_add = True
    with pytest.raises(BaseException) as crashed:
        control.enrol_folder(folder, "w1", category="blue_list")
    assert type(crashed.value).__name__ == "Crash"
    bench.gallery.crash_after_add = False
    control = bench.start()
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert set(report.accepted + report.unchanged) == {"ada", "bo"}
    assert control.entry_card("w1", "bo").label == "bo"
    again = control.enrol_folder(folder, "w1", category="blue_list")
    assert (again.accepted, set(again.unchanged)) == ((), {"ada", "bo"})
    assert len(bench.gallery.collections["w1", "a" * 64]) == 2


def test_a_half_enrolled_entry_is_not_shown_and_not_counted(bench: Any, draft: OrderDraft) -> None:
    control = bench.start()
    bench.gallery.crash_after_add = True
    with pytest.raises(BaseException):  # noqa: B017 - the process dies
        control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    bench.gallery.crash_after_add = False
    control = bench.start()
    with pytest.raises(Exception, match="has no entry ada"):
        control.entry_card("w1", "ada")
    with pytest.raises(Exception, match="watchlist w1 is empty"):
        control.issue_order(draft)


def test_an_entry_shows_its_label_category_and_best_picture(bench: Any) -> None:
    control = bench.start()
    folder = bench.write()
    (folder / "Ada Novak").mkdir()
    (folder / "Ada Novak" / "1.jpg").write_text("face a")
    (folder / "Ada Novak" / "2.jpg").write_text("face a much better one")
    report = control.enrol_folder(folder, "w1", category="missing_increased_risk")
    card = control.entry_card("w1", report.accepted[0])
    assert (card.label, card.category) == ("Ada Novak", "missing_increased_risk")
    assert b"much better" in card.picture_jpeg


def test_no_portrait_stands_in_the_clear_on_disk(bench: Any) -> None:
    control = bench.start()
    control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    card = control.entry_card("w1", "ada")
    assert b"portrait of" in card.picture_jpeg
    assert b"portrait of" not in bench.bytes_on_disk()


def test_one_picture_can_be_enrolled_alone(bench: Any) -> None:
    control = bench.start()
    report = control.enrol_picture(b"face ada", "w1", label="Ada Novak", category="wanted_by_court")
    assert control.entry_card("w1", report.accepted[0]).label == "Ada Novak"


def test_a_picture_over_the_byte_limit_is_refused_and_not_read_whole(bench: Any, tmp_path: Path) -> None:
    control = bench.start()
    folder = bench.write(ada="face ada")
    with (folder / "vast.jpg").open("wb") as file:
        file.truncate(200_000_000)
    report = control.enrol_folder(folder, "w1", category="blue_list")
    assert report.refused == (("vast.jpg", "too large: more than 30 MB"),)
