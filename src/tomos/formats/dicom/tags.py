"""The attributes that are used here, by the keywords of PS3.6: tag and value representation.

The representation is needed for implicit VR files, which do not carry it (PS3.5 7.1.3). "XS" is US
or SS, as Pixel Representation says.
"""

from __future__ import annotations

ATTRIBUTES: dict[str, tuple[int, str]] = {
    "MediaStorageSOPClassUID": (0x00020002, "UI"),
    "TransferSyntaxUID": (0x00020010, "UI"),
    "DirectoryRecordSequence": (0x00041220, "SQ"),
    "SpecificCharacterSet": (0x00080005, "CS"),
    "ImageType": (0x00080008, "CS"),
    "SOPClassUID": (0x00080016, "UI"),
    "SOPInstanceUID": (0x00080018, "UI"),
    "StudyDate": (0x00080020, "DA"),
    "SeriesDate": (0x00080021, "DA"),
    "AcquisitionDate": (0x00080022, "DA"),
    "ContentDate": (0x00080023, "DA"),
    "Modality": (0x00080060, "CS"),
    "Manufacturer": (0x00080070, "LO"),
    "InstitutionName": (0x00080080, "LO"),
    "CodeValue": (0x00080100, "SH"),
    "StationName": (0x00081010, "SH"),
    "SeriesDescription": (0x0008103E, "LO"),
    "ManufacturerModelName": (0x00081090, "LO"),
    "PatientName": (0x00100010, "PN"),
    "PatientID": (0x00100020, "LO"),
    "PatientSex": (0x00100040, "CS"),
    "PatientAge": (0x00101010, "AS"),
    "BodyPartExamined": (0x00180015, "CS"),
    "SliceThickness": (0x00180050, "DS"),
    "SpacingBetweenSlices": (0x00180088, "DS"),
    "ImagerPixelSpacing": (0x00181164, "DS"),
    "NominalScannedPixelSpacing": (0x00182010, "DS"),
    "ViewPosition": (0x00185101, "CS"),
    "SequenceOfUltrasoundRegions": (0x00186011, "SQ"),
    "PhysicalUnitsXDirection": (0x00186024, "US"),
    "PhysicalUnitsYDirection": (0x00186026, "US"),
    "PhysicalDeltaX": (0x0018602C, "FD"),
    "PhysicalDeltaY": (0x0018602E, "FD"),
    "StudyInstanceUID": (0x0020000D, "UI"),
    "SeriesInstanceUID": (0x0020000E, "UI"),
    "InstanceNumber": (0x00200013, "IS"),
    "ImagePositionPatient": (0x00200032, "DS"),
    "ImageOrientationPatient": (0x00200037, "DS"),
    "FrameOfReferenceUID": (0x00200052, "UI"),
    "PlanePositionSequence": (0x00209113, "SQ"),
    "PlaneOrientationSequence": (0x00209116, "SQ"),
    "SamplesPerPixel": (0x00280002, "US"),
    "PhotometricInterpretation": (0x00280004, "CS"),
    "PlanarConfiguration": (0x00280006, "US"),
    "NumberOfFrames": (0x00280008, "IS"),
    "Rows": (0x00280010, "US"),
    "Columns": (0x00280011, "US"),
    "PixelSpacing": (0x00280030, "DS"),
    "BitsAllocated": (0x00280100, "US"),
    "BitsStored": (0x00280101, "US"),
    "HighBit": (0x00280102, "US"),
    "PixelRepresentation": (0x00280103, "US"),
    "WindowCenter": (0x00281050, "DS"),
    "WindowWidth": (0x00281051, "DS"),
    "RescaleIntercept": (0x00281052, "DS"),
    "RescaleSlope": (0x00281053, "DS"),
    "RescaleType": (0x00281054, "LO"),
    "VOILUTFunction": (0x00281056, "CS"),
    "RedPaletteColorLookupTableDescriptor": (0x00281101, "XS"),
    "GreenPaletteColorLookupTableDescriptor": (0x00281102, "XS"),
    "BluePaletteColorLookupTableDescriptor": (0x00281103, "XS"),
    "RedPaletteColorLookupTableData": (0x00281201, "OW"),
    "GreenPaletteColorLookupTableData": (0x00281202, "OW"),
    "BluePaletteColorLookupTableData": (0x00281203, "OW"),
    "SegmentedRedPaletteColorLookupTableData": (0x00281221, "OW"),
    "SegmentedGreenPaletteColorLookupTableData": (0x00281222, "OW"),
    "SegmentedBluePaletteColorLookupTableData": (0x00281223, "OW"),
    "ModalityLUTSequence": (0x00283000, "SQ"),
    "LUTDescriptor": (0x00283002, "XS"),
    "ModalityLUTType": (0x00283004, "LO"),
    "LUTData": (0x00283006, "OW"),
    "VOILUTSequence": (0x00283010, "SQ"),
    "PixelMeasuresSequence": (0x00289110, "SQ"),
    "FrameVOILUTSequence": (0x00289132, "SQ"),
    "PixelValueTransformationSequence": (0x00289145, "SQ"),
    "RealWorldValueMappingSequence": (0x00409096, "SQ"),
    "MeasurementUnitsCodeSequence": (0x004008EA, "SQ"),
    "RealWorldValueIntercept": (0x00409224, "FD"),
    "RealWorldValueSlope": (0x00409225, "FD"),
    "DetectorInformationSequence": (0x00540022, "SQ"),
    "Units": (0x00541001, "CS"),
    "SegmentationType": (0x00620001, "CS"),
    "DoseUnits": (0x30040002, "CS"),
    "GridFrameOffsetVector": (0x3004000C, "DS"),
    "DoseGridScaling": (0x3004000E, "DS"),
    "SharedFunctionalGroupsSequence": (0x52009229, "SQ"),
    "PerFrameFunctionalGroupsSequence": (0x52009230, "SQ"),
    "FloatPixelData": (0x7FE00008, "OF"),
    "DoubleFloatPixelData": (0x7FE00009, "OD"),
    "PixelData": (0x7FE00010, "OW"),
}


def key_of(tag: int) -> int:
    """(gggg,eeee) as the four bytes of a little endian file read as one number: element, group."""
    return (tag & 0xFFFF) << 16 | tag >> 16


KEYS = {keyword: key_of(tag) for keyword, (tag, _) in ATTRIBUTES.items()}
FLOAT_PIXEL_DATA = KEYS["FloatPixelData"]
DOUBLE_PIXEL_DATA = KEYS["DoubleFloatPixelData"]
PIXEL_DATA = KEYS["PixelData"]
PIXEL_KEYS = (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA)
SEQUENCES = frozenset(KEYS[keyword] for keyword, (_, kind) in ATTRIBUTES.items() if kind == "SQ")

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

# Transfer syntaxes whose pixels are not compressed, PS3.5 Annex A.
NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})

COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE",
}
