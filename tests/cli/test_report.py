import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magenet_batch.records.schema import row_schema


@pytest.fixture(name="job")
def job_folder(tmp_path):
    rows = [
        {
            "image_id": "a.jpg",
            "status": "enhanced",
            "sharpness_before": 0.2,
            "sharpness_after": 0.4,
        },
        {"image_id": "b.jpg", "status": "failed", "reason": "corrupt", "message": "ends early"},
    ]
    (tmp_path / "out" / "rows").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=row_schema())
    pq.write_table(table, tmp_path / "out" / "rows" / "part-000000.parquet")
    return tmp_path / "out"


def _magenet(*arguments):
    code = (
        "import sys\n"
        "from magenet_batch.cli.main import main\n"
        "try:\n"
        "    sys.exit(main())\n"
        "finally:\n"
        "    heavy = {'torch', 'ray'} & set(sys.modules)\n"
        "    print('heavy:', sorted(heavy), file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_html_is_written_into_the_job_and_its_path_printed(job):
    done = _magenet("report", job)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(job / "report.html")
    page = (job / "report.html").read_text(encoding="utf-8")
    assert "1 of 2 delivered enhanced; 1 failed." in page
    assert "heavy: []" in done.stderr


@pytest.mark.parametrize(("format", "begins"), [("json", "{"), ("csv", "image_id,"), ("md", "# ")])
def test_texts_go_to_standard_output(job, format, begins):
    done = _magenet("report", job, "--format", format)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(begins)
    assert "heavy: []" in done.stderr
    assert not list(job.glob("report.*"))


def test_a_target_can_be_chosen(job, tmp_path):
    done = _magenet("report", job, "--format", "md", "-o", tmp_path / "r.md")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# ")


def test_a_folder_that_is_no_job_is_a_usage_error(tmp_path):
    done = _magenet("report", tmp_path)
    assert done.returncode == 2
    assert "magenet enhance" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_format_is_a_usage_error(job):
    done = _magenet("report", job, "--format", "htm")
    assert done.returncode == 2
    assert "html" in done.stderr
    assert "Traceback" not in done.stderr


def test_individual_pages_are_written_beside_the_report(job):
    rows = [{"image_id": "f.jpg", "status": "enhanced", "flags": ["new_vessels"]}]
    table = pa.Table.from_pylist(rows, schema=row_schema())
    pq.write_table(table, job / "rows" / "part-000001.parquet")
    done = _magenet("report", job, "--individual", "--most", "5")
    assert done.returncode == 0, done.stderr
    (page,) = (job / "report").iterdir()
    assert "f.jpg" in page.read_text(encoding="utf-8")
    assert f"report/{page.name}" in (job / "report.html").read_text(encoding="utf-8")
    assert "heavy: []" in done.stderr


def test_individual_pages_of_a_text_are_a_usage_error(job):
    done = _magenet("report", job, "--individual", "--format", "csv")
    assert done.returncode == 2
    assert "--individual" in done.stderr


def test_open_opens_the_report(job, monkeypatch):
    from typer.testing import CliRunner

    from magenet_batch.cli import report
    from magenet_batch.cli.main import app

    opened = []
    monkeypatch.setattr(report.typer, "launch", opened.append)
    done = CliRunner().invoke(app, ["report", str(job), "--open"])
    assert done.exit_code == 0, done.output
    assert opened == [str(job / "report.html")]
