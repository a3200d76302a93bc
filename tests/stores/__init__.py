"""S3, Google Cloud Storage and Azure Blob, each by an emulator; run by `make stores`."""
