import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from overt.recognition import embedded_milvus
from overt.recognition.errors import GalleryError, GalleryUnavailable, WatchlistMissing, WrongFingerprint
from overt.recognition.gallery import Gallery, Hit, collection_name
from overt.recognition.protect import Rotation

A, B = "a" * 64, "b" * 64
KEY = Rotation.from_key(b"k" * 32, 32)


def unit_rows(count: int, seed: int = 0, dimension: int = 32) -> NDArray[np.float32]:
    rows_ND = np.random.default_rng(seed).normal(size=(count, dimension))
    units_ND: NDArray[np.float32] = (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(
        np.float32
    )
    return units_ND


def oracle(
    entry_ids: list[str], templates_ND: NDArray[np.float32], probe_D: NDArray[np.float32], threshold: float
) -> list[tuple[str, float]]:
    """Every entry by its best reference, without a database."""
    best: dict[str, float] = {}
    for entry_id, similarity in zip(entry_ids, templates_ND @ probe_D, strict=True):
        best[entry_id] = max(best.get(entry_id, -2.0), float(similarity))
    return sorted(((e, s) for e, s in best.items() if s >= threshold), key=lambda found: -found[1])


def agree(found: list[list[Hit]], expected: list[list[tuple[str, float]]]) -> bool:
    """Tell whether the hits are those expected, to rounding."""
    return all(
        [hit.entry_id for hit in hits] == [entry_id for entry_id, _ in wanted]
        and np.allclose([hit.similarity for hit in hits], [s for _, s in wanted], atol=1e-5)
        for hits, wanted in zip(found, expected, strict=True)
    )


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    opened = Gallery(str(tmp_path / "milvus"))
    yield opened
    opened.close()


def test_a_search_finds_what_numpy_finds_every_time(gallery: Gallery) -> None:
    templates_ND, probes_ND = unit_rows(700), unit_rows(40, seed=1)
    entry_ids = [f"e{number // 3}" for number in range(700)]
    gallery.create("w", A, 32)
    for start in range(0, 700, 100):
        part = slice(start, start + 100)
        gallery.add("w", A, entry_ids=entry_ids[part], templates_ND=templates_ND[part], rotation=KEY)

    for threshold, limit in ((0.3, 5), (0.6, 5), (-1.0, 3)):
        found = gallery.search("w", A, probes_ND, rotation=KEY, threshold=threshold, limit=limit)
        expected = [oracle(entry_ids, templates_ND, probe, threshold)[:limit] for probe in probes_ND]
        assert agree(found, expected)
    assert any(oracle(entry_ids, templates_ND, probe, 0.3) for probe in probes_ND)


def test_an_entry_with_many_pictures_hides_no_other_entry(gallery: Gallery) -> None:
    random = np.random.default_rng(3)
    near_ND = unit_rows(1) + random.normal(0, 0.02, (300, 32))
    near_ND = (near_ND / np.linalg.norm(near_ND, axis=1, keepdims=True)).astype(np.float32)
    other_ND = unit_rows(1) + random.normal(0, 0.09, (2, 32))
    other_ND = (other_ND / np.linalg.norm(other_ND, axis=1, keepdims=True)).astype(np.float32)
    entry_ids = ["many"] * 300 + ["other", "third"]
    templates_ND = np.concatenate([near_ND, other_ND])
    gallery.create("w", A, 32)
    gallery.add("w", A, entry_ids=entry_ids, templates_ND=templates_ND, rotation=KEY)

    found = gallery.search("w", A, unit_rows(1), rotation=KEY, threshold=0.5, limit=5)

    assert agree(found, [oracle(entry_ids, templates_ND, unit_rows(1)[0], 0.5)])
    assert len(found[0]) == 3


def test_a_reference_added_twice_is_one_also_within_one_call_and_after_a_restart(tmp_path: Path) -> None:
    rows_ND = unit_rows(2)
    twice = {"entry_ids": ["e", "e", "e"], "templates_ND": np.concatenate([rows_ND, rows_ND[:1]])}
    for _ in range(2):
        gallery = Gallery(f"file://{tmp_path}/milvus")
        gallery.create("w", A, 32)
        gallery.add("w", A, rotation=KEY, **twice)  # type: ignore[arg-type]
        gallery.add("w", A, rotation=KEY, **twice)  # type: ignore[arg-type]
        assert gallery.count("w", A) == 2
        gallery.close()


def test_a_list_survives_a_restart(tmp_path: Path) -> None:
    first = Gallery(str(tmp_path / "milvus"))
    first.create("w", A, 32)
    first.add("w", A, entry_ids=["e"], templates_ND=unit_rows(1), rotation=KEY)
    first.close()

    again = Gallery(str(tmp_path / "milvus"))

    assert again.exists("w", A)
    (hits,) = again.search("w", A, unit_rows(1), rotation=KEY, threshold=0.9)
    assert [hit.entry_id for hit in hits] == ["e"]
    assert abs(hits[0].similarity - 1.0) < 1e-6
    again.close()


def test_two_galleries_of_one_process_share_a_folder_until_the_last_is_closed(tmp_path: Path) -> None:
    writer, reader = Gallery(str(tmp_path / "milvus")), Gallery(str(tmp_path / "milvus"))
    writer.create("w", A, 32)
    writer.add("w", A, entry_ids=["e"], templates_ND=unit_rows(1), rotation=KEY)
    writer.close()

    assert len(reader.search("w", A, unit_rows(1), rotation=KEY, threshold=0.9)[0]) == 1
    reader.close()


def test_what_one_gallery_adds_or_drops_another_sees_at_once(tmp_path: Path) -> None:
    writer, reader = Gallery(str(tmp_path / "milvus")), Gallery(str(tmp_path / "milvus"))
    writer.create("w", A, 32)

    for number, row in enumerate(unit_rows(5)):
        writer.add("w", A, entry_ids=[f"e{number}"], templates_ND=row[None], rotation=KEY)
        (hits,) = reader.search("w", A, row[None], rotation=KEY, threshold=0.9)
        assert [hit.entry_id for hit in hits] == [f"e{number}"]
    writer.drop("w", A)
    with pytest.raises(WatchlistMissing):
        reader.search("w", A, unit_rows(1), rotation=KEY, threshold=0.9)
    writer.create("w", A, 32)
    assert reader.search("w", A, unit_rows(1), rotation=KEY, threshold=0.9) == [[]]
    writer.close()
    reader.close()


def test_templates_of_another_pack_are_an_error_that_names_both_and_never_a_score(gallery: Gallery) -> None:
    gallery.create("w", A, 32)
    gallery.add("w", A, entry_ids=["e"], templates_ND=unit_rows(1), rotation=KEY)

    with pytest.raises(WrongFingerprint, match=f"{B}.*{A}"):
        gallery.search("w", B, unit_rows(1), rotation=KEY, threshold=-1.0)
    with pytest.raises(WrongFingerprint, match=f"{B}.*{A}"):
        gallery.add("w", B, entry_ids=["f"], templates_ND=unit_rows(1), rotation=KEY)
    assert gallery.count("w", A) == 1


def test_a_fingerprint_that_only_begins_alike_is_another(gallery: Gallery) -> None:
    gallery.create("w", A, 32)

    with pytest.raises(WrongFingerprint):
        gallery.search("w", "a" * 63 + "b", unit_rows(1), rotation=KEY, threshold=0.5)


@pytest.mark.parametrize(
    "wrong",
    [unit_rows(1, dimension=16), unit_rows(1) * 2, np.full((1, 32), np.nan, np.float32), unit_rows(1)[0]],
)
def test_what_is_no_unit_row_of_the_right_size_is_refused(
    gallery: Gallery, wrong: NDArray[np.float32]
) -> None:
    gallery.create("w", A, 32)

    with pytest.raises(GalleryError):
        gallery.add("w", A, entry_ids=["e"], templates_ND=wrong, rotation=KEY)
    with pytest.raises(GalleryError):
        gallery.search("w", A, wrong, rotation=KEY, threshold=0.5)
    assert gallery.count("w", A) == 0


def test_an_unknown_list_is_missing_and_dropping_it_is_no_error(gallery: Gallery) -> None:
    assert not gallery.exists("w", A)
    gallery.drop("w", A)
    for use in (
        lambda: gallery.search("w", A, unit_rows(1), rotation=KEY, threshold=0.5),
        lambda: gallery.count("w", A),
    ):
        with pytest.raises(WatchlistMissing):
            use()


def test_lists_do_not_touch_each_other_whatever_their_ids(gallery: Gallery) -> None:
    for number, watchlist_id in enumerate(("w-1", "w_1", "w.1", "w-1.x")):
        gallery.create(watchlist_id, A, 32)
        rows_ND = unit_rows(1, seed=number)
        gallery.add(watchlist_id, A, entry_ids=[watchlist_id], templates_ND=rows_ND, rotation=KEY)
    gallery.drop("w_1", A)

    assert [gallery.count(one, A) for one in ("w-1", "w.1", "w-1.x")] == [1, 1, 1]
    assert not gallery.exists("w_1", A)
    (hits,) = gallery.search("w-1", A, unit_rows(1, seed=1), rotation=KEY, threshold=0.9)
    assert hits == []


def test_names_of_collections_are_those_that_milvus_allows_and_differ() -> None:
    names = {collection_name(one, A) for one in ("a-b", "a_b", "a.b", "a--b", "A-b", "x" * 64, "-" * 64)}

    assert len(names) == 7
    assert all(name.replace("_", "a").isalnum() and len(name) <= 255 for name in names)


def files_with(folder: Path, needles: list[bytes]) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def test_dropping_a_list_leaves_none_of_its_vectors_and_entries_on_disk(tmp_path: Path) -> None:
    """Also of what was written in parts, overwritten, and never flushed by hand."""
    gallery = Gallery(str(tmp_path / "milvus"))
    rows_ND = unit_rows(90)
    stored_ND = np.concatenate([KEY.apply(rows_ND), rows_ND])
    needles = [row.tobytes()[:16] for row in stored_ND] + [b"entry-known"]
    gallery.create("w", A, 32)
    for start in range(0, 90, 30):
        ids = [f"entry-known-{number}" for number in range(start, start + 30)]
        for _ in range(2):
            gallery.add("w", A, entry_ids=ids, templates_ND=rows_ND[start : start + 30], rotation=KEY)
    gallery.search("w", A, rows_ND[:3], rotation=KEY, threshold=0.5)
    before = files_with(tmp_path, needles)

    gallery.drop("w", A)
    after = files_with(tmp_path, needles)
    gallery.close()

    assert before  # the test knows how to find them
    assert after == []
    assert files_with(tmp_path, needles) == []


@pytest.mark.parametrize("restarted", [True, False])
def test_a_drop_that_a_crash_cut_off_is_finished_by_the_next_drop_and_by_a_restart(
    tmp_path: Path, restarted: bool
) -> None:
    gallery = Gallery(str(tmp_path / "milvus"))
    gallery.create("w", A, 32)
    gallery.add("w", A, entry_ids=["entry-known"], templates_ND=unit_rows(1), rotation=KEY)
    schema = tmp_path / "milvus" / "collections" / collection_name("w", A) / "schema.json"
    schema.unlink()  # as far as the crash let it come
    assert files_with(tmp_path, [b"entry-known"])

    if restarted:
        gallery.close()
        gallery = Gallery(str(tmp_path / "milvus"))
    else:
        gallery.drop("w", A)

    assert files_with(tmp_path, [b"entry-known"]) == []
    gallery.close()


def test_plain_templates_never_reach_the_disk(tmp_path: Path) -> None:
    gallery = Gallery(str(tmp_path / "milvus"))
    rows_ND = unit_rows(50)
    gallery.create("w", A, 32)
    gallery.add("w", A, entry_ids=["e"] * 50, templates_ND=rows_ND, rotation=KEY)
    gallery.close()

    assert files_with(tmp_path, [row.tobytes()[:12] for row in rows_ND]) == []


def test_a_second_process_on_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    gallery = Gallery(str(tmp_path / "milvus"))
    code = (
        "import sys\nfrom overt.recognition.gallery import Gallery\n"
        "from overt.recognition.errors import GalleryUnavailable\n"
        "try:\n    Gallery(sys.argv[1])\nexcept GalleryUnavailable as error:\n    print(error)\n"
    )

    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "milvus")], capture_output=True, text=True, check=True
    )

    gallery.close()
    assert other.stdout == f"another process has the gallery in {tmp_path / 'milvus'} open\n"
    assert other.stderr == ""


