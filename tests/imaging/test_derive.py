"""Derived DICOM instances: new, in the same study, valid, and the same bytes again."""

import io
import re

import numpy as np
import pydicom
import pytest
from dicom_files import JPEG, OPHTHALMIC_16, ROOT, SECONDARY_CAPTURE, dicom, header, saved

from magenet_batch.errors import ImageError
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image

_ROWS, _COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([_COLUMNS * 3, _ROWS * 4, _ROWS + _COLUMNS], 2).astype(np.uint8)
DEEP = PICTURE.astype(np.uint16) * 257 + 3
BY = Provenance("small", "0123456789abcdef")
SOURCES = {
    "rgb": dicom(PICTURE),
    "grey": dicom(PICTURE[..., 0]),
    "jpeg": dicom(PICTURE, colours="YBR_FULL_422", syntax=JPEG),
    "right eye": dicom(PICTURE, laterality="R"),
    "secondary capture": dicom(PICTURE, sop_class=SECONDARY_CAPTURE),
    "sixteen bits": dicom(DEEP[..., 0]),
    "twelve bits": dicom(DEEP[..., 0] >> 4, bits=12, sop_class=SECONDARY_CAPTURE),
    "one of several": dicom(PICTURE // 2, frames=3),
}


def derived(data, *, pixels=None, metadata="keep", by=BY, page=2):
    image = read_image(data, page=page)
    pixels = image.pixels if pixels is None else pixels
    out = encode_image(pixels, like=image, format="dicom", metadata=metadata, provenance=by)
    return out, pydicom.dcmread(io.BytesIO(out)), pydicom.dcmread(io.BytesIO(data))


@pytest.mark.parametrize("name", SOURCES)
def test_the_pixels_come_back(name):
    image = read_image(SOURCES[name], page=2)
    again = read_image(derived(SOURCES[name])[0])
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert (again.format, again.bit_depth) == ("dicom", image.bit_depth)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
def test_it_is_a_new_instance_of_the_same_study(name, metadata):
    _, new, old = derived(SOURCES[name], metadata=metadata)
    assert new.SOPInstanceUID != old.SOPInstanceUID
    assert new.SeriesInstanceUID not in (old.SeriesInstanceUID, new.SOPInstanceUID)
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
    for uid in (new.SOPInstanceUID, new.SeriesInstanceUID, new.file_meta.ImplementationClassUID):
        assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid)
    assert (new.StudyInstanceUID, new.SOPClassUID) == (old.StudyInstanceUID, old.SOPClassUID)
    how = ["SECONDARY", ""] if new.SOPClassUID == SECONDARY_CAPTURE else ["PRIMARY", "ENHANCED"]
    assert list(new.ImageType) == ["DERIVED", *how, "COLOR"]
    assert "magenet" in new.DerivationDescription and "0123456789abcdef" in str(new)
    (reference,) = new.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == old.SOPClassUID
    assert new.get("ImageLaterality") == old.get("ImageLaterality")
    assert new.get("Laterality") == old.get("Laterality")
    assert new.PatientID == ("" if metadata == "none" else "P-1") or new.PatientID is None


def test_no_name_number_or_date_is_left_by_none():
    out, new, _ = derived(SOURCES["rgb"], metadata="none")
    for told in (b"Doe", b"P-1", b"1950", b"20240102", b"A7"):
        assert told not in out
    assert new.ImageLaterality == "L"


def test_keep_carries_what_minimal_leaves_out():
    d = pydicom.dcmread(io.BytesIO(SOURCES["rgb"]))
    d.StationName = "Room 4"
    d.add_new(0x00091001, "LO", "private")
    d.add_new(0x00090010, "LO", "MAKER")
    d.WindowCenter, d.WindowWidth = 128, 256
    data = saved(d)
    kept, small = derived(data)[1], derived(data, metadata="minimal")[1]
    assert kept.StationName == "Room 4" and kept[0x00091001].value == "private"
    assert "StationName" not in small and 0x00091001 not in small
    assert "WindowCenter" not in kept, "it was true of the old pixels"
    assert small.Manufacturer == kept.Manufacturer == "Maker"


def test_the_same_job_gives_the_same_bytes_and_another_one_another_instance():
    source = SOURCES["rgb"]
    first, new, _ = derived(source)
    assert derived(source)[0] == first
    others = [
        derived(source, by=Provenance("small", "ff"))[1],
        derived(source, pixels=255 - PICTURE)[1],
        derived(source, metadata="minimal")[1],
    ]
    assert len({new.SOPInstanceUID, *(o.SOPInstanceUID for o in others)}) == 4
    assert others[1].SeriesInstanceUID == new.SeriesInstanceUID
    assert others[0].SeriesInstanceUID != new.SeriesInstanceUID


def test_what_was_lost_once_stays_lost():
    new = derived(SOURCES["jpeg"])[1]
    assert (new.LossyImageCompression, new.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert not new.file_meta.TransferSyntaxUID.is_compressed


def test_a_reduced_image_has_larger_pixels():
    new = derived(SOURCES["rgb"], pixels=np.ascontiguousarray(PICTURE[::2, ::2]))[1]
    assert (new.Rows, new.Columns) == (24, 32)
    assert [float(v) for v in new.PixelSpacing] == pytest.approx([0.02, 0.02])


def test_a_profile_is_carried():
    d = pydicom.dcmread(io.BytesIO(SOURCES["rgb"]))
    d.ICCProfile = b"profile!" * 2 + b"RGB " + b"profile!" * 8 + b"!!!!"
    assert derived(saved(d))[1].ICCProfile == b"profile!" * 2 + b"RGB " + b"profile!" * 8 + b"!!!!"


def test_a_source_without_identifiers_is_refused():
    d = header()
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 48, 64, 3, "RGB"
    d.BitsAllocated = d.BitsStored = 8
    d.HighBit, d.PixelRepresentation, d.PlanarConfiguration = 7, 0, 0
    d.PixelData = PICTURE.tobytes()
    d["PixelData"].VR = "OW"
    d.StudyInstanceUID = ""
    with pytest.raises(ImageError, match=r"StudyInstanceUID.*--output-format") as caught:
        derived(saved(d))
    assert caught.value.reason == "unwritable"


def test_only_dicom_becomes_dicom():
    with pytest.raises(ImageError, match="only DICOM sources"):
        encode_image(PICTURE, format="dicom")


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "<script>alert(1)</script>", "Ünï^Çødé", "a\u202egnp.exe", "x" * 300],
)
def test_hostile_names_stay_data(name):
    _, new, _ = derived(dicom(PICTURE, name=name))
    assert str(new.PatientName) == name
    assert "passwd" not in new.DerivationDescription + new.SeriesDescription


def test_constants_of_the_maker_are_used():
    assert pydicom.dcmread(io.BytesIO(SOURCES["sixteen bits"])).SOPClassUID == OPHTHALMIC_16
    assert derived(SOURCES["rgb"])[2].StudyInstanceUID.startswith(ROOT)
