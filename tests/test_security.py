"""What SECURITY.md answers to attackers is tested; here is what belongs to no one part."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE, JobError, StorageError, printable
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.records.layout import lock_name
from magenet_batch.storage import write_atomic

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\u202egnp\nmagenet: done\r.png"
WILD = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u202e]")


def names_in_file(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_answer_of_the_threat_model_is_a_test():
    named = NAMED.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if name not in names_in_file(ROOT / file)]
    assert missing == []


def rows(out: Path) -> list[dict]:
    return [row for f in sorted((out / "rows").iterdir()) for row in pq.read_table(f).to_pylist()]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coded, data = cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))
    assert coded
    path.write_bytes(data.tobytes())
    return path


# --- names ---------------------------------------------------------------------------------------


def test_names_cannot_drive_a_terminal_or_forge_lines(tmp_path, capsys):
    archive = tmp_path / "in"
    for name in (HOSTILE, f"{HOSTILE}x.png"):
        picture(archive / name)
    given = ["enhance", str(archive), "-o", str(tmp_path / "out"), "--workers", "0", "--gpus", "0"]
    assert main([*given, "--dry-run"]) == EXIT_DONE
    said = capsys.readouterr()
    picture(archive / HOSTILE.upper())
    assert main([*given, "--dry-run"]) == EXIT_USAGE
    refused = capsys.readouterr()
    for text in (said.out, said.err, refused.out, refused.err):
        assert not WILD.search(text) and "\nmagenet: done" not in text
    assert "\\x1b[2J" in said.out and "\\u202e" in refused.err


def test_the_log_names_no_image(tmp_path, capsys):
    archive = tmp_path / "in"
    picture(archive / HOSTILE)
    (archive / "DOE_JANE_1950.png").write_bytes(b"no image")
    out = tmp_path / "out"
    main(["assess", str(archive), "-o", str(out), "--workers", "0"])
    assert not WILD.search(capsys.readouterr().err)
    text = (out / "log.jsonl").read_text(encoding="utf-8")
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    assert "DOE" not in text and "gnp" not in text and not WILD.search(text)


def test_printable_text_is_left_alone():
    assert printable("Ünï 1.png") == "Ünï 1.png"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert printable("a\nb\udc80") == "a\\nb\\udc80"


# --- files that are no files ---------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("given", ["", "list.csv"])
def test_pipes_and_devices_are_failed_rows_and_hang_nothing(tmp_path, capsys, given):
    archive = tmp_path / "in"
    picture(archive / "a.png")
    os.mkfifo(archive / "pipe.png")
    (archive / "zero.png").symlink_to("/dev/zero")
    (archive / "list.csv").write_text("path\na.png\npipe.png\nzero.png\n")
    out = tmp_path / "out"
    main(["assess", str(archive / given), "-o", str(out), "--workers", "0", "--json"])
    assert json.loads(capsys.readouterr().out)["images"] == 3
    why = {row["image_id"]: row["reason"] for row in rows(out)}
    assert why == {"a.png": "no_fov", "pipe.png": "unreadable", "zero.png": "unreadable"}


# --- neighbours on the machine -------------------------------------------------------------------


@pytest.mark.parametrize("name", [lock_name(None), "log.jsonl"])
def test_links_planted_in_the_output_folder_are_not_followed(tmp_path, name):
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("mine")
    out.mkdir()
    (out / name).symlink_to(precious)
    with pytest.raises((StorageError, JobError)):
        if name == "log.jsonl":
            Log(out / name).write("begin")
        else:
            with job_lock(out):
                pass
    write_atomic(out / name, b"replaces the link")
    assert precious.read_text() == "mine"


def test_temporary_files_are_as_private_as_their_files(tmp_path, monkeypatch):
    seen = []

    def look(handle):
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):  # folders are flushed too
            seen.append(stat.S_IMODE(mode))

    monkeypatch.setattr(os, "fsync", look)
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "private", b"1")
        with job_lock(tmp_path):
            seen.append(stat.S_IMODE((tmp_path / lock_name(None)).stat().st_mode))
    finally:
        os.umask(before)
    assert seen[:1] + seen[-1:] == [0o600, 0o600] and set(seen) == {0o600}


def test_drafts_for_stores_are_in_a_folder_of_their_own(monkeypatch):
    from magenet_batch.storage import StorePath, draft_of

    monkeypatch.setattr(StorePath, "write_bytes", lambda self, data: None)
    with draft_of(StorePath("s3://nowhere/report.html")) as draft:
        draft.write_bytes(b"1")
        assert stat.S_IMODE(draft.parent.stat().st_mode) == 0o700
    assert not draft.parent.exists()


def test_metrics_are_served_to_this_machine_only():
    import psutil

    from magenet_batch.jobs.watch.metrics import Metrics, served

    with served(Metrics(), port=0) as port:
        listening = {
            c.laddr.ip
            for c in psutil.Process().net_connections(kind="inet")
            if c.status == psutil.CONN_LISTEN and c.laddr.port == port
        }
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()
        assert listening == {"127.0.0.1"} and b"magenet_looks_total" in text
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/../../etc/passwd")


CLUSTER = """
    import os, subprocess, sys
    from magenet_batch.jobs.engine import ray_start
    ray_start.connect(1, gpus=0, address=None, threads=1)
    import ray
    stranger = '''
    import ray, sys
    ray.init(address=sys.argv[1], logging_level="CRITICAL", log_to_driver=False)
    print("inside")
    '''
    address = ray.get_runtime_context().gcs_address
    assert address.startswith("127.0.0.2:"), address
    for home, mode in ((sys.argv[1], "disabled"), (sys.argv[1], "token")):
        there = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_TOKEN"}
        there.update(HOME=home, RAY_AUTH_MODE=mode)
        done = subprocess.run(
            [sys.executable, "-c", __import__("textwrap").dedent(stranger), address],
            env=there, capture_output=True, text=True,
        )
        print(mode, done.returncode != 0 and "inside" not in done.stdout)
    token = os.path.expanduser("~/.ray/auth_token")
    print("private", not os.path.exists(token) or not os.stat(token).st_mode & 0o022)
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_on_this_machine_lets_no_stranger_in(tmp_path):
    """Ray listens on every interface, whatever address it is given: its token keeps others out."""
    home, theirs = tmp_path / "home", tmp_path / "theirs"
    home.mkdir()
    theirs.mkdir()
    there = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CLUSTER), str(theirs)],
        env=there | {"HOME": str(home)}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["disabled True", "token True", "private True"]
