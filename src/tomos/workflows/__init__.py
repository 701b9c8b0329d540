"""The verbs, each a function from folder/archive to folder/archive; screening, planning, follow-
up, retrieval, quality control
"""
