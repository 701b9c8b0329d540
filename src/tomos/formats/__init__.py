"""Files and networks <-> types: DICOM, DICOMweb, DIMSE, NIfTI, PNG/JPEG/TIFF/BMP/GIF, meshes; the
only place that knows them. One iterative scanner checks lengths, depth and dimensions before
any parser; compressed pixels from outside are decoded in a limited child process
"""
