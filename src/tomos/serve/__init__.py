"""`model.tomos` -> HTTP, DICOMweb, DIMSE node and worker; serves the viewer"""
