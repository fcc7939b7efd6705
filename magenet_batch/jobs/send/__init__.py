"""Store delivered images on a DICOMweb server."""
