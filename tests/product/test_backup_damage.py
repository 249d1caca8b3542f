"""A backup that is damaged, or leads elsewhere, is known as such; files that lie outside of the folder come back where they belong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backups import backed_up, restored
from fleets import Fleet
from gateways import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.servers]


def test_files_outside_of_the_configurations_folder_stay_inside_of_the_backups(site: Fleet, tmp_path: Path) -> None:
    """A path with `..` names one as well, and a trial puts it where the trial belongs."""
    (tmp_path / "secrets").mkdir()
    (site.folder / "token").rename(tmp_path / "secrets" / "token")
    site.config.write_text(site.config.read_text().replace('token_file = "token"', 'token_file = "../secrets/token"'))
    site.begin()
    backed_up(site, tmp_path / "backups" / "one")
    site.stop()
    tried = site.run("backup", "verify", str(tmp_path / "backups" / "one"), "--restore")
    assert tried.returncode == 0, tried.stderr
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["one"]

    restored(site, tmp_path / "backups" / "one", "--into", str(tmp_path / "there"))
    (token,) = (tmp_path / "there").rglob("token")
    assert token == tmp_path / "there" / str(tmp_path / "secrets" / "token").lstrip("/")


def test_a_manifest_that_leads_elsewhere_is_damaged(site: Fleet, tmp_path: Path) -> None:
    """A trial that root makes every night must not write where somebody else says."""
    site.begin()
    backed_up(site, tmp_path / "backup")
    site.stop()
    manifest = tmp_path / "backup" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["files"][0]["relative"] = "../elsewhere.db"
    manifest.write_text(json.dumps(document))
    refused = site.run("backup", "verify", "--restore", str(tmp_path / "backup"))
    assert refused.returncode == 1
    assert "outside of its folder" in refused.stderr


def test_damage_is_found(site: Fleet, tmp_path: Path) -> None:
    """A changed byte, a file that is missing or too much, and a manifest of a later program: each is named, and nothing is restored."""
    site.begin()
    backed_up(site, tmp_path / "backup")
    site.stop()

    def damaged(change: Callable[[Path], None], word: str) -> None:
        folder = tmp_path / "damaged"
        shutil.copytree(tmp_path / "backup", folder)
        change(folder)
        for words in (["backup", "verify"], ["restore", "--into", str(tmp_path / "there")]):
            done = site.run(*words, str(folder))
            assert done.returncode == 1
            assert word in done.stderr
        assert not (tmp_path / "there").exists()
        shutil.rmtree(folder)

    def flip(folder: Path) -> None:
        path = folder / "data" / "history.db"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def later(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(path.read_text().replace('"format": 1', '"format": 2'))

    damaged(flip, "data/history.db: it is not what was written")
    damaged(lambda folder: (folder / "data" / "registry.db").unlink(), "data/registry.db: No such file")
    damaged(lambda folder: (folder / "more").touch(), "more: the manifest does not know this file")
    damaged(later, "format 2")
    damaged(lambda folder: (folder / "manifest.json").write_text("{"), "is damaged")


def test_where_one_file_cannot_be_moved_aside_none_is(gateway: Gateway, tmp_path: Path) -> None:
    """The journal stays where it was: a container's configuration is mounted, and here it is a name that cannot be longer."""
    secret = gateway.folder / ("t" * 240)
    secret.write_text("first")
    gateway.configure(f'[simulate]\n[history]\n[webhook]\nurl = "http://127.0.0.1:9/"\ntoken_file = "{secret}"')
    gateway.start("run")
    gateway.until(lambda status: status["intake"]["accepted"] > 0, "a frame")
    gateway.stop()
    assert gateway.run("backup", str(tmp_path / "backup")).returncode == 0
    secret.write_text("second")
    before = {path: path.read_bytes() for path in gateway.folder.iterdir() if not path.name.endswith(".lock")}

    refused = gateway.run("restore", str(tmp_path / "backup"), "--replace")

    assert refused.returncode == 1
    assert f"{secret} cannot be moved aside: File name too long; nothing was changed." in refused.stderr
    assert {path: path.read_bytes() for path in gateway.folder.iterdir() if not path.name.endswith(".lock")} == before
