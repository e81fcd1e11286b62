"""The process of its own: what is missing is said in one line before anything begins."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from overt.detect.__main__ import runners
from overt.detect.settings import DetectOptions, DetectSettings
from overt.runtime.process import CannotBegin

from .conftest import World


def settings(models_dir: Path, pack: str = "cpu", zones: Path | None = None) -> DetectSettings:
    return DetectSettings(
        kafka_bootstrap="127.0.0.1:9092",
        control_url="http://127.0.0.1:8000",
        service_token=SecretStr("x" * 16),
        order_public_key=base64.b64encode(bytes(32)).decode(),
        models_dir=models_dir,
        pack=pack,
        detect_zones=zones,
    )


def test_without_models_it_says_how_to_fetch_them(world: World, tmp_path: Path) -> None:
    with pytest.raises(CannotBegin, match="overt models fetch"):
        runners(world.context, settings(tmp_path))


def test_an_unknown_pack_is_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(CannotBegin, match="no model pack 'gpu'"):
        runners(world.context, settings(tmp_path, pack="gpu"))


def test_its_own_settings_have_the_defaults_of_the_options(tmp_path: Path) -> None:
    assert settings(tmp_path).options() == DetectOptions()


def test_zones_that_make_no_sense_are_said_before_anything_begins(world: World, tmp_path: Path) -> None:
    zones = tmp_path / "zones.toml"
    zones.write_text("[cameras.north]\nevry_nth = 2\n")
    with pytest.raises(CannotBegin, match=r"cameras\.north\.evry_nth: is not known here"):
        runners(world.context, settings(tmp_path, zones=zones))
    with pytest.raises(CannotBegin, match="can't be read"):
        runners(world.context, settings(tmp_path, zones=tmp_path / "none.toml"))


def test_zones_are_part_of_the_options(tmp_path: Path) -> None:
    zones = tmp_path / "zones.toml"
    zones.write_text("[cameras.north]\nevery_nth = 2\n")
    assert settings(tmp_path, zones=zones).options().zones.of("north").every_nth == 2
