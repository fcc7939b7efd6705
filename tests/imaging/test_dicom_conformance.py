"""What is written follows PS3.3 and PS3.5: attributes of each module, codes, compressed pixels."""

import importlib.util
import io
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_checks import complaints, faults, installed
from dicom_files import (
    JPEG,
    OPHTHALMIC_8,
    OPHTHALMIC_16,
    PHOTOGRAPH,
    SECONDARY_CAPTURE,
    WIDE_FIELD,
    WIDE_FIELD_3D,
    dicom,
    header,
    saved,
)
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from magenet_batch import __version__
from magenet_batch.errors import ImageError
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
PICTURE[10:30, 5:60] = 77  # runs
DEEP = PICTURE.astype(np.uint16) * 257
BY = Provenance("small", "0123456789abcdef")
SYNTAXES = {"explicit": ExplicitVRLittleEndian, "rle": RLELossless, "jpeg2000": JPEG2000Lossless}
CLASSES = {
    "ophthalmic 8 bits": OPHTHALMIC_8, "ophthalmic 16 bits": OPHTHALMIC_16,
    "wide field": WIDE_FIELD, "wide field in 3D": WIDE_FIELD_3D, "photograph": PHOTOGRAPH,
    "secondary capture": SECONDARY_CAPTURE,
}  # fmt: skip
SOURCES = {
    **{
        name: dicom(DEEP if "16" in name else PICTURE, sop_class=uid)
        for name, uid in CLASSES.items()
    },
    "ophthalmic, grey": dicom(PICTURE[..., 0]),
    "ophthalmic, lossy": dicom(PICTURE, colours="YBR_FULL_422", syntax=JPEG),
    "ophthalmic, several frames": dicom(PICTURE // 2, frames=3),
    "wide field, grey": dicom(PICTURE[..., 0], sop_class=WIDE_FIELD),
    "secondary capture of 12 bits": dicom(DEEP >> 4, bits=12, sop_class=SECONDARY_CAPTURE),
}


def derived(name, **options):
    image = read_image(SOURCES[name], page=2)
    out = encode_image(image.pixels, like=image, format="dicom", provenance=BY, **options)
    return image, out, pydicom.dcmread(io.BytesIO(out))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_holds_the_same_pixels(name, syntax):
    image, out, new = derived(name, dicom_syntax=syntax)
    assert new.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    again = read_image(out)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert again.bit_depth == image.bit_depth
    assert (new.PhotometricInterpretation == "YBR_RCT") == (syntax == "jpeg2000")
    if syntax == "jpeg2000" and new.BitsStored > 8:
        return  # pydicom cannot decode these without further libraries
    stored = new.pixel_array  # an independent decoder
    top = (1 << new.BitsStored) - 1
    expected = np.rint(image.pixels * (top / np.iinfo(image.pixels.dtype).max))
    np.testing.assert_array_equal(stored, expected)
    assert derived(name, dicom_syntax=syntax)[1] == out, "the same bytes every time"


def test_each_syntax_is_another_instance():
    made = [derived("ophthalmic 8 bits", dicom_syntax=s)[2] for s in SYNTAXES]
    assert (
        len({new.SOPInstanceUID for new in made}) == len({n.SeriesInstanceUID for n in made}) == 3
    )


def test_derivation_is_coded_by_cid_7203():
    group = {getattr(codes.cid7203, n).value: getattr(codes.cid7203, n).meaning
             for n in codes.cid7203.dir()}  # fmt: skip
    image, _, new = derived("ophthalmic 8 bits")
    found = {item.CodeValue: item.CodeMeaning for item in new.DerivationCodeSequence}
    assert set(found) == {"113086", "113053"} and found.items() <= group.items()
    (reference,) = new.SourceImageSequence
    assert reference.SpatialLocationsPreserved == "YES"
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    half = np.ascontiguousarray(image.pixels[::2, ::2])
    out = encode_image(half, like=image, format="dicom", provenance=BY)
    reduced = pydicom.dcmread(io.BytesIO(out))
    assert [i.CodeValue for i in reduced.DerivationCodeSequence][-1] == "113085"
    assert "SpatialLocationsPreserved" not in reduced.SourceImageSequence[0]
    (equipment,) = new.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert equipment.Manufacturer == "magenet"


MACRO = ("AlgorithmFamilyCodeSequence", "AlgorithmName", "AlgorithmVersion")
"""What is compulsory in the Algorithm Identification Macro (PS3.3, table 10-19)."""


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("metadata", ["keep", "none"])
@pytest.mark.parametrize("deidentify", ["none", "basic"])
def test_the_algorithm_is_identified(name, metadata, deidentify):
    _, _, new = derived(name, metadata=metadata, deidentify=deidentify)
    (found,) = new.DerivationAlgorithmSequence
    assert all(found.get(keyword) for keyword in MACRO)
    assert (found.AlgorithmName, found.AlgorithmVersion) == ("magenet", __version__)
    assert found.AlgorithmParameters == "weights=small,weights_hash=0123456789abcdef"
    (family,) = found.AlgorithmFamilyCodeSequence
    known = codes.cid7162.ArtificialIntelligence
    assert (family.CodeValue, family.CodingSchemeDesignator) == (known.value, "DCM")
    assert family.CodeMeaning == known.meaning


def test_the_algorithm_of_a_derived_source_gives_way():
    image, _, new = derived("ophthalmic 8 bits")
    image.dataset.DerivationAlgorithmSequence = [*new.DerivationAlgorithmSequence] * 2
    image.dataset.DerivationAlgorithmSequence[0].AlgorithmName = "another"
    out = encode_image(image.pixels, like=image, format="dicom", provenance=BY)
    (found,) = pydicom.dcmread(io.BytesIO(out)).DerivationAlgorithmSequence
    assert found.AlgorithmName == "magenet"


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (Provenance(), None),
        (Provenance("a,b=c\\d", "00"), "weights=a?b?c\\d,weights_hash=00"),
        (Provenance("Gewichte \u00e4\u202e\n" + "x" * 300, "00"),
         "weights=Gewichte ???" + "x" * 148 + ",weights_hash=00"),
    ],
)  # fmt: skip
def test_names_of_weights_do_no_harm_in_parameters(by, said):
    image = read_image(SOURCES["secondary capture"])
    out = encode_image(image.pixels, like=image, format="dicom", provenance=by)
    (found,) = pydicom.dcmread(io.BytesIO(out)).DerivationAlgorithmSequence
    assert found.get("AlgorithmParameters") == said
    (equipment,) = pydicom.dcmread(io.BytesIO(out)).ContributingEquipmentSequence
    model = equipment.ManufacturerModelName
    assert isinstance(model, str) and model.isprintable() and 0 < len(model.encode()) <= 64


