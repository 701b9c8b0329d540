"""from archive or folder to cases: import, check, split by patient, annotate, sample, load"""