def test_a_server_that_does_not_answer_is_unavailable_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overt.recognition.gallery.TIMEOUT_S", 0.3)

    with pytest.raises(GalleryUnavailable, match="the gallery does not answer"):
        Gallery("http://127.0.0.1:9")

    assert capfd.readouterr() == ("", "")


def test_errors_of_milvus_are_raised_and_not_printed(
    gallery: Gallery, capfd: pytest.CaptureFixture[str]
) -> None:
    gallery.create("w", A, 32)
    gallery.count("w", A)
    gallery._client.drop_collection(collection_name("w", A))

    with pytest.raises(WatchlistMissing):
        gallery.search("w", A, unit_rows(1), rotation=KEY, threshold=0.5)

    assert capfd.readouterr() == ("", "")


def test_the_server_of_a_folder_cannot_be_reached_by_other_users(tmp_path: Path) -> None:
    address = embedded_milvus.open_folder(tmp_path)

    scheme, _, socket = address.partition(":")
    assert scheme == "unix"
    assert stat.S_ISSOCK(Path(socket).stat().st_mode)
    assert Path(socket).parent.stat().st_mode & 0o077 == 0
    embedded_milvus.close_folder(tmp_path)
    assert not Path(socket).parent.exists()


def test_searches_from_many_threads_while_the_list_grows_are_all_right(gallery: Gallery) -> None:
    rows_ND = unit_rows(400)
    gallery.create("w", A, 32)
    gallery.add("w", A, entry_ids=["first"], templates_ND=rows_ND[:1], rotation=KEY)
    wrong: list[object] = []

    def look() -> None:
        for _ in range(15):
            (hits,) = gallery.search("w", A, rows_ND[:1], rotation=KEY, threshold=0.99)
            if [hit.entry_id for hit in hits] != ["first"]:
                wrong.append(hits)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(1, 400, 57):
        part_ND = rows_ND[start : start + 57]
        ids = [f"e{start}-{number}" for number in range(len(part_ND))]
        gallery.add("w", A, entry_ids=ids, templates_ND=part_ND, rotation=KEY)
    for thread in threads:
        thread.join()

    assert wrong == []
    assert gallery.count("w", A) == 400
