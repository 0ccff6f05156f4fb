"""Datasets and training packages: declared, uploaded by presigned URL, checked, then immutable."""
