"""DICOM files made for tests: valid ophthalmic photographs and secondary captures."""

import io

import cv2
import imagecodecs
import numpy as np
import simplejpeg
from PIL import ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

OPHTHALMIC_8, OPHTHALMIC_16 = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.5.2"
WIDE_FIELD, WIDE_FIELD_3D = "1.2.840.10008.5.1.4.1.1.77.1.5.5", "1.2.840.10008.5.1.4.1.1.77.1.5.6"
SECONDARY_CAPTURE, PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1.4"
JPEG, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ROOT = "2.25.329800735698586629295641978511506"


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def header(sop_class=OPHTHALMIC_8, *, name="Doe^Jane", laterality="L"):
    """Everything but the pixels."""
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID, d.SOPInstanceUID = sop_class, f"{ROOT}.1.1.7"
    d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.1.1"
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = name, "P-1", "19500101", "F"
    d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber = "20240102", "101112", "7", "A7"
    d.ReferringPhysicianName = ""
    d.SeriesNumber, d.InstanceNumber, d.Modality = 3, 7, "OP"
    d.Manufacturer, d.ManufacturerModelName = "Maker", "Camera 1"
    d.DeviceSerialNumber, d.SoftwareVersions = "42", "1.0"
    d.ImageType = ["ORIGINAL", "PRIMARY", "", "COLOR"]
    d.ContentDate, d.ContentTime, d.AcquisitionDateTime = "20240102", "101113", "20240102101112"
    d.BurnedInAnnotation, d.LossyImageCompression = "NO", "00"
    d.PatientOrientation = ""
    if sop_class == SECONDARY_CAPTURE:
        d.Modality, d.ConversionType, d.Laterality = "OT", "WSD", laterality
        return d
    d.AcquisitionContextSequence = []
    d.ImageLaterality, d.PixelSpacing = laterality, [0.01, 0.01]
    d.AnatomicRegionSequence = [code("5665001", "SCT", "Retina")]
    if sop_class == PHOTOGRAPH:
        d.Modality = "XC"
        return d
    d.PatientEyeMovementCommanded = "NO"
    d.HorizontalFieldOfView, d.PupilDilated = 45.0, "YES"
    d.DegreeOfDilation, d.MydriaticAgentSequence = 7.0, []
    d.IntraOcularPressure = d.EmmetropicMagnification = None
    d.RefractiveStateSequence = []
    d.SynchronizationFrameOfReferenceUID = f"{ROOT}.9"
    d.SynchronizationTrigger, d.AcquisitionTimeSynchronized = "NO TRIGGER", "N"
    d.AcquisitionDeviceTypeCodeSequence = [code("409898007", "SCT", "Fundus Camera")]
    d.IlluminationTypeCodeSequence, d.LightPathFilterTypeStackCodeSequence = [], []
    d.ImagePathFilterTypeStackCodeSequence, d.LensesCodeSequence = [], []
    d.DetectorType, d.PresentationLUTShape = "CMOS", "IDENTITY"
    d.NumberOfFrames, d.FrameTime, d.FrameIncrementPointer = 1, 0, 0x00181063
    if sop_class in (WIDE_FIELD, WIDE_FIELD_3D):
        _widen(d)
    return d


def _widen(d):
    """What the classes of wide fields require in addition (PS3.3, A.76 and A.77)."""
    d.FrameOfReferenceUID, d.PositionReferenceIndicator = f"{ROOT}.8", ""
    method = Dataset()
    method.AlgorithmFamilyCodeSequence = [code("123109", "DCM", "Manual Processing")]
    method.AlgorithmName, method.AlgorithmVersion = "Maker's map", "1"
    d.TransformationAlgorithmSequence = [method]
    d.OphthalmicAxialLength, d.OphthalmicAxialLengthMethod = 24.0, "ESTIMATED"
    d.ICCProfile = PROFILE
    if d.SOPClassUID == WIDE_FIELD:
        d.XCoordinatesCenterPixelViewAngle = d.YCoordinatesCenterPixelViewAngle = 0.0
        return
    d.TransformationMethodCodeSequence = [code("111791", "DCM", "Spherical projection")]
    place = Dataset()
    place.ReferencedFrameNumber = 1
    place.TwoDimensionalToThreeDimensionalMapData = np.array([1, 1, 0, 0, 24], np.float32).tobytes()
    place.NumberOfMapPoints = 1
    d.TwoDimensionalToThreeDimensionalMapSequence = [place]


