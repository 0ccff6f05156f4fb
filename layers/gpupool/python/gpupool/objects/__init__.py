"""The bucket: signed uploads and downloads, heads, and ranges; nobody moves whole objects through a function."""
