"""An archive of every format through the command line: in and out unharmed."""

import hashlib
import io
import os

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
import tifffile
from dicom_files import JPEG, dicom, header, saved
from PIL import Image
from safetensors.numpy import save_file

from magenet_batch.cli.main import main
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs import run
from magenet_batch.report.page.pictures import thumbnail

_Y, _X = np.mgrid[:96, :96]
_INSIDE = ((_X - 48) ** 2 + (_Y - 48) ** 2 < 44**2)[..., None]
DISC = np.where(_INSIDE, np.stack([180 + _X // 4, 90 + _Y // 4, 40 + _X // 8], 2), 0)
DISC = DISC.astype(np.uint8)
DEEP = DISC.astype(np.uint16) * 257 + 1


class Unchanged:
    """A network that gives back what it got: what comes out shows what the formats did."""

    weights_name, weights_hash = "fake", "00"

    def enhance(self, pixels, fov, *, cancelled):
        nothing = dict.fromkeys(("vessels_before", "vessels_after", "estimates"))
        return type("E", (), {"pixels": pixels, **nothing})


def pillow(kind, pixels=DISC, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def tiff(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, photometric="rgb", **options)
    return out.getvalue()


FILES = {
    "a.jpg": pillow("JPEG", quality=95, icc_profile=b"profile" * 2 + b"--RGB " + b"profile" * 9),
    "deep.tif": tiff(DEEP, compression="lzw", tile=(16, 16)),
    "deep.png": bytes(imagecodecs.png_encode(DEEP)),
    "b.bmp": pillow("BMP"),
    "c.webp": pillow("WEBP", lossless=True),
    "d.jp2": bytes(imagecodecs.jpeg2k_encode(DEEP, level=0)),
    "pacs/e.dcm": dicom(DISC),
    "pacs/IM0001": dicom(DEEP[..., 1], name="../../evil^\u202ename"),
    "pacs/1.2.840.17": dicom(DISC, colours="YBR_FULL_422", syntax=JPEG),
    "lie.jpg": tiff(DEEP),
}
SEVERAL = {"stack.tif": tiff(np.stack([DISC, DISC // 2])), "film.dcm": dicom(DISC // 2, frames=2)}
BAD = {
    "cut.dcm": FILES["pacs/e.dcm"][:9000],
    "cut.jp2": FILES["d.jp2"][:-40],
    "report.dcm": saved(header("1.2.840.10008.5.1.4.1.1.88.11")),
}


@pytest.fixture
def enhance(tmp_path, monkeypatch, capsys):
    """Run the command on an archive of the files; give exit code, rows by id, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Unchanged())
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)

    def call(files, *arguments, out="out"):
        for name, content in files.items():
            path = tmp_path / "archive" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        usual = [
            "-o",
            out,
            "--weights",
            "fake.safetensors",
            "--workers",
            "0",
            "--gpus",
            "0",
            "--policy",
            "all",
            "--grey",
            "enhance",
        ]
        code = main(["enhance", "archive", *usual, *arguments])
        parts = sorted((tmp_path / out / "rows").glob("*.parquet"))
        rows = {r["image_id"]: r for p in parts for r in pq.read_table(p).to_pylist()}
        return code, rows, capsys.readouterr().err

    return call


def written(tmp_path, row, out="out"):
    return (tmp_path / out / row["output"]).read_bytes()


def test_every_format_comes_out_unharmed(enhance, tmp_path):
    code, rows, _ = enhance(FILES)
    assert code == 0 and set(rows) == set(FILES)
    for name, content in FILES.items():
        before, after = read_image(content), read_image(written(tmp_path, rows[name]))
        assert (rows[name]["format"], rows[name]["bit_depth"]) == (before.format, before.bit_depth)
        assert after.bit_depth == before.bit_depth and after.icc == before.icc, name
        kept = "png" if before.format in ("bmp", "webp") else before.format
        assert after.format == kept, name
        assert rows[name]["output"] == f"images/{name}" + ".png" * (kept != before.format)
        if kept == "jpeg":
            assert np.abs(after.pixels.astype(int) - before.pixels).max() < 24
        else:
            np.testing.assert_array_equal(after.pixels, before.pixels, err_msg=name)
        assert (tmp_path / "archive" / name).read_bytes() == content, "the original is untouched"
    derived = pydicom.dcmread(io.BytesIO(written(tmp_path, rows["pacs/IM0001"])))
    assert derived.ImageType[0] == "DERIVED" and derived.ImageLaterality == "L"
    assert not list(tmp_path.glob("evil*")) and not list(tmp_path.parent.glob("evil*"))


def test_the_same_job_twice_gives_the_same_bytes(enhance, tmp_path):
    digests = []
    for out in ("one", "two"):
        _, rows, _ = enhance(FILES, out=out)
        digests.append([hashlib.sha256(written(tmp_path, r, out)).digest() for r in rows.values()])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("wanted", ["jpeg", "png", "tiff"])
def test_all_can_become_one_format(enhance, tmp_path, wanted):
    code, rows, _ = enhance(FILES, "--output-format", wanted, "--metadata", "none")
    assert code == 0
    for name, row in rows.items():
        data = written(tmp_path, row)
        assert read_image(data).format == wanted, name
        assert b"enhanced; weights fake 00" in data
        assert b"Doe" not in data and b"evil" not in data and b"profile" not in data


def test_of_several_pages_one_is_asked_for(enhance, tmp_path):
    code, rows, _ = enhance(SEVERAL)
    assert code == 3
    assert {(r["reason"], "--page" in r["message"]) for r in rows.values()} == {
        ("unsupported", True)
    }
    code, rows, _ = enhance({}, "--page", "2", out="two")
    assert code == 0
    first = read_image(written(tmp_path, rows["stack.tif"], "two")).pixels
    np.testing.assert_array_equal(first, DISC // 2)
    second = read_image(written(tmp_path, rows["film.dcm"], "two")).pixels
    np.testing.assert_array_equal(second, DISC // 2 + 1)


def test_the_report_shows_dicom_and_the_page_that_was_taken(tmp_path):
    (tmp_path / "film.dcm").write_bytes(dicom(DISC // 2, frames=2))
    assert thumbnail(tmp_path / "film.dcm", longest=64) is None
    shown = thumbnail(tmp_path / "film.dcm", longest=96, page=2)
    assert shown is not None
    np.testing.assert_array_equal(np.asarray(shown), DISC // 2 + 1)


def test_bad_files_are_rows_with_a_reason(enhance):
    code, rows, _ = enhance({**BAD, "a.jpg": FILES["a.jpg"]})
    assert code == 3
    found = {name: row["reason"] for name, row in rows.items() if row["status"] == "failed"}
    assert found == {"cut.dcm": "corrupt", "cut.jp2": "corrupt", "report.dcm": "unsupported"}
    assert all(rows[name]["message"] for name in found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--output-format", "png"], "output_format: source -> png"),
        (["--metadata", "none"], "metadata: keep -> none"),
        (["--page", "2"], "page: not set -> 2"),
    ],
)
def test_a_changed_option_is_refused_with_the_difference(enhance, changed, said):
    enhance({"a.jpg": FILES["a.jpg"]})
    code, _, err = enhance({}, *changed)
    assert code == 2 and said in err


@pytest.mark.parametrize("option", ["--output-format", "--metadata"])
def test_unknown_words_are_answered_with_the_choices(enhance, capsys, option):
    code = main(["enhance", "archive", option, "gif"])
    err = capsys.readouterr().err
    assert code == 2 and "gif" in err and ("tiff" in err or "minimal" in err)


def test_outputs_have_the_users_umask(enhance, tmp_path):
    before = os.umask(0o027)
    try:
        _, rows, _ = enhance({"deep/a.jpg": FILES["a.jpg"]})
    finally:
        os.umask(before)
    target = tmp_path / "out" / rows["deep/a.jpg"]["output"]
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.parent.stat().st_mode & 0o777 == 0o750


def test_the_table_of_contents_of_a_disc_is_no_image(enhance):
    files = {"a.jpg": FILES["a.jpg"], "DICOMDIR": BAD["report.dcm"], "notes": b"words"}
    code, rows, err = enhance(files)
    assert code == 0 and set(rows) == {"a.jpg"}
    assert "2 without extension" in err


def test_a_wrong_colour_model_is_noted_and_overridden(enhance, tmp_path):
    import cv2

    ybr = np.ascontiguousarray(cv2.cvtColor(DISC, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])
    code, rows, _ = enhance({"a.dcm": dicom(ybr), "b.png": pillow("PNG")})
    assert "YCbCr labelled as RGB" in rows["a.dcm"]["decoder_note"]
    assert rows["b.png"]["decoder_note"] is None
    code, rows, _ = enhance({}, "--colour-model", "ybr", out="again")
    assert code == 0 and rows["a.dcm"]["decoder_note"] is None
    again = read_image(written(tmp_path, rows["a.dcm"], out="again")).pixels
    assert np.abs(again.astype(int) - DISC).max() <= 3
    np.testing.assert_array_equal(
        read_image(written(tmp_path, rows["b.png"], out="again")).pixels, DISC
    )


def test_outputs_can_be_compressed_and_de_identified(enhance, tmp_path):
    options = ["--deidentify", "basic", "--dicom-syntax", "rle"]
    code, _, said = enhance({"a.dcm": dicom(DISC)}, *options)
    assert code == 2 and "--kept omit" in said, "originals would identify patients"
    code, rows, _ = enhance({}, *options, "--kept", "omit", out="other")
    assert code == 0 and rows["a.dcm"]["status"] == "enhanced"
    content = written(tmp_path, rows["a.dcm"], out="other")
    new = pydicom.dcmread(io.BytesIO(content))
    assert new.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    assert new.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert not new.PatientName and not new.PatientID and b"Doe" not in content
    np.testing.assert_array_equal(read_image(content).pixels, DISC)


def test_text_in_the_border_is_in_the_row_and_in_the_de_identified_file(enhance, tmp_path):
    import cv2

    wide = cv2.copyMakeBorder(DISC, 40, 40, 200, 200, cv2.BORDER_CONSTANT)
    named = cv2.putText(wide.copy(), "DOE JANE", (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3)
    files = {"named.dcm": dicom(named), "plain.dcm": dicom(wide)}
    options = ["--deidentify", "basic", "--kept", "omit"]
    code, rows, said = enhance(files, *options)
    assert code == 0, said
    assert rows["named.dcm"]["burned_in_text"] >= 4 and rows["plain.dcm"]["burned_in_text"] == 0
    for name, burned_in in (("named.dcm", "YES"), ("plain.dcm", "NO")):
        new = pydicom.dcmread(io.BytesIO(written(tmp_path, rows[name])))
        assert new.BurnedInAnnotation == burned_in
        assert new.PatientIdentityRemoved == ("NO" if burned_in == "YES" else "YES")
    code, rows, _ = enhance({}, out="plainly")
    new = pydicom.dcmread(io.BytesIO(written(tmp_path, rows["named.dcm"], out="plainly")))
    assert new.BurnedInAnnotation == "NO", "without de-identification it is the source's statement"