def dicom(
    pixels, *, colours=None, syntax=ExplicitVRLittleEndian, bits=None, frames=1, planar=0, **options
):
    """A DICOM file of `(H, W)` or `(H, W, 3)` pixels, grey or RGB.

    Args:
        pixels: the samples, below `2 ** bits`.
        colours: photometric interpretation that they are stored in.
        syntax: transfer syntax.
        bits: bits stored.
        frames: how often the picture is repeated, each time one step brighter.
        planar: 1 stores plane after plane.
        options: of `header`.
    """
    wide = pixels.dtype == np.uint16
    options.setdefault("sop_class", OPHTHALMIC_16 if wide else OPHTHALMIC_8)
    d = header(**options)
    d.Rows, d.Columns = pixels.shape[:2]
    d.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    d.BitsAllocated = 16 if wide else 8
    d.BitsStored = bits or d.BitsAllocated
    d.HighBit, d.PixelRepresentation = d.BitsStored - 1, 0
    d.PhotometricInterpretation = colours or ("MONOCHROME2" if pixels.ndim == 2 else "RGB")
    if pixels.ndim == 3:
        d.PlanarConfiguration = planar
        if "PresentationLUTShape" in d:
            del d.PresentationLUTShape
    if frames > 1:
        d.NumberOfFrames = frames
    stack = [_stored(pixels + np.array(i, pixels.dtype), d, str(syntax)) for i in range(frames)]
    if syntax == ExplicitVRLittleEndian:
        d.PixelData = b"".join(stack) + b"\0" * (len(stack[0]) * frames % 2)
    else:
        d.PixelData = encapsulate(stack)
    if str(syntax) == JPEG:
        d.LossyImageCompression, d.LossyImageCompressionRatio = "01", 10.0
        d.LossyImageCompressionMethod = "ISO_10918_1"
    d["PixelData"].VR = "OW" if wide or syntax == ExplicitVRLittleEndian else "OB"
    return saved(d, syntax)


def saved(d, syntax=ExplicitVRLittleEndian):
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    d.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _stored(pixels, d, syntax):
    if syntax == JPEG:
        colour = "GRAY" if pixels.ndim == 2 else "RGB"
        shaped = pixels[..., None] if pixels.ndim == 2 else pixels
        sub = "Gray" if pixels.ndim == 2 else "444"
        return simplejpeg.encode_jpeg(
            np.ascontiguousarray(shaped), 95, colorspace=colour, colorsubsampling=sub
        )
    if syntax == JPEG_2000:
        return bytes(
            imagecodecs.jpeg2k_encode(
                pixels, level=0, codecformat="J2K", mct=d.PhotometricInterpretation == "YBR_RCT"
            )
        )
    if syntax == JPEG_LS:
        return bytes(imagecodecs.jpegls_encode(pixels, level=0))
    if syntax == JPEG_LOSSLESS:
        return bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=int(d.BitsStored)))
    if syntax == RLELossless:
        return RLELosslessEncoder.encode(
            pixels, rows=d.Rows, columns=d.Columns, samples_per_pixel=d.SamplesPerPixel,
            bits_allocated=d.BitsAllocated, bits_stored=d.BitsStored, pixel_representation=0,
            photometric_interpretation=d.PhotometricInterpretation, number_of_frames=1,
            planar_configuration=0, transfer_syntax_uid=RLELossless,
        )  # fmt: skip
    if d.PhotometricInterpretation == "YBR_FULL":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    if d.PhotometricInterpretation == "YBR_FULL_422":
        ybr = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
        pairs = [ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]]
        return np.stack(pairs, 2).tobytes()
    if d.get("PlanarConfiguration"):
        pixels = np.moveaxis(pixels, -1, 0)
    return np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<")).tobytes()