def test_the_algorithm_follows_the_tables_of_the_standard():
    table = standard("module_attribute_map")
    inside = {
        a["keyword"]: a["type"]
        for a in table["ophthalmic-optical-coherence-tomography-en-face-image"]
        if a["path"] == ["DerivationAlgorithmSequence"]
    }
    assert {keyword for keyword, kind in inside.items() if kind == "1"} == set(MACRO)
    (found,) = derived("ophthalmic 8 bits")[2].DerivationAlgorithmSequence
    assert {element.keyword for element in found} <= set(inside)


@cache
def standard(name):
    """A table of PS3.3, as highdicom ships them."""
    found = importlib.util.find_spec("highdicom")
    if found is None:
        pytest.skip("needs highdicom, whose tables are those of PS3.3")
    return json.loads((Path(found.origin).parent / "_standard" / f"{name}.json").read_text())


def items_at(dataset, path):
    """All items of nested sequences; the data set itself for an empty path."""
    if not path:
        return [dataset]
    return [found for item in dataset.get(path[0]) or [] for found in items_at(item, path[1:])]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
@pytest.mark.parametrize("deidentify", ["none", "basic"])
def test_compulsory_attributes_of_every_module_are_there(name, metadata, deidentify):
    _, _, new = derived(name, metadata=metadata, deidentify=deidentify)
    kind = standard("sop_class_iod_map")[new.SOPClassUID]
    missing = []
    for module in standard("iod_module_map")[kind]:
        if module["usage"] != "M":
            continue
        for attribute in standard("module_attribute_map")[module["key"]]:
            keyword, needed = attribute["keyword"], attribute["type"]
            for item in items_at(new, attribute["path"]):
                if needed not in ("1", "2") or (needed == "2" and keyword in item):
                    continue
                if item.get(keyword) in (None, "", b""):
                    missing.append((module["key"], *attribute["path"], keyword, needed))
    assert missing == []


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
@pytest.mark.parametrize("deidentify", ["none", "basic"])
def test_validators_find_no_fault(name, metadata, deidentify):
    source = pydicom.dcmread(io.BytesIO(SOURCES[name]))
    _, out, new = derived(name, metadata=metadata, deidentify=deidentify)
    assert complaints(SOURCES[name]) == complaints(out) == []
    if not installed():
        pytest.skip("needs dicom-validator and dicom-standard")
    assert faults(source) == faults(new) == set()


@pytest.mark.skipif(not installed(), reason="needs dicom-validator and dicom-standard")
@pytest.mark.parametrize(
    ("keyword", "value", "fault"),
    [
        ("ContentDate", None, "TagMissing"),  # type 1
        ("RefractiveStateSequence", None, "TagMissing"),  # type 2
        ("PlanarConfiguration", None, "TagMissing"),  # 1C: with colours
        ("DegreeOfDilation", None, "TagMissing"),  # 2C: with a dilated pupil
        ("InstanceNumber", "", "TagEmpty"),
        ("PlanarConfiguration", 1, "EnumValueNotAllowed"),
        ("BurnedInAnnotation", "PERHAPS", "EnumValueNotAllowed"),
        ("WindowCenter", 5, "TagUnexpected"),
    ],
)
def test_the_validator_finds_every_kind_of_fault(keyword, value, fault):
    d = pydicom.dcmread(io.BytesIO(SOURCES["ophthalmic 8 bits"]))
    if value is None:
        delattr(d, keyword)
    else:
        setattr(d, keyword, value)
    assert faults(d) == {(keyword, fault)}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
def test_dciodvfy_complains_where_there_is_cause():
    d = header()
    del d.ContentDate
    assert complaints(saved(d))


def test_a_frame_of_several_is_named():
    (reference,) = derived("ophthalmic, several frames")[2].SourceImageSequence
    assert reference.ReferencedFrameNumber == 2
    (reference,) = derived("ophthalmic 8 bits")[2].SourceImageSequence
    assert "ReferencedFrameNumber" not in reference


@pytest.mark.parametrize(("step", "frames"), [(2, 1), (1, 3)])
def test_a_map_of_places_in_the_eye_is_never_carried_to_other_pixels(step, frames):
    image = read_image(dicom(PICTURE // 2, sop_class=WIDE_FIELD_3D, frames=frames), page=1)
    pixels = np.ascontiguousarray(image.pixels[::step, ::step])
    with pytest.raises(ImageError, match=r"map of pixels.*--output-format") as caught:
        encode_image(pixels, like=image, format="dicom", provenance=BY)
    assert caught.value.reason == "unwritable"
