"""DICOM attributes that a derived image drops, needs, or empties under `--metadata none`."""

from __future__ import annotations

from pydicom.tag import Tag


def _tags(names: str) -> frozenset[int]:
    return frozenset(int(Tag(name)) for name in names.split())


# They describe the old pixels, their storage or the old object, not the new ones.
DROPPED = _tags(
    "NumberOfFrames FrameIncrementPointer PerFrameFunctionalGroupsSequence FrameTime FrameDelay "
    "SharedFunctionalGroupsSequence FrameTimeVector SmallestImagePixelValue LargestImagePixelValue "
    "PixelPaddingValue PixelPaddingRangeLimit WindowCenter WindowWidth VOILUTFunction "
    "WindowCenterWidthExplanation VOILUTSequence ModalityLUTSequence RescaleIntercept RescaleSlope "
    "RescaleType PresentationLUTShape PresentationLUTSequence IconImageSequence ICCProfile "
    "RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor "
    "BluePaletteColorLookupTableDescriptor RedPaletteColorLookupTableData "
    "GreenPaletteColorLookupTableData BluePaletteColorLookupTableData "
    "SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData "
    "SegmentedBluePaletteColorLookupTableData PaletteColorLookupTableUID ExtendedOffsetTable "
    "ExtendedOffsetTableLengths DigitalSignaturesSequence MACParametersSequence "
    "EncryptedAttributesSequence InstanceCreationDate InstanceCreationTime InstanceCreatorUID "
    "SeriesNumber DataSetTrailingPadding PixelDataProviderURL ColorSpace"
)

# They identify the image and the eye and say how it was taken: a derived image needs them.
MINIMAL = _tags(
    "SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality "
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber "
    "ReferringPhysicianName ImageType InstanceNumber ContentDate ContentTime AcquisitionDateTime "
    "Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions ConversionType "
    "BurnedInAnnotation PatientOrientation Laterality ImageLaterality PixelSpacing "
    "PixelAspectRatio LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod "
    "PatientEyeMovementCommanded HorizontalFieldOfView PupilDilated DegreeOfDilation "
    "MydriaticAgentSequence IntraOcularPressure EmmetropicMagnification RefractiveStateSequence "
    "SynchronizationFrameOfReferenceUID SynchronizationTrigger AcquisitionTimeSynchronized "
    "AnatomicRegionSequence AcquisitionDeviceTypeCodeSequence IlluminationTypeCodeSequence "
    "LightPathFilterTypeStackCodeSequence ImagePathFilterTypeStackCodeSequence LensesCodeSequence "
    "FrameOfReferenceUID PositionReferenceIndicator TransformationMethodCodeSequence "
    "TransformationAlgorithmSequence OphthalmicAxialLength OphthalmicAxialLengthMethod "
    "XCoordinatesCenterPixelViewAngle YCoordinatesCenterPixelViewAngle OphthalmicFOV "
    "TwoDimensionalToThreeDimensionalMapSequence "
    "DetectorType AcquisitionContextSequence PatientIdentityRemoved DeidentificationMethod "
    "DeidentificationMethodCodeSequence LongitudinalTemporalInformationModified"
)

# Emptied under `none`: names, numbers, dates. The identifiers of study and source stay.
OF_PATIENT = _tags(
    "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber "
    "ReferringPhysicianName ContentDate ContentTime AcquisitionDateTime DeviceSerialNumber"
)

PLACEHOLDERS = {
    int(Tag("ContentDate")): "19000101", int(Tag("ContentTime")): "000000",
    int(Tag("DeviceSerialNumber")): "REMOVED",
}  # fmt: skip
"""What replaces values that are compulsory in some class."""
