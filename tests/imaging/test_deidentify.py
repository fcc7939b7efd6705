"""De-identification after PS3.15: every tag of the profile, and what stays."""

import io

import numpy as np
import pydicom
import pytest
from dicom_files import JPEG, SECONDARY_CAPTURE, code, dicom, saved
from PIL import Image
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from magenet_batch.imaging.formats.basic_profile import EMPTIED, REMOVED, REPLACED, UIDS
from magenet_batch.imaging.formats.deidentify import (
    METHOD,
    TEXT_FOUND,
    TEXT_STATED,
    deidentify,
)
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
BY = Provenance("small", "0123456789abcdef")
SECRET = {"DA": "20240102", "TM": "101112", "DT": "20240102101112", "AS": "073Y", "IS": "7041",
          "DS": "7041.5", "US": 7041, "SS": 7041, "UL": 7041, "SL": 7041, "FL": 7041.5,
          "FD": 7041.5, "OB": b"SECRET", "OW": b"SECRET", "UN": b"SECRET", "UI": "1.2.7041.9",
          "PN": "Secret^Jane", "OF": b"SECRETSE", "OD": b"SECRETSE", "OL": b"SECRETSE",
          "AT": 0x00101010, "AE": "SECRET", "CS": "SECRET", "UR": "SECRET"}  # fmt: skip
KNOWN = {
    "emptied": "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID "
               "AccessionNumber ReferringPhysicianName",
    "removed": "PatientAge PatientAddress StudyDescription PatientComments OtherPatientIDs "
               "RequestingPhysician InstitutionAddress ImageComments PatientWeight "
               "DerivationDescription",
    "replaced": "AcquisitionDateTime DeviceSerialNumber InstitutionName OperatorsName ContentDate "
               "ContentTime",
    "another": "StudyInstanceUID SeriesInstanceUID SOPInstanceUID FrameOfReferenceUID "
               "SynchronizationFrameOfReferenceUID",
    "kept": "Modality Manufacturer ManufacturerModelName ImageLaterality ImageType PupilDilated "
            "HorizontalFieldOfView PixelSpacing AnatomicRegionSequence SOPClassUID",
}  # fmt: skip


def with_secret(tag, kind):
    dataset = Dataset()
    if kind == "SQ":
        inner = Dataset()
        inner.PatientName = "Secret^Jane"
        dataset.add_new(tag, kind, [inner])
    else:
        dataset.add_new(tag, kind.split(" ")[0], SECRET.get(kind.split(" ")[0], "SECRET 7041"))
    return dataset


def in_dictionary(tags):
    return sorted(tag for tag in tags if keyword_for_tag(tag))


@pytest.mark.parametrize(
    "tag", in_dictionary(REMOVED | EMPTIED | REPLACED | UIDS), ids=keyword_for_tag
)
@pytest.mark.parametrize("nested", [False, True], ids=["", "in a sequence"])
def test_every_tag_of_the_profile_is_acted_on(tag, nested):
    kind = dictionary_VR(tag)
    whole = with_secret(tag, kind)
    if nested:
        outer = Dataset()
        outer.AnatomicRegionSequence = [whole]
        found = deidentify(outer).AnatomicRegionSequence[0]
    else:
        found = deidentify(whole)
    if tag in REMOVED:
        assert tag not in found
        return
    value = found[tag].value
    if tag in EMPTIED:
        assert not value and kind.split(" ")[0] == found[tag].VR
    elif tag in UIDS:
        assert str(value).startswith("2.25.") and value != whole[tag].value
    elif kind == "SQ":
        assert len(value) == 0
    else:
        assert str(value) != str(whole[tag].value) and value not in (None, "")
        assert dictionary_VM(tag)


def test_the_table_says_what_the_standard_says():
    for names, tags in (("emptied", EMPTIED), ("removed", REMOVED), ("replaced", REPLACED),
                        ("another", UIDS)):  # fmt: skip
        for name in KNOWN[names].split():
            assert int(Tag(tag_for_keyword(name))) in tags, name
    assert not (REMOVED & EMPTIED or REMOVED & REPLACED or EMPTIED & REPLACED or UIDS & REMOVED)
    assert len(REMOVED | EMPTIED | REPLACED | UIDS) > 600


def identified(**options):
    d = pydicom.dcmread(io.BytesIO(dicom(PICTURE, **options)))
    d.InstitutionName, d.OperatorsName, d.PatientAge = "Secret clinic", "Secret^Op", "073Y"
    d.StudyDescription, d.ImageComments = "Secret study", "Secret comment"
    d.add_new(0x00090010, "LO", "SECRET MAKER")
    d.add_new(0x00091001, "LO", "Secret private")
    d.add_new(0x60000010, "US", 48)
    d.add_new(0x60000022, "LO", "Secret overlay")
    d.AnatomicRegionSequence = [code("5665001", "SCT", "Retina")]
    d.AnatomicRegionSequence[0].add_new(0x00091001, "LO", "Secret nested")
    return saved(d, d.file_meta.TransferSyntaxUID)


@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
@pytest.mark.parametrize("options", [{}, {"sop_class": SECONDARY_CAPTURE}, {"syntax": JPEG}])
def test_nothing_of_the_patient_is_left_and_the_method_is_named(metadata, options):
    data = identified(**options)
    image = read_image(data)
    out = encode_image(image.pixels, like=image, format="dicom", metadata=metadata, provenance=BY,
                       deidentify="basic")  # fmt: skip
    old, new = (pydicom.dcmread(io.BytesIO(b)) for b in (data, out))
    for told in (b"Secret", b"SECRET", b"Doe", b"P-1", b"1950", b"2024", b"073Y", b"A7",
                 str(old.StudyInstanceUID).encode()):  # fmt: skip
        assert told not in out, told
    assert new.PatientIdentityRemoved == "YES" and "PS3.15" in new.DeidentificationMethod
    (code,) = new.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert new.LongitudinalTemporalInformationModified == "REMOVED"
    assert "enhanced" in new.DerivationDescription, "what enhanced it identifies nobody"
    assert new.get("ImageLaterality") == old.get("ImageLaterality")
    np.testing.assert_array_equal(read_image(out).pixels, image.pixels)
    assert new.SourceImageSequence[0].ReferencedSOPInstanceUID != old.SOPInstanceUID


def burned_in(stated):
    d = pydicom.dcmread(io.BytesIO(identified()))
    del d.BurnedInAnnotation
    if stated is not None:
        d.BurnedInAnnotation = stated
    return saved(d, d.file_meta.TransferSyntaxUID)


@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("stated", ["NO", "YES", None])
def test_text_in_the_picture_is_stated_and_never_said_to_be_removed(stated, found, metadata):
    image = read_image(burned_in(stated))
    out = encode_image(image.pixels, like=image, format="dicom", metadata=metadata,
                       provenance=BY, deidentify="basic", text_found=found)  # fmt: skip
    new = pydicom.dcmread(io.BytesIO(out))
    assert new.get("BurnedInAnnotation") == ("YES" if found else stated), "NO is never invented"
    methods = new.DeidentificationMethod
    methods = [methods] if isinstance(methods, str) else list(methods)
    assert methods[0] == METHOD and all(len(text) <= 64 for text in methods)
    if found or stated == "YES":
        assert new.PatientIdentityRemoved == "NO", "it speaks of the pixels, too"
        assert methods[1:] == [TEXT_FOUND if found else TEXT_STATED]
    else:
        assert new.PatientIdentityRemoved == "YES" and methods[1:] == []
    (code,) = new.DeidentificationMethodCodeSequence
    assert code.CodeValue == "113100", "pixels are not claimed to be clean (113101)"
    np.testing.assert_array_equal(read_image(out).pixels, image.pixels)


def test_without_de_identification_the_statement_of_the_source_stays():
    image = read_image(burned_in("NO"))
    out = encode_image(image.pixels, like=image, format="dicom", provenance=BY, text_found=True)
    new = pydicom.dcmread(io.BytesIO(out))
    assert new.BurnedInAnnotation == "NO" and "PatientIdentityRemoved" not in new


def test_what_describes_the_picture_stays():
    found = deidentify(pydicom.dcmread(io.BytesIO(identified())))
    old = pydicom.dcmread(io.BytesIO(identified()))
    for name in KNOWN["kept"].split():
        assert found.get(name) == old.get(name) or name == "AnatomicRegionSequence", name
    assert found.AnatomicRegionSequence[0].CodeMeaning == "Retina"


def test_images_of_one_study_stay_together():
    first, second = (deidentify(pydicom.dcmread(io.BytesIO(identified()))) for _ in range(2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.StudyInstanceUID != first.SeriesInstanceUID


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_other_formats_carry_no_exif(kind):
    block = Image.Exif()
    block[0x010F], block[0x013B] = "Secret camera", "Secret artist"
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, "JPEG", exif=block)
    image = read_image(out.getvalue())
    assert b"Secret" in encode_image(image.pixels, like=image, format=kind)
    assert b"Secret" not in encode_image(image.pixels, like=image, format=kind, deidentify="basic")
